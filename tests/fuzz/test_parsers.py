"""The parsers hold what the fuzzer asserts for each of its seeds; a parser that does not would be seen."""

import json
from pathlib import Path

import pytest

from tests.fuzz import parsers

SEEDS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_no_seed_breaks_a_parser(seed: Path) -> None:
    parsers.read_all(seed.read_bytes())


def test_the_seeds_reach_every_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    for name in ("check_marker", "parse_index", "parse_manifest", "parse_challenges"):
        real = getattr(parsers, name)

        def noted(*given: object, real: object = real, name: str = name) -> object:
            answer = real(*given)  # type: ignore[operator]
            read.add(name)
            return answer

        monkeypatch.setattr(parsers, name, noted)
    for seed in SEEDS:
        parsers.read_all(seed.read_bytes())
    assert read == {"check_marker", "parse_index", "parse_manifest", "parse_challenges"}


def test_a_parser_that_lets_an_error_of_another_kind_out_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "parse_index", json.loads)
    with pytest.raises(ValueError, match="Expecting"):
        parsers.read_all(b"{")
