"""Text and numbers as people may be shown them.

Names of directories and tags are anybody's text. What goes to a terminal passes `printable`, what goes into
Markdown passes `escape_markdown`, and cells of a dashboard's table pass `table_cell`; the report's JSON keeps them as
they are.
"""

from __future__ import annotations

import re

_STEP = 1024
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LINKS = re.compile(r"\\*[\[\]<`]")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]()#+.!|~:@$]|^[-=]")


def printable(text: str) -> str:
    """`text` with all that steers a terminal or a reader's eye (controls, bidi, invisible) as backslash escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def escape_markdown(text: str) -> str:
    """`text` as plain words for Markdown, in tables too: no markup, link or HTML in it takes effect."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\g<0>", plain)


def table_cell(text: str) -> str:
    """`text` for a cell of a table in Prefect's dashboards, of which one reads Markdown in it and the other does not.

    So only what begins a link, a picture, code or HTML is escaped.
    """
    return _LINKS.sub(lambda found: "".join(f"\\{c}" for c in found[0]), printable(text))


def human_bytes(number: int) -> str:
    """A number of bytes for people, as `512 B` or `1.5 GiB`."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < _STEP:
            return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} PiB"


def human_seconds(seconds: float) -> str:
    """A time as somebody who waits wants to know it."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.1f} days"
