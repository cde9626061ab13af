"""Only what an earlier run brought, and what the whole source is seen without, has vanished."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tasks.ledger.ledger import Ledger
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, SourceError
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.choosing.selection import Selection
from tasks.operations.in_step.vanished_search import Vanished, VanishedSearch
from tasks.ports import Finding, IndexFile
from tasks.stop import Stop
from tests.support.engine import MemoryLines
from tests.support.memory_stores import MemorySource

if TYPE_CHECKING:
    from collections.abc import Iterator

REF_NAME = "org.opencontainers.image.ref.name"
DIGEST = Digest.of(b"image")


class World:
    """A source of layouts with these tags, and what runs have brought of it to repositories of the same names."""

    def __init__(self, **tags: str) -> None:
        self.files: dict[str, bytes] = {}
        self.ledger = Ledger(MemoryLines())
        self.repositories: dict[str, str] = {}
        self.named: dict[str, str] = {}
        self.closed: list[str] = []
        self.unlisted: list[str] = []
        self.denied: list[str] = []
        self.stop = Stop()
        self.ends_after = 1000
        self.asked: list[str] = []
        for path, named in tags.items():
            self.write(path, *named.split())
            self.bring(path, path, *named.split())
            self.repositories[path] = path

    def write(self, path: str, *tags: str) -> None:
        body = {"mediaType": IMAGE_MANIFEST, "digest": DIGEST, "size": 1}
        entries = [{**body, "annotations": {REF_NAME: tag}} for tag in tags]
        self.files[f"{path}/oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        self.files[f"{path}/index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()

    def bring(self, path: str, repository: str, *tags: str, found: bool = False) -> None:
        for tag in tags:
            self.ledger.note_tag(repository, tag, DIGEST, None, 0, layout=path, found=found)
        self.ledger.note_layout(path, repository, "etag", "settings")

    def remove(self, path: str) -> None:
        del self.files[f"{path}/oci-layout"], self.files[f"{path}/index.json"], self.repositories[path]

    def search(self, chosen: Selection) -> VanishedSearch:
        closed, unlisted, denied, world = self.closed, self.unlisted, self.denied, self

        class Source(MemorySource):
            def list_layouts(self) -> Iterator[str | Finding]:
                yield from (each for each in super().list_layouts() if each not in unlisted)
                yield from (Finding(path, "source_read", "no permission") for path in closed)

            def read_index(self, path: str) -> IndexFile:
                world.asked.append(path)
                if len(world.asked) > world.ends_after:
                    world.stop.set()
                if path in denied:
                    raise SourceError("access is denied")
                return super().read_index(path)

        return VanishedSearch(Source(self.files), self.ledger, chosen, self.named.get, self.stop, marked=lambda _: ())

    def found(self, *include: str) -> Vanished:
        chosen = Selection.parse(include)
        repositories = {path: name for path, name in self.repositories.items() if chosen.may_match(path)}
        return self.search(chosen).find(repositories)

    def vanished(self, *include: str) -> set[str]:
        found = self.found(*include).tags
        assert {each.digest for each in found} <= {DIGEST}
        return {f"{each.path}>{each}" for each in found}

    def brought(self) -> int:
        return self.search(Selection.parse()).brought(self.repositories)


@pytest.fixture
def world() -> World:
    """Of app, v2 is not named any more."""
    world = World(app="v1 v2", web="v1")
    world.write("app", "v1")
    return world


def test_a_tag_that_no_index_names_any_more_has_vanished(world: World) -> None:
    assert World(app="v1 v2").vanished() == set()
    assert world.vanished() == {"app>app:v2"}
    assert world.brought() == 3


def test_a_source_that_shows_nothing_has_lost_nothing(world: World) -> None:
    for path in ("app", "web"):
        world.remove(path)
    assert world.vanished() == set()


def test_a_source_of_which_only_what_is_no_layout_is_seen_has_lost_nothing(world: World) -> None:
    """As where a bucket is not mounted, and something else lies in its place."""
    for path in ("app", "web"):
        world.remove(path)
    world.closed = ["something else"]
    assert world.vanished() == set()


def test_a_layout_that_was_found_a_moment_ago_and_is_hidden_now_has_lost_nothing(world: World) -> None:
    del world.files["web/oci-layout"], world.files["web/index.json"]
    world.closed = ["web"]
    assert world.vanished() == {"app>app:v2"}


def test_a_layout_that_is_gone_has_lost_its_tags_unless_it_may_be_hidden(world: World) -> None:
    world.remove("web")
    assert world.vanished() == {"app>app:v2", "web>web:v1"}
    assert world.brought() == 3
    world.closed = ["web"]
    assert world.vanished() == {"app>app:v2"}


def test_a_layout_that_a_listing_lacks_and_that_is_there_has_lost_nothing(world: World) -> None:
    """As where a store says too early that its listing ends."""
    world.unlisted = ["web"]
    assert world.vanished() == {"app>app:v2"}
    found = world.found()
    assert found.layouts == set()
    assert [(each.path, each.code) for each in found.doubts] == [("web", "layout_hidden")]


def test_nor_has_one_that_can_not_be_asked_for(world: World) -> None:
    world.remove("web")
    world.denied = ["web"]
    assert world.vanished() == {"app>app:v2"}
    (doubt,) = world.found().doubts
    assert (doubt.path, doubt.code) == ("web", "source")
    assert doubt.message.endswith("access is denied")


@pytest.mark.parametrize("index", [None, b"", b"{"])
def test_nor_has_one_of_which_only_the_index_is_not_as_it_should_be(world: World, index: bytes | None) -> None:
    """As while it is written anew."""
    world.unlisted = ["web"]
    if index is None:
        del world.files["web/index.json"]
    else:
        world.files["web/index.json"] = index
    assert world.vanished() == {"app>app:v2"}
    (doubt,) = world.found().doubts
    assert doubt.path == "web"
    assert doubt.code == ("invalid_layout" if index is None else "layout_hidden")


def test_of_another_source_at_the_same_path_only_the_first_layouts_are_asked_for(world: World) -> None:
    """It may have thousands, and nothing may go there in any case."""
    many = [f"b{number:02}" for number in range(20)]
    for path in many:
        world.write(path, "v1")
        world.bring(path, path, "v1")
    world.write("other", "v1")
    world.remove("app")
    world.remove("web")
    world.denied, world.unlisted = many[10:], many
    assert [each.path for each in world.found().doubts] == many, "the first are there, so it is no other"
    for path in many:
        del world.files[f"{path}/oci-layout"]
    found = world.found()
    assert found.is_other
    assert found.doubts == ()


@pytest.mark.parametrize("ends_after", [0, 40])
def test_a_run_that_is_to_end_asks_for_no_more_of_what_is_not_listed(world: World, ends_after: int) -> None:
    for number in range(200):
        world.bring(f"gone{number:03}", "gone", f"v{number}")
    world.ends_after = ends_after
    with pytest.raises(InterruptedRunError):
        world.found()
    assert len(world.asked) <= ends_after + 20, "those that were begun already"


def test_it_is_said_when_very_many_are_asked_for(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for number in range(100):
        world.bring(f"gone{number:03}", "gone", f"v{number}")
    assert len(world.found().layouts) == 100
    assert caplog.messages == ["asking for 92 more layouts of earlier runs, which the source does not list"]


def test_what_was_not_chosen_is_left_alone(world: World) -> None:
    world.remove("web")
    assert world.vanished("app") == {"app>app:v2"}
    assert world.vanished("web") == {"web>web:v1"}
    assert world.vanished(":v1") == {"web>web:v1"}


def test_a_layout_that_is_gone_and_was_not_chosen_is_not_forgotten(world: World) -> None:
    """Else no later run could tell what vanished with it."""
    world.remove("web")
    assert world.found("app").layouts == set()
    assert world.found("web").layouts == {"web"}


def test_what_was_only_found_at_the_target_is_not_ours(world: World) -> None:
    world.bring("app", "app", "v0", found=True)
    assert world.vanished() == {"app>app:v2"}


@pytest.mark.parametrize("feeds", ["now", "not chosen", "before"])
def test_a_tag_that_another_layout_of_the_same_repository_names_is_still_wanted(world: World, feeds: str) -> None:
    """Two layouts may have had one name in turn, by a rename."""
    world.write("other", "v2")
    if feeds == "now":
        world.repositories["other"] = "app"
    elif feeds == "not chosen":
        world.named["other"] = "app"
    else:
        world.bring("other", "app")
    assert world.vanished() == set()
    world.write("other", "v3")
    assert world.vanished() == {"app>app:v2"}


@pytest.mark.parametrize(
    "index", [b"{", b'{"schemaVersion":2,"manifests":[{"digest":"hides its name"}]}'], ids=["cut", "broken entry"]
)
def test_nothing_has_vanished_from_a_repository_of_which_an_index_can_not_be_read(world: World, index: bytes) -> None:
    world.remove("web")
    world.files["app/index.json"] = index
    assert world.vanished() == {"web>web:v1"}


def test_a_layout_that_no_run_has_noted_is_no_obstacle(world: World) -> None:
    world.write("new", "v9")
    assert world.vanished() == {"app>app:v2"}
