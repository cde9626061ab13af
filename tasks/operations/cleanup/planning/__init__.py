"""The plan: made, gated, limited, written as lines and summed up."""
