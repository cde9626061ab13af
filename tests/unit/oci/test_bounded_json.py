"""JSON of very many values is not taken apart, whatever it hides them in; text is no matter of the bound."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.bounded_json import TooManyValuesError, json_within
from tests.support.oci_strategies import json_values


def read(raw: bytes, most: int = 1_000) -> tuple[Any, int]:
    """What is read, None where it has too many values, and how much memory that took at most."""
    tracemalloc.start()
    try:
        return json_within(raw, most), tracemalloc.get_traced_memory()[1]
    except TooManyValuesError:
        return None, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", ["[]", "{}", "0", '{"a":0}', "[[[]]]"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_of_very_many_values_no_object_is_made(value: str, encoding: str) -> None:
    raw = f"[{','.join([value] * 100_000)}]".encode(encoding)
    found, peak = read(raw)
    assert found is None
    assert peak < 2 * len(raw)


@pytest.mark.parametrize("hidden", ["\\\\", '\\"', "∠"])
def test_values_are_counted_behind_what_looks_like_the_end_of_a_text(hidden: str) -> None:
    for encoding in ("utf-8", "utf-16-le"):
        assert read(f'["{hidden}",{",".join(["[]"] * 10_000)}]'.encode(encoding))[0] is None


@pytest.mark.parametrize("end", [b"", b"\\", b'"', b'"\\'])
def test_a_text_that_never_ends_is_passed_once(end: bytes) -> None:
    with pytest.raises(TooManyValuesError):
        json_within(b"," * 50 + b'"' + b'\\"' * 1_000_000 + end, 40)
    with pytest.raises(json.JSONDecodeError):
        json_within(b"," * 40 + b'"' + b'\\",' * 1_000_000 + end, 40)


def test_signs_in_text_are_no_values() -> None:
    body = {"a": r'a,"{[\\' * 10_000}
    assert read(json.dumps(body).encode())[0] == body


@given(json_values, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_what_has_few_values_is_read_as_it_is(value: Any, encoding: str) -> None:
    raw = json.dumps(value).encode(encoding)
    assert json.dumps(json_within(raw, 1_000_000)) == json.dumps(json.loads(raw))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[1,]"])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_within(raw, 1_000)
