"""A cleanup takes only what the target holds, asked of real registries by the command.

Tags that the target lacks, or has otherwise, or of which a blob is gone from its storage, stay; the rest goes.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.commands.cleanup import cleanup
from infra.real_parts import DistributionRegistry, Registry, ZotRegistry
from tasks.operations.cleanup.planning.gate import Gate
from tests.support.command import Layoutlift
from tests.support.layouts import REF_NAME, LayoutBuilder, random_bytes
from tests.support.policies import newest_by_name

POLICY = newest_by_name(1, 100)
ALONE = "--i-am-the-only-writer"
LAYOUT = "team/app"
ALL = {"v0-gone", "v1-other", "v2-holed", "v3-held", "v4-kept"}
GOES = {"v3-held"}


def write_app(root: Path) -> LayoutBuilder:
    """An image for each tag; that of `v3-held` has a referrer, listed under the tag that clients keep for it."""
    layout = LayoutBuilder(root / LAYOUT)
    for number, tag in enumerate(sorted(ALL)):
        image = layout.image(tag, layers=[random_bytes(number, 3000)], config={"n": number})
        if tag in GOES:
            sbom = layout.referrer(image, listed=False)
            layout.index([sbom], f"sha256-{image['digest'].partition(':')[2]}")
    layout.write()
    return layout


def names(root: Path) -> set[str]:
    entries = json.loads((root / LAYOUT / "index.json").read_bytes())["manifests"]
    return {entry["annotations"][REF_NAME] for entry in entries}


def tags(root: Path) -> set[str]:
    return {name for name in names(root) if not name.startswith("sha256-")}


def stored(registry: Registry, digest: str) -> list[Path]:
    """Where a registry keeps the bytes of a blob."""
    encoded = digest.partition(":")[2]
    return [path for path in registry.storage.rglob("*") if path.is_file() and encoded in str(path)]


def damage(registry: Registry, layout: LayoutBuilder, layoutlift: Layoutlift, work: Path) -> None:
    """One tag of the target goes, one moves, and of one a layer's bytes vanish from the storage."""
    by_tag = {entry["annotations"][REF_NAME]: entry for entry in layout.entries}
    moved = LayoutBuilder(work / "moved" / LAYOUT)
    moved.image("v1-other", layers=[b"another one"])
    moved.write()
    layoutlift.migrate(work / "moved", registry.host, "--on-conflict", "overwrite")
    manifest = json.loads(layout.blob_path(by_tag["v2-holed"]).read_bytes())
    gone = stored(registry, manifest["layers"][0]["digest"])
    assert gone
    for path in gone:
        path.unlink()


@pytest.fixture
def target(
    request: pytest.FixtureRequest,
    own_registry: Callable[..., Registry],
    layoutlift: Layoutlift,
    tmp_path: Path,
) -> Registry:
    """A registry that holds the tags of `tree`, but for what `damage` did to it and the tag that it never got."""
    registry = own_registry(getattr(request, "param", DistributionRegistry))
    layout = write_app(tmp_path / "tree")
    layoutlift.migrate(tmp_path / "tree", registry.host, "--exclude", ":v0-gone")
    damage(registry, layout, layoutlift, tmp_path)
    return registry


def clean(layoutlift: Layoutlift, folder: Path, host: str, *, code: int = 0) -> str:
    """Plan with the gate and apply; what the plan shows."""
    (folder / "policy.yaml").write_text(POLICY)
    file = folder / "plan.jsonl"
    options = ["--policy", folder / "policy.yaml", "--gate", host, "--plain-http", "-o", file]
    shown = layoutlift("cleanup", "plan", folder / "tree", *options, code=code)
    if file.exists():
        layoutlift("cleanup", "apply", file, ALONE, "--plain-http", code=code)
    return shown.output


