"""What is kept and told of a run while it goes on and when it has ended."""
