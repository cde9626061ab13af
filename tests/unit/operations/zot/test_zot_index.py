"""What zot reads of an `index.json`, field by field; each row is what zot 2.1 answered for such a file."""

import json
from typing import Any

import pytest

from tasks.operations.zot.zot_index import is_in_catalog, name_obstacle, read_served_index

ENTRY = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "a" * 64, "size": 3}


def index(*entries: Any, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(entries), **more}).encode()


@pytest.mark.parametrize(
    "field",
    [
        {},
        {"size": -3},
        {"urls": ["a"]},
        {"data": "aGk="},
        {"platform": {"architecture": "amd64", "os": "linux"}},
        {"annotations": None},
        {"annotations": {"a": None}},
        {"other": [1]},
        {"mediaType": None},
        {"digest": "sha256:../../x"},
    ],
)
def test_what_go_decodes_costs_nothing(field: dict[str, Any]) -> None:
    assert read_served_index(index(ENTRY, {**ENTRY, **field})).obstacle is None


@pytest.mark.parametrize(
    "field",
    [
        {"size": "3"},
        {"size": 3.0},
        {"size": 3.5},
        {"size": 2**70},
        {"urls": "a"},
        {"data": "!!"},
        {"data": 1},
        {"platform": "x"},
        {"platform": {"os": 1}},
        {"annotations": {"a": 1}},
        {"annotations": []},
        {"artifactType": 1},
    ],
)
def test_a_field_of_another_type_costs_the_whole_repository(field: dict[str, Any]) -> None:
    obstacle = read_served_index(index(ENTRY, {**ENTRY, **field})).obstacle
    assert obstacle is not None
    assert "manifests[1]" in obstacle


@pytest.mark.parametrize("more", [{"schemaVersion": "2"}, {"annotations": {"a": 1}}, {"subject": "x"}])
def test_so_does_one_of_the_index_itself(more: dict[str, Any]) -> None:
    assert read_served_index(index(ENTRY)).obstacle is None
    assert read_served_index(index(ENTRY, **more)).obstacle is not None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_so_does_any_encoding_but_plain_utf_8(encoding: str) -> None:
    assert read_served_index(index(ENTRY).decode().encode(encoding)).obstacle is not None


def test_an_entry_that_is_null_is_passed_over() -> None:
    assert read_served_index(index(None, ENTRY)).obstacle is None


def test_names_are_kept_as_they_are_written_and_unknown_types_are_counted() -> None:
    full = "registry.example/app:v1"
    names = [{**ENTRY, "annotations": {"org.opencontainers.image.ref.name": name}} for name in ("v1", full)]
    served = read_served_index(index(*names, {**ENTRY, "digest": "sha256:" + "b" * 64, "mediaType": "text/plain"}))
    assert served.tags == {"v1", full}
    assert {digest.encoded[0] for digest in served.manifests} == {"a", "b"}
    assert served.unknown == 1


@pytest.mark.parametrize("name", ["team/app", "a--b", "a__b", "a.b", "a" * 200])
def test_a_name_that_registries_take_is_served(name: str) -> None:
    assert name_obstacle(name) is None


@pytest.mark.parametrize("name", ["", "Upper", "a b", "_x", "x-/y", "a..b"])
def test_any_other_is_not(name: str) -> None:
    assert name_obstacle(name) is not None


def test_the_catalog_passes_over_what_ends_with_blobs() -> None:
    shown = {name: is_in_catalog(name) for name in ("x/blobs", "x/blobs/y", "noblobs/y", "myblobs-x", "a/blobs.d")}
    assert shown == {"x/blobs": False, "x/blobs/y": False, "noblobs/y": False, "myblobs-x": True, "a/blobs.d": True}
