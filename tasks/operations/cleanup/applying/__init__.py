"""A plan applied or undone, step by step, and old runs forgotten."""
