"""The values of a benchmark: its cases, paths, figures."""
