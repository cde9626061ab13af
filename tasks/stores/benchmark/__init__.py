"""What benchmarks measure with: clients, mounts, areas to write to, plots."""
