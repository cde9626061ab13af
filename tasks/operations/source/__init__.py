"""What a source has: layouts, the entries of their indexes, the graphs below those."""
