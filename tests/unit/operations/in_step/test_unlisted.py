"""What earlier runs found and a listing lacks is gone where each kind of source says that nothing is there."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.codes import Remark
from tasks.operations.in_step.unlisted import asked_for
from tasks.operations.source.split_source import SplitSource
from tasks.ports import Finding, LayoutReader
from tasks.stop import Stop
from tasks.stores.directory import watched_process
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.mount_patience import Patience
from tasks.stores.directory.watched_layouts import WatchedLayouts
from tasks.stores.directory.watched_process import WatchedProcess
from tests.support.layouts import LayoutBuilder

UNLISTED = Finding("gone", Remark.LAYOUT_VANISHED, "it is not listed")


def found(root: Path, *, is_split: bool) -> str:
    source = LayoutDirectory(root, retry_wait=0)
    return code_of(SplitSource(source, Stop()) if is_split else source)


def code_of(source: LayoutReader) -> str:
    (finding,) = asked_for(source, [UNLISTED], Stop(), is_other=False)
    return finding.code


@pytest.mark.parametrize("is_split", [True, False])
def test_nothing_is_left_of_what_is_gone(tmp_path: Path, is_split: bool) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"app"])
    layout.write()
    assert found(tmp_path, is_split=is_split) == "layout_vanished"


def test_of_a_split_source_one_layout_that_can_not_be_read_may_have_had_it(tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "app").write()
    (tmp_path / "app" / "index.json").write_bytes(b"{")
    assert found(tmp_path, is_split=True) == "invalid_layout"


@pytest.mark.parametrize("marker", [b"", b"{}", b'{"imageLayoutVersion":"1.0.0"}'])
def test_a_marker_whatever_it_says_is_something_that_is_there(tmp_path: Path, marker: bytes) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "oci-layout").write_bytes(marker)
    assert found(tmp_path, is_split=False) == "invalid_layout"


def test_on_a_mount_too_what_is_gone_is_told_by_its_kind_however_it_is_worded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deleted at the target hangs on it."""
    told = watched_process.error_from_json

    def in_other_words(message: dict[str, Any]) -> Exception:
        return told(message | {"message": "nothing there"})

    monkeypatch.setattr(watched_process, "error_from_json", in_other_words)
    with closing(WatchedProcess(str(tmp_path), Patience())) as process:
        assert code_of(WatchedLayouts(process)) == "layout_vanished"
        (tmp_path / "gone").mkdir()
        (tmp_path / "gone" / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
        assert code_of(WatchedLayouts(process)) == "invalid_layout"


FETCHED = "app/.sync/0b9c7a52-1111-4222-8333-444455556666/app"


@pytest.mark.parametrize("index", [b'{"schemaVersion":2,"manifests":[]}', b"{", None])
def test_what_no_search_looks_into_is_not_hidden_by_a_listing(tmp_path: Path, index: bytes | None) -> None:
    """An earlier version took what a zot that was killed had fetched of a repository for one of its own."""
    LayoutBuilder(tmp_path / FETCHED).write()
    if index is None:
        (tmp_path / FETCHED / "index.json").unlink()
    else:
        (tmp_path / FETCHED / "index.json").write_bytes(index)
    source, unlisted = LayoutDirectory(tmp_path, retry_wait=0), replace(UNLISTED, path=FETCHED)
    assert [*asked_for(source, [unlisted], Stop(), is_other=False)] == []
    shutil.rmtree(tmp_path / "app")
    assert [*asked_for(source, [unlisted], Stop(), is_other=False)] == [unlisted]
