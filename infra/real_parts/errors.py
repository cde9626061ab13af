"""What can go wrong with a real part: it cannot be had here, or it was there and failed."""


class PartUnavailableError(Exception):
    """The machine lacks the program or the right to use it; the message says how to get it."""


class PartFailedError(Exception):
    """The program is there but did not start, or did not stop; the message holds the end of its log."""
