"""What the pages say of installing works in a clone: the package is in no index."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]


def test_pages_install_the_clone_with_extras_that_it_has() -> None:
    told = [what for page in PAGES for what in re.findall(r"pipx? install (?:--\S+ )*'?([^'`\s]+)", page.read_text())]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert len(told) >= 4
    assert set(told) <= {".", *(f".[{extra}]" for extra in extras)}
