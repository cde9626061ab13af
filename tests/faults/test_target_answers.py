"""What a target answers when it is busy, broken, or behind something that is."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import pytest

from infra.real_parts import Registry, wait_until
from tasks.oci.errors import (
    ConnectionFailedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RegistryUnavailableError,
    UnexpectedAnswerError,
)
from tasks.ports import BlobArrival
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.command import Layoutlift
from tests.support.content import blob, image, tree
from tests.support.fault_proxy import BLOB_PUT, Change, FaultProxy, Say, Upstream
from tests.support.layouts import random_bytes
from tests.support.registry_view import RepositoryView

MakeStore = Callable[..., RegistryStore]
MANIFESTS, ANYTHING = r".*/manifests/.*", r".*"
LARGE = random_bytes(7, 700_000)


def in_two_seconds() -> str:
    return formatdate(time.time() + 3, usegmt=True)  # a date has whole seconds: 2 to 3 from now


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wish", [lambda: "2", in_two_seconds], ids=["seconds", "date"])
def test_when_one_worker_is_told_to_wait_all_do(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, status: int, wish: Callable[[], str]
) -> None:
    def busy(_: Upstream) -> Upstream:
        """What is wished for counts from the answer on, however late the question was."""
        return Upstream(status, {"Retry-After": wish(), "Content-Length": "0"}, b"")

    store = make_store(proxy.host)
    proxy.when("HEAD", ANYTHING, Change(busy))
    with ThreadPoolExecutor(5) as workers:
        first = workers.submit(store.resolve_manifest, prefix, "first")
        wait_until(lambda: store._retry._gate._open_at > 0, what="the first worker is told to wait")
        list(workers.map(lambda tag: store.resolve_manifest(prefix, tag), "abcd"))
        first.result()
    told, *later = [seen.at for seen in proxy.asked("HEAD", ANYTHING)]
    assert len(later) == 5
    assert min(later) - told >= 1.9


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_at_every_request(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str, status: int
) -> None:
    for method in ("GET", "HEAD", "POST", "PUT"):
        proxy.when(method, ANYTHING, Say(status, {"Retry-After": "0"}, b"<html>busy</html>"), times=2)
    ended = layoutlift.migrate(tree(tmp_path), f"{proxy.host}/{prefix}")
    assert ended.totals["copied"] == 6
    assert RepositoryView(docker_registry, f"{prefix}/app-0").tags == {"v0", "v1", "v2"}


def test_what_does_not_pass_is_given_up_and_named(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    proxy.when("HEAD", ANYTHING, Say(500), times=99)
    with pytest.raises(RegistryUnavailableError, match="500"):
        make_store(proxy.host).resolve_manifest(prefix, "v1")
    assert 1 < len(proxy.seen) < 10


def test_a_refusal_for_good_is_not_tried_again(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    proxy.when("POST", BLOB_PUT, Say(403, body=b'{"errors":[{"code":"DENIED","message":"read-only"}]}'), times=9)
    proxy.when("PUT", BLOB_PUT, Say(403), times=9)
    with pytest.raises(PermissionDeniedError):
        make_store(proxy.host).push_blob(prefix, blob(LARGE))
    assert len(proxy.seen) == 1


def test_nobody_at_the_address_is_said_at_once_and_clearly(layoutlift: Layoutlift, tmp_path: Path) -> None:
    ended = layoutlift.migrate(tree(tmp_path), "127.0.0.1:9/x", code=2)
    assert "refused" in ended.stderr
    assert ended.seconds < 30


def test_a_registry_that_goes_away_for_a_moment_is_waited_for(
    own_registry: Callable[..., Registry], make_store: MakeStore
) -> None:
    registry = own_registry()
    store = make_store(registry.host)
    store.push_blob("app", blob(LARGE))
    registry.kill()
    with pytest.raises(ConnectionFailedError):
        store.push_blob("app", blob(LARGE[1:]))
    registry.start()
    assert store.push_blob("app", blob(LARGE[1:])) is BlobArrival.PUSHED


def relative(answer: Upstream) -> Upstream:
    place = answer.headers["Location"].partition("/v2/")[2]
    return Upstream(answer.status, answer.headers | {"Location": f"/v2/{place}"}, answer.body)


def with_query(answer: Upstream) -> Upstream:
    place = f"{answer.headers['Location']}&a=%2Fb%3D&empty=&a=c"
    return Upstream(answer.status, answer.headers | {"Location": place}, answer.body)


def without_port(answer: Upstream) -> Upstream:
    place = answer.headers["Location"].partition("/v2/")[2]
    return Upstream(answer.status, answer.headers | {"Location": f"http://127.0.0.1/v2/{place}"}, answer.body)


@pytest.mark.parametrize("form", [relative, with_query, without_port])
def test_the_place_of_an_upload_is_used_as_it_is_given(
    proxy: FaultProxy, make_store: MakeStore, docker_registry: Registry, prefix: str, form: Callable[..., Upstream]
) -> None:
    proxy.when("POST", BLOB_PUT, Change(form), times=9)
    store = make_store(proxy.host)
    assert store.push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    assert RepositoryView(docker_registry, prefix).blob(blob(LARGE).descriptor.digest) == LARGE
    if form is with_query:
        assert "&a=%2Fb%3D&empty=&a=c&digest=sha256:" in proxy.asked("PUT", BLOB_PUT)[0].query


@pytest.mark.parametrize("limit", [300_000, 5_000_000])
def test_a_blob_too_large_for_one_request_is_sent_in_chunks_and_only_then(
    proxy: FaultProxy, make_store: MakeStore, docker_registry: Registry, prefix: str, limit: int
) -> None:
    data = random_bytes(limit, 9_000_000)

    store = make_store(proxy.host, stall_timeout=10.0)
    proxy.most_body = limit
    assert store.push_blob(prefix, blob(data)) is BlobArrival.PUSHED
    assert store.push_blob(prefix, blob(data[1:])) is BlobArrival.PUSHED
    view = RepositoryView(docker_registry, prefix)
    assert view.blob(blob(data).descriptor.digest) == data
    assert view.blob(blob(data[1:]).descriptor.digest) == data[1:]
    refused = [seen for seen in proxy.seen if seen.status == 413]
    assert len(refused) <= 5, "what was refused once is remembered"
    ranges = [seen.headers["content-range"] for seen in proxy.asked("PATCH", BLOB_PUT)]
    assert all(value.replace("-", "").isdigit() for value in ranges)
    assert store.push_blob(prefix, blob(LARGE[:250_000])) is BlobArrival.PUSHED
    assert "PATCH" not in {seen.method for seen in proxy.seen[-2:]}


def test_a_blob_that_is_too_large_in_any_form_is_said_so(
    proxy: FaultProxy, make_store: MakeStore, prefix: str
) -> None:
    proxy.when("PUT|PATCH", BLOB_PUT, Say(413), times=99)
    with pytest.raises(PayloadTooLargeError):
        make_store(proxy.host).push_blob(prefix, blob(LARGE))


def test_a_manifest_that_is_too_large_is_refused_by_name(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    proxy.when("PUT", r".*/manifests/v1", Say(413), times=99)
    ended = layoutlift.migrate(tree(tmp_path, 1, 2), f"{proxy.host}/{prefix}", code=1)
    assert ended.outcomes == {"app-0:v0": "copied", "app-0:v1": "payload_too_large"}


def test_a_head_that_lies_is_found_out_by_the_manifest_and_mended(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    size = 400_000

    def present(_: Upstream) -> Upstream:
        return Upstream(200, {"Content-Length": str(size)}, b"")

    proxy.when("HEAD", r".*/blobs/.*", Change(present), times=99)
    ended = layoutlift.migrate(tree(tmp_path, 1, 2, size), f"{proxy.host}/{prefix}")
    assert ended.totals["copied"] == 2
    proxy.heal()
    assert layoutlift.verify(tmp_path, f"{docker_registry.host}/{prefix}", "--depth", "content").totals["tags"] == 2


def test_a_manifest_refused_for_a_missing_blob_has_its_children_sent_again_once(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    missing = Say(404, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}')
    source = tree(tmp_path, 1, 1)
    proxy.when("PUT", MANIFESTS, missing, times=1)
    assert layoutlift.migrate(source, f"{proxy.host}/{prefix}/a").totals["copied"] == 1
    proxy.when("PUT", MANIFESTS, missing, times=99)
    before = len(proxy.seen)
    ended = layoutlift.migrate(source, f"{proxy.host}/{prefix}/b", code=1)
    assert ended.outcomes == {"app-0:v0": "missing_referenced_content"}
    assert sum(seen.method == "PUT" and "/manifests/" in seen.path for seen in proxy.seen[before:]) == 2


def test_a_registry_that_stored_other_bytes_is_caught(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    def lie(answer: Upstream) -> Upstream:
        return Upstream(answer.status, answer.headers | {"Docker-Content-Digest": f"sha256:{'0' * 64}"}, answer.body)

    store = make_store(proxy.host)
    store.push_blob(prefix, blob(b"{}"))
    proxy.when("PUT", MANIFESTS, Change(lie))
    with pytest.raises(UnexpectedAnswerError, match="instead"):
        store.push_manifest(prefix, "v1", image(b"{}"))


def test_one_refused_tag_never_stops_the_others(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    proxy.when("PUT", r".*/app-0/manifests/v1", Say(400, {}, b'{"errors":[{"code":"TAG_INVALID"}]}'), times=9)
    source = tree(tmp_path, 2, 3)
    ended = layoutlift.migrate(source, f"{proxy.host}/{prefix}", code=1)
    assert ended.totals["copied"] == 5
    assert ended.outcomes["app-0:v1"] == "manifest_refused"
    proxy.heal()
    again = layoutlift.migrate(source, f"{proxy.host}/{prefix}")
    assert again.totals["copied"] == 1
    assert again.totals["up_to_date"] == 5


def test_an_endless_answer_does_not_fill_memory(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    proxy.when("GET", MANIFESTS, Say(200, {}, b" " * (9 * 1024 * 1024)), times=9)
    with pytest.raises(UnexpectedAnswerError, match="more than"):
        make_store(proxy.host).fetch_manifest(prefix, "v1")
