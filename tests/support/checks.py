"""Options of a run that asks nothing of a target."""

from pathlib import Path

from tasks.run_options import RunOptions
from tests.support.layouts import LayoutBuilder


def check_of_one_tag(folder: Path) -> RunOptions:
    """For a check of a source with one tag; source, state and report are in the folder."""
    layout = LayoutBuilder(folder / "source" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    places = {"state": str(folder / "state"), "report": str(folder / "report.json")}
    return RunOptions(str(folder / "source"), None, **places)