@pytest.mark.parametrize("target", [DistributionRegistry, ZotRegistry], indirect=True)
def test_what_the_target_lacks_stays_and_the_plan_says_why(
    layoutlift: Layoutlift, target: Registry, tmp_path: Path
) -> None:
    shown = clean(layoutlift, tmp_path, target.host)
    assert names(tmp_path / "tree") == ALL - GOES  # zot lists the referrer itself, and has no tag for that
    lines = {line.split("\t")[0].split(":")[-1]: line for line in shown.splitlines() if "\t" in line}
    assert "does not have it" in lines["v0-gone"]
    assert "under it" in lines["v1-other"]
    assert "the target does not have sha256:" in lines["v2-holed"]
    for tag in ALL - GOES:
        assert lines[tag].startswith("keep")
    for _ in range(2):
        clean(layoutlift, tmp_path, target.host)
    layoutlift.check(tmp_path / "tree", "--depth", "content")
    assert not [path for path in (tmp_path / "tree/.layoutlift/trash").rglob("blobs/*/*") if path.is_file()]


def test_it_is_asked_again_when_the_plan_is_applied(layoutlift: Layoutlift, target: Registry, tmp_path: Path) -> None:
    """The target loses everything between plan and apply."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    options = ["--policy", tmp_path / "policy.yaml", "--gate", target.host, "--plain-http"]
    layoutlift("cleanup", "plan", tmp_path / "tree", *options, "-o", tmp_path / "plan.jsonl")
    target.stop()
    shutil.rmtree(target.storage)
    target.start()
    ended = layoutlift("cleanup", "apply", tmp_path / "plan.jsonl", ALONE, "--plain-http", code=1)
    assert "the target does not have it (target_lacks)" in ended.stderr
    assert LAYOUT in ended.stderr
    assert tags(tmp_path / "tree") == ALL


def test_nothing_goes_while_the_target_can_not_be_asked(
    layoutlift: Layoutlift, own_registry: Callable[..., Registry], tmp_path: Path
) -> None:
    write_app(tmp_path / "tree")
    registry = own_registry(DistributionRegistry, login=("lifter", "secret"))
    layoutlift.environment |= {"LAYOUTLIFT_TARGET_USERNAME": "lifter", "LAYOUTLIFT_TARGET_PASSWORD": "secret"}
    layoutlift.migrate(tmp_path / "tree", registry.host)
    (tmp_path / "policy.yaml").write_text(POLICY)
    options = ["--policy", tmp_path / "policy.yaml", "--gate", registry.host, "--plain-http"]
    plan = ["cleanup", "plan", tmp_path / "tree", *options, "-o", tmp_path / "plan.jsonl"]
    apply = ["cleanup", "apply", tmp_path / "plan.jsonl", ALONE, "--plain-http"]
    layoutlift(*plan)
    layoutlift.environment["LAYOUTLIFT_TARGET_PASSWORD"] = "wrong"
    for command in (plan, apply):
        assert registry.host in layoutlift(*command, code=2).stderr
    registry.stop()
    for command in (plan, apply):
        assert registry.host in layoutlift(*command, code=2).stderr
    assert tags(tmp_path / "tree") == ALL
    registry.start()
    layoutlift.environment["LAYOUTLIFT_TARGET_PASSWORD"] = "secret"
    layoutlift(*apply)
    assert tags(tmp_path / "tree") == {"v4-kept"}


@pytest.mark.parametrize(("question", "lost"), [("_lack_of_tag", {"v1-other"}), ("_lack_of_content", {"v2-holed"})])
def test_a_gate_that_asks_for_less_is_found_out(
    target: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str, lost: set[str]
) -> None:
    monkeypatch.setattr(Gate, question, lambda *_: None)
    (tmp_path / "policy.yaml").write_text(POLICY)
    options = ["--policy", tmp_path / "policy.yaml", "--gate", target.host, "--plain-http"]
    shown = CliRunner().invoke(cleanup, ["plan", *map(str, [tmp_path / "tree", *options])])
    deleted = {tag for tag in ALL if f"delete {LAYOUT}:{tag}" in shown.stdout}
    assert deleted == GOES | lost
