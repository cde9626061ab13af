"""A glob matches what its tokens say, and takes no longer than a name is long, whatever the name."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.operations.choosing.globs import glob
from tasks.operations.choosing.selection import Selection

PLAIN = {"**/": "(?:.*/)?", "**": ".*", "*": "ANY*", "?": "ANY", "[ab]": "(?=ANY)[ab]", "[!a]": "(?=ANY)[^a]"}
"""What each token means, by itself; `ANY` is what `*` and `?` take."""
TOKENS = re.compile(r"\*\*/|\*\*|\[[^\]]*\]|.")
PARTS = [*PLAIN, "*", "*", "**", "a", "b", "-", "/"]


@example("**/?***/**", ["/a/a"], "[^/]")
@settings(max_examples=2_000)
@given(
    st.lists(st.sampled_from(PARTS), max_size=8).map("".join),
    st.lists(st.text("ab-/", max_size=9), min_size=1, max_size=8),
    st.sampled_from([".", "[^/]"]),
)
def test_a_glob_matches_what_its_tokens_mean(text: str, names: list[str], any_character: str) -> None:
    tokens = (PLAIN.get(each, re.escape(each)).replace("ANY", any_character) for each in TOKENS.findall(text))
    plain, found = re.compile("".join(tokens)), glob(text, any_character=any_character)
    for name in names:
        assert bool(found.fullmatch(name)) is bool(plain.fullmatch(name)), (text, name)


@pytest.mark.parametrize("pattern", [":*-*-*-x", ":*-*-*-*-*-*-*-*", "*-*-*-x", "**-**-**-x", "**/*-*-*-x"])
def test_a_long_name_is_matched_at_once(pattern: str) -> None:
    """Where each wildcard is tried at each place, 800 dashes take three seconds, and 4,000 ten minutes."""
    name = "a" + "-" * 800
    selection = Selection.parse([pattern])
    begin = time.thread_time()
    selection.fitting(*(("a", [name + "y"]) if pattern.startswith(":") else (name + "y", None)))
    assert time.thread_time() - begin < 0.5
