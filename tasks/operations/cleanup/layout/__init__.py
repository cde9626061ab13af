"""A layout as a cleanup reads it: its files, its graph, its index and how that is edited."""
