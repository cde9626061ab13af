"""How a run works through a tree: a survey of it, batches, workers, hours, shards."""
