"""A target that follows its source until the cut-over: what changed, what vanished, when both were equal."""
