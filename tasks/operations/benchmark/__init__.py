"""What a benchmark measures, in which order, and what its figures mean."""
