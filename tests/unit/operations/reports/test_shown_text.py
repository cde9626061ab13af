from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.operations.reports.shown_text import escape_markdown, human_bytes, printable, table_cell


def test_printable_shows_what_steers_a_terminal_or_an_eye():
    assert printable("\x1b[31mred\x07 a\u202eb\u200bc\ufeff\x7f\x9b\r\n\t\u2028\udc80") == (
        r"\x1b[31mred\x07 a\u202eb\u200bc\ufeff\x7f\x9b\r\n\t\u2028\udc80"
    )
    assert printable("äpp/日本 v1") == "äpp/日本 v1"


@given(st.text(alphabet=st.characters(), max_size=30))
def test_printable_text_is_printable(text):
    assert printable(text).isprintable()
    printable(text).encode()


@pytest.mark.parametrize(
    "text",
    [
        "a|b", "[x](javascript:alert(1))", "![x](http://e/x.png)", "<img src=x onerror=y>", "`code`", "**bold**",
        "_a_", "~~gone~~", "\\|", "http://evil.example", "www.evil.example", "me@evil.example", "&lt;b&gt;",
        "<!-- x -->", "# title", "- item", "1. item", "a\n\n# b", "$x$", "[^1]", "team/app:v1.0-rc_2",
    ],
)  # fmt: skip
def test_nothing_in_a_name_takes_effect_in_a_table(text):
    table = f"| a | b |\n|---|---|\n| {escape_markdown(text)} | end |\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(table)
    cells = [token for token in tokens if token.type == "inline"][2:]
    assert [{child.type for child in cell.children} <= {"text", "text_special"} for cell in cells] == [True, True]
    assert "".join(child.content for child in cells[0].children) == printable(text)


def test_bytes_for_people():
    shown = [human_bytes(n) for n in (0, 1023, 1024, 1536 * 1024**2, 5 * 1024**5)]
    assert shown == ["0 B", "1023 B", "1.0 KiB", "1.5 GiB", "5.0 PiB"]


@pytest.mark.parametrize("name", ["v1.2.3-rc_4", "team/app", "sha256:0a", "*.example", "a@b"])
def test_cells_show_usual_names_as_they_are_where_nothing_reads_markdown(name):
    assert table_cell(name) == name


@given(st.text(alphabet="[]()<>`!\\ab:/.\n"))
@example("![x](http://evil.example/pixel)")
@example("\\[x\\](http://evil.example)")
@example("<img src=//evil.example>")
def test_cells_hold_no_link_picture_or_html_where_something_reads_markdown(text):
    inline = MarkdownIt("commonmark").parseInline(table_cell(text))[0]
    kinds = {token.type for token in inline.children}
    assert kinds <= {"text", "text_special", "softbreak"}


def test_a_cell_that_is_not_escaped_would_be_noticed():
    (link, *_) = MarkdownIt("commonmark").parseInline(printable("[x](http://evil.example)"))[0].children
    assert link.type == "link_open"
