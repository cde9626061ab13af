"""Just what a list names comes over, each line that finds nothing is named, and nothing is deleted for it."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

DELETES = ("--delete-vanished", "--delete-max-percent", "100")


@pytest.fixture
def digests(tmp_path: Path) -> dict[str, str]:
    """What the source has, and under which digests; one manifest has no tag."""
    found = {}
    for path, tags in {"app": ("v1", "v2", "v3", None), "Legacy Tools": ("2019", "2020"), "other": ("v1",)}.items():
        layout = LayoutBuilder(tmp_path / "source" / path)
        for tag in tags:
            found[f"{path}:{tag}"] = layout.image(tag, layers=[f"{path} {tag}".encode()])["digest"]
        layout.write()
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def images(tmp_path: Path, digests: dict[str, str]) -> Path:
    """A list with tags and digests, one of which a tag has that is not listed."""
    lines = ["# in use", "app:v1", "", f"app@{digests['app:v2']}", f"app@{digests['app:None']}", "Legacy Tools:2019"]
    (tmp_path / "images.txt").write_text("\n".join([*lines, "app:v1"]) + "\n")
    return tmp_path / "images.txt"


def test_just_what_a_list_names_comes_over_and_is_proved(
    layoutlift: Layoutlift,
    docker_registry: Registry,
    source: Path,
    images: Path,
    digests: dict[str, str],
    prefix: str,
    tmp_path: Path,
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    app, legacy = (RepositoryView(docker_registry, f"{prefix}/{name}") for name in ("app", "legacy-tools"))
    wanted = ("--tags-from", str(images))
    by_digest = {digests["app:v2"], digests["app:None"]}
    for run in (layoutlift.plan, layoutlift.migrate, layoutlift.verify):
        ended = run(source, target, *wanted)
        rows = {(row["repository"], row["tag"], row["digest"]) for row in ended.report["tags"]}
        assert rows == {
            ("app", "v1", digests["app:v1"]),
            ("Legacy Tools", "2019", digests["Legacy Tools:2019"]),
            *(("app", None, digest) for digest in by_digest),
        }
        assert ended.findings == set()
        assert ended.report["run"]["options"]["tags_from"] == str(images)
    assert (app.tags, legacy.tags) == ({"v1"}, {"2019"})
    assert not RepositoryView(docker_registry, f"{prefix}/other").tags
    assert layoutlift.check(source, *wanted).totals["tags"] == 4
    listed = layoutlift("ls", source, *wanted).stdout
    assert {line.split("\t")[0] for line in listed.splitlines()} == {
        "app:v1", "Legacy Tools:2019", *(f"app@{digest}" for digest in by_digest),
    }  # fmt: skip
    layoutlift("cutover", source, target, "--plain-http", *wanted, "--output", tmp_path / "map.csv")
    assert len(list(csv.DictReader((tmp_path / "map.csv").open()))) >= 2
    again = layoutlift("plan", source, target, "--plain-http", "--tags-from", "-", "--json", stdin=listed)
    assert {row["outcome"] for row in json.loads(again.stdout)["tags"]} == {"up_to_date"}, "what ls prints is a list"


def test_a_line_that_finds_nothing_is_named_and_what_is_not_listed_has_not_vanished(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, images: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    images.write_text("app:v1\n")
    shutil.rmtree(source / "other")
    ended = layoutlift.migrate(source, target, "--tags-from", str(images), "--since-last", *DELETES)
    assert ended.outcomes == {"app:v1": "up_to_date"}
    assert RepositoryView(docker_registry, f"{prefix}/other").tags == {"v1"}
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == {"v1", "v2", "v3"}
    images.write_text("app:v1\napp:v9\nother:v1\n")
    for run in (layoutlift.plan, layoutlift.migrate, layoutlift.verify):
        ended = run(source, target, "--tags-from", str(images), code=1)
        assert ended.outcomes == {"app:v1": "up_to_date"}
        missing = {f["path"]: f["message"] for f in ended.report["findings"] if f["code"] == "missing_at_source"}
        assert missing == {
            "app": f"{images}:2: the repository has no tag v9",
            "other": f"{images}:3: the source has no such repository, for v1",
        }
    more: tuple[str, ...]
    for more in ((), ("--changed", target)):
        stderr = layoutlift("ls", source, "--tags-from", images, *more, code=1).stderr
        assert stderr.count("(missing_at_source)") == 2
    ended = layoutlift.migrate(source, target, "--tags-from", str(images), *DELETES, code=1)
    assert RepositoryView(docker_registry, f"{prefix}/other").tags == {"v1"}, "nothing goes while a line is missing"


def test_a_list_that_can_not_be_used_ends_the_command_before_anything_is_done(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, images: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    images.write_text("app:v1\nlocalhost:5000/app\n")
    for command in (("ls", source), ("migrate", source, target, "--plain-http", "--standalone")):
        ended = layoutlift(*command, "--tags-from", images, code=2)
        assert f"{images}:2: 'localhost:5000/app': it is not REPOSITORY:TAG or REPOSITORY@DIGEST" in ended.stderr
    layoutlift("migrate", source, target, "--plain-http", "--tags-from", images, code=2)
    assert "no local Prefect server is running" in layoutlift("server", "status", code=1).stdout
    ended = layoutlift("migrate", source, target, "--tags-from", "-", "--password-stdin", code=2)
    assert "standard input has the password" in ended.stderr
    assert not RepositoryView(docker_registry, f"{prefix}/app").tags
