"""What the page on registries has people run does what it says."""

import re
import subprocess
import sys
from pathlib import Path

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder

PAGE = (Path(__file__).parents[2] / "docs" / "registries.md").read_text()


def test_names_for_docker_hub_are_made_of_those_that_are_too_deep(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    source = tmp_path / "s"
    for path in ("plain", "team", "team/app", "team/app/web", "Legacy Tools/My App"):
        layout = LayoutBuilder(source / path)
        layout.image("v1", layers=[path.encode()])
        layout.write()
    (lines,) = re.findall(r"export (LAYOUTLIFT_RENAME=.*?\)\")\n", PAGE, re.DOTALL)
    made = subprocess.run(
        ["sh", "-c", f'{lines.replace("/mnt/bucket", str(source))}; echo "$LAYOUTLIFT_RENAME"'],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
    ).stdout.strip()
    target = f"{docker_registry.host}/{prefix}"
    planned = layoutlift.plan(
        source, target, "--registry-kind", "docker-hub", environment={"LAYOUTLIFT_RENAME": made}
    )
    names = {row["repository"]: row["target"].removeprefix(f"{target}/") for row in planned.report["tags"]}
    assert names == {
        "plain": "plain:v1",
        "team": "team:v1",
        "team/app": "team-app:v1",
        "team/app/web": "team-app-web:v1",
        "Legacy Tools/My App": "legacy-tools-my-app:v1",
    }
