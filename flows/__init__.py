"""The flows, one a file, and the command `layoutlift` that runs them."""
