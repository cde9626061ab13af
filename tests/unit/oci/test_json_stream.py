"""One list is read an element at a time, and the object around it is as strictly read as by the standard library."""

import json
import tracemalloc
from typing import Any, SupportsIndex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.oci import json_stream
from tasks.oci.json_stream import TooLongError, iter_list, iter_places
from tests.support.oci_strategies import json_values


def read(text: str) -> tuple[list[Any], dict[str, Any]]:
    others: dict[str, Any] = {}
    return list(iter_list(text, "list", others)), others


@settings(max_examples=40)
@given(st.lists(json_values, max_size=4), st.dictionaries(st.text(max_size=4), json_values, max_size=3))
def test_elements_and_members_are_those_of_the_object(elements: list[Any], members: dict[str, Any]) -> None:
    text = json.dumps({**members, "list": elements})
    whole = json.loads(text)
    found, others = read(text)
    assert json.dumps(found) == json.dumps(whole["list"])
    assert json.dumps(others) == json.dumps({**whole, "list": []})
    places = list(iter_places(text, "list", {}))
    assert [json.dumps(json.loads(text[begin:end])) for begin, end, _ in places] == [json.dumps(e) for e in found]


@pytest.mark.parametrize(
    "text",
    ['{"list": [1 , 2 ] , "a": 1 }', '{\t"list"\r:\n[\t1\r,\n2\t]\r,\n"a":\t1}', ' {"a":1,"list":[1,2]}\n\0\0'],
)
def test_space_and_what_a_disk_left_after_the_end_do_not_matter(text: str) -> None:
    assert read(text) == ([1, 2], {"a": 1, "list": []})


def test_what_is_no_list_is_given_as_it_is() -> None:
    assert read('{"list": {"a": [1]}}') == ([], {"list": {"a": [1]}})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"list":[1,2]', '{"list":[1,2}', '{"list":[1 2]}', '{"list":[,1]}', '{"list":[1],'),
        *('{"list":[1,]}', '{"list":[1],}', '{,"list":[1]}', '{"list":[1]} x', '{"list":[1]}{}', '{"list" [1]}'),
        *('{"list":[1] "a":1}', "{1:2}", "{null:[1]}", '{"list":[1],"list":[2]}', '{"list":}'),
        *('{"list":[1],"list":null}', '{"list":null,"list":[1]}', '{"list":null,"list":null}'),
        *('["list":[1]}', '{"list";[1]}', '{"list":[1;2]}', '{"list":[1];"a":1}'),
    ],
)
def test_what_is_no_json_or_has_the_list_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)


@pytest.mark.parametrize("look", range(1, 40))
def test_where_a_look_ends_changes_nothing(monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    monkeypatch.setattr(json_stream, "FIRST_LOOK", look)
    elements = [12, -1.25e-7, 1e300, 'a\\"b', "\U0001f600", {"a": [1, {"b": None}]}, [], True, "x" * 50]
    assert read(json.dumps({"a": 1.5, "list": elements, "b": elements})) == (
        elements,
        {"a": 1.5, "list": [], "b": elements},
    )
    for wrong in ('{"list":[1.]}', '{"list":[1e+]}', '{"list":["a]}', '{"list":[tru]}', '{"a":1e,"list":[]}'):
        with pytest.raises(json.JSONDecodeError):
            read(wrong)


@pytest.mark.parametrize(
    "text", ['{"list": [{"a": [HERE]}]}', '{"a": [HERE], "list": []}', '{"list": {"a": [HERE]}}']
)
def test_no_objects_are_made_of_more_than_an_honest_element_or_all_other_members_have(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(json_stream, "MOST_AT_ONCE", 1_000)
    assert read(text.replace("HERE", ",".join(["[]"] * 200)))
    with pytest.raises(ValueError, match="longer than 1000 characters"):
        read(text.replace("HERE", ",".join(["[]"] * 400)))


@pytest.mark.parametrize("most", range(1_000, 1_100))
def test_what_is_too_long_is_told_from_what_is_no_json_wherever_a_look_ends(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(json_stream, "MOST_AT_ONCE", most)
    long = [-1.25e-7, 'a\\"b', "\U0001f600", {"a": [True, None, float("-inf")]}, "x" * 20] * 20
    with pytest.raises(TooLongError, match=rf"^list\[1\] is longer than {most} characters"):
        read(json.dumps({"list": [0, long]}))


@pytest.mark.parametrize("wrong", ['{"a" 1}', "[1 2]", '["a\tb"]', "[nul]", "[1,]", "{1:2}"])
def test_what_is_no_json_is_not_called_too_long(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setattr(json_stream, "MOST_AT_ONCE", 1_000)
    with pytest.raises(json.JSONDecodeError):
        read(f'{{"list": [0, {wrong} {" " * 3_000}]}}')


def test_members_beside_the_list_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MOST_AT_ONCE", 1_000)
    members = {f"a{number}": "x" * 300 for number in range(4)}
    with pytest.raises(ValueError, match="longer than 1000 characters"):
        read(json.dumps({**members, "list": []}))
    assert read(json.dumps({"list": list(members.values())}))
    with pytest.raises(ValueError, match="longer than 1000 characters"):
        read(json.dumps({**{"x" * 300 + str(number): 0 for number in range(4)}, "list": []}))
    with pytest.raises(ValueError, match="longer than 1000 characters"):
        read(json.dumps({"x" * 3_000: 0, "list": []}))


def test_blanks_around_members_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MOST_AT_ONCE", 1_000)
    blanks = " " * 600
    assert read(f'{{"a"{blanks}:{blanks}1{blanks},{blanks}"list"{blanks}:[]}}') == ([], {"a": 1, "list": []})


def test_no_objects_are_made_of_what_stands_in_place_of_a_name() -> None:
    text = '{[HERE]: 1, "list": []}'.replace("HERE", ",".join(["[]"] * 100_000))
    tracemalloc.start()
    try:
        with pytest.raises(json.JSONDecodeError, match="expected a name"):
            read(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_zero_bytes_at_the_end_are_passed_over_where_they_are() -> None:
    """A file that is nearly all hole costs whoever made it nothing; a copy of that for each look costs us much."""
    text = '{"list":[1]}' + "\0" * 8 * 1024 * 1024
    tracemalloc.start()
    try:
        assert list(iter_list(text, "list", {})) == [1]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024


def test_elements_of_any_length_are_looked_at_about_as_often_as_they_are_long() -> None:
    class Watched(str):
        __slots__ = ()
        copied = 0

        def __getitem__(self, place: Any) -> str:
            part = super().__getitem__(place)
            Watched.copied += len(part)
            return part

    text = Watched(json.dumps({"list": ["x" * 6_000] * 300}))
    assert len(read(text)[0]) == 300
    assert Watched.copied < 10 * len(text)


def test_blanks_are_not_looked_at_one_by_one() -> None:
    """An index may be 256 MB of them, and what reads it has all other threads wait meanwhile."""
    looks: list[object] = []

    class Watched(str):
        __slots__ = ()

        def __getitem__(self, place: SupportsIndex | slice) -> str:
            looks.append(place)
            return super().__getitem__(place)

    blanks = " \t\r\n" * 10_000
    text = Watched(f'{blanks}{{{blanks}"list"{blanks}:{blanks}[{blanks}1{blanks},{blanks}2{blanks}]{blanks}}}')
    assert list(iter_list(text, "list", {})) == [1, 2]
    assert len(looks) < 100
