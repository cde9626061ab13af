"""The exit codes of the command; in a module of their own, which is imported before Ctrl-C is seen to."""

COMPLETE, INCOMPLETE, WRONG_USAGE, REFUSED = 0, 1, 2, 3
INTERRUPTED = 130
"""What Ctrl-C or SIGTERM has ended."""
UNREAD = 141
"""What ends a program that prints to one that reads no more, as shells tell it."""
