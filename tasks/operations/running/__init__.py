"""How a run works through a tree: batches, workers, hours, shards."""
