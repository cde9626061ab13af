"""Pages of a list lead to the next one, or nowhere, in a time that no header can draw out."""

import time

import pytest

from tasks.stores.http_answers import HttpAnswer
from tasks.stores.registry_lists import next_page

BEGINNINGS = ["<" * 20_000, "<a" * 20_000, '<a>; rel="x", ' * 4_000, ";" * 60_000, " rel=" * 9_000]


@pytest.mark.parametrize("link", BEGINNINGS, ids=lambda link: link[:4])
def test_a_header_of_nothing_but_beginnings_is_gone_through_at_once(link: str) -> None:
    begun = time.process_time()
    assert next_page(HttpAnswer(200, {"Link": link}, b"", "http://registry.example/v2/app/tags/list")) is None
    assert time.process_time() - begun < 1
