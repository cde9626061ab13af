"""What the page on registries has people run does what it says."""

import csv
import re
import shlex
from pathlib import Path

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import everything_tagged

PAGE = (Path(__file__).parents[2] / "docs" / "registries.md").read_text()


def test_names_for_docker_hub_are_made_of_those_that_are_too_deep(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    source = tmp_path / "s"
    for path in ("plain", "team", "team/app", "team/app/web", "Legacy Tools/My App"):
        layout = LayoutBuilder(source / path)
        layout.image("v1", layers=[path.encode()])
        layout.write()
    (line,) = re.findall(r"^layoutlift (plan /mnt/bucket docker\.io/NAMESPACE .*)$", PAGE, re.MULTILINE)
    _, _, _, *options = shlex.split(line)
    as_page = (*options, "--registry-kind", "docker-hub")
    target = f"{docker_registry.host}/{prefix}"
    planned = layoutlift.plan(source, target, *as_page)
    names = {row["repository"]: row["target"].removeprefix(f"{target}/") for row in planned.report["tags"]}
    assert names == {
        "plain": "plain:v1",
        "team": "team:v1",
        "team/app": "team-app:v1",
        "team/app/web": "team-app-web:v1",
        "Legacy Tools/My App": "legacy-tools-my-app:v1",
    }
    layoutlift.migrate(source, target, *as_page)
    assert set(everything_tagged(docker_registry, prefix)) == set(names.values())
    assert layoutlift.verify(source, target, *as_page).totals["tags"] == len(names)
    layoutlift("cutover", source, target, "--plain-http", *as_page, "--output", tmp_path / "map.csv")
    rows = {row["old"]: row["new"].partition("@")[0] for row in csv.DictReader((tmp_path / "map.csv").open())}
    assert rows == {f"{source}/{path}:v1": f"{target}/{name}" for path, name in names.items()}
    (source / "team" / "app").rename(tmp_path / "gone")
    shown = layoutlift.migrate(source, target, *as_page, "--delete-vanished", "--delete-max-percent", "100").findings
    assert ("team/app", "tag_deleted") in shown
    assert "team-app:v1" not in everything_tagged(docker_registry, prefix)
    refused = layoutlift.plan(source, target, "--registry-kind", "docker-hub", code=1)
    assert "--flatten 2" in refused.output
