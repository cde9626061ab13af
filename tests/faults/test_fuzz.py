"""Whatever bytes a layout has: errors of ours, never another, and never a tag without all that belongs to it."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.memory_stores import MemorySource, MemoryTarget
from tests.support.oci_strategies import json_values, nearly_descriptors
from tests.support.promises import closure_is_complete, files_of_tree, lift_all

FILES = files_of_tree([b"one", b"two"])
INDEX = "app-0/index.json"
BLOBS = sorted(path for path in FILES if "/blobs/" in path)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
long = settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes cut, turned, doubled or replaced at some place."""
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 40)))
    patch = draw(st.binary(max_size=20) | st.sampled_from([b"null", b"{}", b"[]", b"-1", b'"', b"1e999", b"\\ud800"]))
    return raw[:start] + patch + raw[end:]


@st.composite
def changed_json(draw: st.DrawFn, raw: bytes) -> bytes:
    """JSON in which one value somewhere is another."""
    body = json.loads(raw)
    place: Any = body
    while isinstance(place, dict | list) and place:
        key = (
            draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else draw(st.integers(0, len(place) - 1))
        )
        if draw(st.booleans()) or not isinstance(place[key], dict | list):
            place[key] = draw(json_values | nearly_descriptors())
            break
        place = place[key]
    return json.dumps(body).encode()


def check_promises(files: dict[str, bytes]) -> None:
    target = MemoryTarget()
    lift_all(MemorySource(files), target)
    for repository in ("app-0",):
        for tag in target.list_tags(repository):
            assert closure_is_complete(target, repository, tag)


def renamed(path: str, raw: bytes) -> dict[str, bytes]:
    """The files with a manifest changed, and all that names it by digest or size following."""
    old, new = path.rpartition("/")[2], hashlib.sha256(raw).hexdigest()
    files = {name: content for name, content in FILES.items() if name != path}
    files[f"app-0/blobs/sha256/{new}"] = raw
    before = f'"digest":"sha256:{old}","size":{len(FILES[path])}'.encode()
    after = f'"digest":"sha256:{new}","size":{len(raw)}'.encode()
    files[INDEX] = files[INDEX].replace(before, after)
    return files


def manifests() -> list[str]:
    return [path for path in BLOBS if FILES[path].startswith(b'{"schemaVersion"')]


def bytes_of_the_index(profile: settings) -> Callable[[], None]:
    @profile
    @given(mutated(FILES[INDEX]) | changed_json(FILES[INDEX]))
    def check(raw: bytes) -> None:
        check_promises(FILES | {INDEX: raw})

    return check


def bytes_of_a_manifest(profile: settings) -> Callable[[], None]:
    @profile
    @given(st.data())
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(manifests()))
        raw = data.draw(mutated(FILES[path]) | changed_json(FILES[path]))
        check_promises(renamed(path, raw))

    return check


def bytes_of_a_blob(profile: settings) -> Callable[[], None]:
    @profile
    @given(st.data())
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(BLOBS))
        check_promises(FILES | {path: data.draw(mutated(FILES[path]))})

    return check


MUTATIONS = [bytes_of_the_index, bytes_of_a_manifest, bytes_of_a_blob]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_no_bytes_of_a_layout_break_a_promise(mutation: Callable[[settings], Callable[[], None]]) -> None:
    mutation(quick)()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_no_bytes_of_a_layout_break_a_promise_in_many_trials(
    mutation: Callable[[settings], Callable[[], None]],
) -> None:
    mutation(long)()
