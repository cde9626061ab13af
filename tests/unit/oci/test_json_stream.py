"""One list is read an element at a time, and the object around it is as strictly read as by the standard library."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.oci.json_stream import iter_list, iter_places
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
        *('["list":[1]}', '{"list";[1]}', '{"list":[1;2]}', '{"list":[1];"a":1}'),
    ],
)
def test_what_is_no_json_or_has_the_list_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)
