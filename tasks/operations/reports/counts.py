"""Numbers of things, as people read them."""

from __future__ import annotations

_OF_ONE = {"are": "is", "go": "goes", "have": "has", "were": "was"}


def counted(number: int, noun: str, verb: str = "") -> str:
    """`1 repository is`, `2,000 repositories are`; `noun` is what one is called, `verb` what is said of several.

    A number that stands for a part of others (`1 of 2 tags`) is not meant: what follows speaks of all of them.
    """
    if number == 1:
        return f"{number:,} {noun} {_OF_ONE.get(verb, verb)}".rstrip()
    several = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {several} {verb}".rstrip()


def percentage(part: int, whole: int) -> str:
    """`25.2 %`: rounded up to a tenth, as it is shown where it is beyond a limit; `100 %` only of all."""
    tenths = -(-part * 1000 // whole)
    return f"{(tenths if part == whole else min(tenths, 999)) / 10:g} %"
