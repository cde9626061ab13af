"""The command works from any folder, also beside modules of the same names, and from its wheel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder

CHECKOUT = Path(__file__).resolve().parents[2]
IN_THE_WHEEL = ("flows", "tasks", "pyproject.toml", "README.md", "LICENSE")
FOREIGN = "raise SystemExit('a foreign module was imported')\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    return tmp_path / "source"


@pytest.fixture
def foreign_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "foreign"
    (folder / "flows").mkdir(parents=True)
    for name in ("tasks.py", "flows/__init__.py", "prefect.py", "infra.py"):
        (folder / name).write_text(FOREIGN)
    return folder


def test_beside_foreign_modules(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path, foreign_folder: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    assert layoutlift.migrate(source, target, cwd=foreign_folder).outcomes == {"app:v1": "copied"}
    layoutlift("ls", source, cwd=foreign_folder)


def test_beside_foreign_modules_through_prefect(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    prefix: str,
    source: Path,
    foreign_folder: Path,
) -> None:
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    ended = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}", cwd=foreign_folder)
    assert ended.outcomes == {"app:v1": "copied"}


def pip(*arguments: str | Path, cwd: Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    outcome = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_from_its_wheel(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in IN_THE_WHEEL:
        if (CHECKOUT / name).is_dir():  # without what other tests compile just now
            shutil.copytree(CHECKOUT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / name, project / name)
    pip("wheel", "--no-deps", "-w", "wheels", ".", cwd=project)
    (wheel,) = (project / "wheels").iterdir()
    site = tmp_path / "site"
    pip("install", "--no-deps", "--no-index", "--target", site, wheel, cwd=tmp_path)
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"bin", "flows", "tasks"}

    installed = Layoutlift(layoutlift.home, {"PYTHONPATH": str(site)}, (site / "bin" / "layoutlift",))
    shown = "import flows.cli, tasks.runs; print(flows.cli.__file__, tasks.runs.__file__)"
    where = Layoutlift(layoutlift.home, installed.environment, (sys.executable, "-c", shown))().stdout
    assert where.count(str(site)) == 2
    assert installed.migrate(source, f"{docker_registry.host}/{prefix}").outcomes == {"app:v1": "copied"}
    assert installed("--version").stdout.strip()
