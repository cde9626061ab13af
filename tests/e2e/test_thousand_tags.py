"""Fifty repositories of twenty tags: every tag has an outcome and arrives, and a second run only asks."""

from pathlib import Path

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.registry_view import everything_tagged

REPOSITORIES, TAGS = 50, 20
ASKED_BESIDES_TAGS = 10


def write_tree(root: Path) -> dict[str, str]:
    """The digest of each `repository:tag`."""
    written = {}
    for number in range(REPOSITORIES):
        name = f"team-{number % 5}/app-{number}"
        layout = LayoutBuilder(root / name)
        for tag in range(TAGS):
            layers = [random_bytes(1000 * number + tag, 4096), random_bytes(tag, 4096)]
            written[f"{name}:v{tag}"] = layout.image(f"v{tag}", layers=layers)["digest"]
        layout.write()
    return written


def test_a_thousand_tags_arrive_and_a_second_run_asks_for_each_once(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    written = write_tree(tmp_path)
    target = f"{docker_registry.host}/{prefix}"
    first = layoutlift.migrate(tmp_path, target)
    assert first.outcomes == dict.fromkeys(written, "copied")
    assert first.totals["tags"] == first.totals["copied"] == REPOSITORIES * TAGS
    assert everything_tagged(docker_registry, prefix) == written

    second = layoutlift.migrate(tmp_path, target)
    assert second.outcomes == dict.fromkeys(written, "up_to_date")
    assert {row["verified"] for row in second.report["tags"]} == {"manifest"}
    assert second.totals["requests"] <= REPOSITORIES * TAGS + ASKED_BESIDES_TAGS
    assert second.totals["bytes_pushed"] == second.totals["blobs_pushed"] == 0
