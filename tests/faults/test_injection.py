"""Names that somebody chose on purpose stay words in what the Prefect server keeps and its dashboard renders."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.prefect_history import PrefectHistory

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)<",
    "[click](http:evil.example)",
    "![seen](http:evil.example)",
    "www.evil.example",
    "a|b|c",
    "`code` *em* ~~gone~~",
    "# heading",
    "line\n\n# break\n| a | b |",
    "\x1b]8;;http:evil.example\x07link",
    "\u202egpj.exe",
)
BLOCKS = ("heading", "table", "thead", "tbody", "tr", "th", "td", "paragraph", "bullet_list", "list_item")
WORDS = {"inline", "text", "text_special"} | {f"{block}_{end}" for block in BLOCKS for end in ("open", "close")}
"""The kinds of token that a summary is made of; anything else came out of a name."""


def tokens_of(markdown: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown):
        yield token
        yield from token.children or ()


def widths_of(markdown: str) -> list[set[int]]:
    """For each table, the different numbers of cells that its rows have."""
    widths: list[set[int]] = []
    cells = 0
    for token in tokens_of(markdown):
        widths += [set()] if token.type == "table_open" else []
        cells = 0 if token.type == "tr_open" else cells + (token.type in {"th_open", "td_open"})
        if token.type == "tr_close":
            widths[-1].add(cells)
    return widths


@pytest.mark.timeout(300)
def test_hostile_names_stay_words_in_the_summary_that_the_server_keeps(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    tmp_path: Path,
    prefix: str,
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{docker_registry.host}/{prefix}"
    for name in HOSTILE:
        (source / name).mkdir()
        (source / name / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (source / name / "index.json").write_text("{")
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    ended = layoutlift.migrate(source, target, code=1)
    assert len(ended.findings) == len(HOSTILE)
    assert not any(mark in ended.output for mark in "\x1b\x07\u202e")
    history = PrefectHistory.of(prefect_environment)
    artifacts = history.artifacts(history.the_run(f"{source} → {target}"))
    summary: str = artifacts["migrate-summary"]["data"]
    assert {token.type for token in tokens_of(summary)} <= WORDS
    assert [len(widths) for widths in widths_of(summary)] == [1] * len(widths_of(summary))
    shown = "".join(token.content for token in tokens_of(summary) if token.type in {"text", "text_special"})
    assert "<img src=x onerror=alert(1)>" in shown
    assert "a|b|c" in shown
    assert "www.evil" not in summary, "a bare address is a link in the dashboard"


@pytest.mark.parametrize("name", [HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[3], "a|b|c", HOSTILE[6], HOSTILE[8]])
def test_a_name_that_is_not_escaped_would_be_seen(name: str) -> None:
    summary = f"| path | what |\n|---|---|\n| {name} | why |\n"
    tokens = list(tokens_of(summary))
    last_cell = [token.content for token in tokens if token.type == "inline"][-1]
    assert {token.type for token in tokens} - WORDS or widths_of(summary) != [{2}] or last_cell != "why"
