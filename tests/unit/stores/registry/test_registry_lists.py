"""Pages of a list lead to the next one, or nowhere, in a time that no header can draw out."""

import json
import time

import pytest

from tasks.oci.errors import UnexpectedAnswerError
from tasks.stores.registry import registry_lists
from tasks.stores.registry.registry_lists import next_page, read_pages
from tasks.stores.registry.transport.http_answers import HttpAnswer

BEGINNINGS = [
    *("<" * 20_000, "<a" * 20_000, '<a>; rel="x", ' * 4_000, ";" * 60_000, " rel=" * 9_000),
    '<a>; rel="' + " next" * 12_000,
]


@pytest.mark.parametrize("link", BEGINNINGS, ids=lambda link: link[-5:])
def test_a_header_of_nothing_but_beginnings_is_gone_through_at_once(link: str) -> None:
    begun = time.process_time()
    assert next_page(HttpAnswer(200, {"Link": link}, b"", "http://registry.example/v2/app/tags/list")) is None
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("value", "most"), [('"a"', 999), ('"a,[{"', 999), ("{}", 499), ("[]", 499), ("[[[]]]", 249), ('{"a":[]}', 333)]
)
def test_a_page_of_nothing_but_small_values_is_not_made_objects_of(
    value: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of 64 MB took two gigabytes, and a list may have several."""
    monkeypatch.setattr(registry_lists, "MOST_VALUES", 1_000)
    pages = [f'{{"tags": [{",".join([value] * count)}]}}'.encode() for count in (most, most + 1)]
    listed, refused = (HttpAnswer(200, {}, page, "http://registry.example/v2/app/tags/list") for page in pages)
    assert read_pages(listed, "tags", refuse_to_ask).whole
    with pytest.raises(UnexpectedAnswerError, match="more than 1,000 values"):
        read_pages(refused, "tags", refuse_to_ask)


def refuse_to_ask(path: str) -> HttpAnswer:
    raise AssertionError(path)


def test_pages_without_end_are_not_kept_until_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_lists, "MOST_LISTED", 5_000)
    asked: list[str] = []

    def ask(path: str) -> HttpAnswer:
        asked.append(path)
        assert len(asked) < 1_000
        body = json.dumps({"tags": ["v" * 1_000]}).encode()
        return HttpAnswer(200, {"Link": f"</v2/app/tags/list?last={len(asked)}>; rel=next"}, body, f"http://h{path}")

    listed = read_pages(ask("/v2/app/tags/list"), "tags", ask)
    assert not listed.whole, "so each tag is asked for by itself"
    assert len(listed.entries) == 5


@pytest.mark.parametrize("target", ["https://u:pass@[x/?sig=pass", "//u:pass@[x"])
def test_a_next_page_at_no_address_is_told_without_what_may_be_secret_in_it(target: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=r"list: the next page is said to be at what is no web address$"):
        next_page(HttpAnswer(200, {"Link": f"<{target}>; rel=next"}, b"", "http://registry.example/v2/app/tags/list"))
