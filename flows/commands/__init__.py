"""The commands that `cli.py` loads when they are called, and what all commands have in common."""
