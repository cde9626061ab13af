"""Sources in a directory or behind a mount, which may hang."""
