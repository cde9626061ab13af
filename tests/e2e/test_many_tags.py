"""Many repositories of twenty tags: every tag has an outcome and arrives, and a second run only asks."""

from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.registry_view import everything_tagged

TAGS = 20
ASKED_BESIDES_TAGS = 10


def write_tree(root: Path, repositories: int) -> dict[str, str]:
    """The digest of each `repository:tag`."""
    written = {}
    for number in range(repositories):
        name = f"team-{number % 5}/app-{number}"
        layout = LayoutBuilder(root / name)
        for tag in range(TAGS):
            layers = [random_bytes(1000 * number + tag, 4096), random_bytes(tag, 4096)]
            written[f"{name}:v{tag}"] = layout.image(f"v{tag}", layers=layers)["digest"]
        layout.write()
    return written


@pytest.mark.parametrize("repositories", [12, pytest.param(50, marks=pytest.mark.soak)])
def test_all_tags_arrive_and_a_second_run_asks_for_each_once(
    repositories: int, layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    written = write_tree(tmp_path, repositories)
    target = f"{docker_registry.host}/{prefix}"
    first = layoutlift.migrate(tmp_path, target)
    assert first.outcomes == dict.fromkeys(written, "copied")
    assert first.totals["tags"] == first.totals["copied"] == repositories * TAGS
    assert everything_tagged(docker_registry, prefix) == written

    second = layoutlift.migrate(tmp_path, target)
    assert second.outcomes == dict.fromkeys(written, "up_to_date")
    assert {row["verified"] for row in second.report["tags"]} == {"manifest"}
    assert second.totals["requests"] <= repositories * TAGS + ASKED_BESIDES_TAGS
    assert second.totals["bytes_pushed"] == second.totals["blobs_pushed"] == 0
