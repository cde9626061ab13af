from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.real_parts import wait_until
from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import (
    LayoutNote,
    LedgerEntry,
    LedgerMemory,
    LedgerPart,
    at_risk_line,
    layout_line,
    tag_line,
)
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError, StateError
from tasks.stores.state import json_lines, ledger_files, ledger_folder, ledger_names
from tasks.stores.state.json_lines import JsonLinesWriter
from tasks.stores.state.ledger_folder import LedgerFolder

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha512:" + "cd" * 64
MANIFEST = Descriptor("application/vnd.oci.image.manifest.v1+json", Digest(DIGEST), 123)


def opened(folder, run):
    return Ledger(LedgerFolder(folder, run))


def digest_of(ledger, repository, tag):
    entry = ledger.entry(repository, tag)
    return entry and entry.digest


def note(folder, run, repository="app", tag="v1", digest=DIGEST):
    ledger = opened(folder, run)
    ledger.note_tag(repository, tag, digest, "manifest", 0, layout=repository)
    ledger.close()


def file_of(folder, run):
    """The last one of a run."""
    return max(folder.glob(f"ledger-*-{run}.jsonl"))


def lines_of(folder, run):
    return [json.loads(line) for line in file_of(folder, run).read_text().splitlines()]


def names_left(folder):
    """Of which runs there are files, in the order in which these were begun."""
    return [path.stem.rpartition("-")[2] for path in ledger_files.in_order(folder)]


def test_nothing_is_made_by_reading(tmp_path):
    ledger = opened(tmp_path / "none", "r1")
    assert digest_of(ledger, "app", "v1") is None
    assert ledger.entry("app", "v1") is None
    assert not ledger.was_started("app")
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_knows_what_this_one_wrote(tmp_path):
    ledger = opened(tmp_path / "pair", "r1")
    ledger.note_started("app")
    ledger.note_tag("app", "v1", DIGEST, "content", 3, layout="app")
    ledger.note_tag("app", "v2", OTHER, None, 0, layout="app")
    assert digest_of(ledger, "app", "v1") == DIGEST
    ledger.close()
    ledger.close()
    again = opened(tmp_path / "pair", "r2")
    assert again.entry("app", "v1") == LedgerEntry(DIGEST, "content", 3)
    assert again.entry("app", "v2") == LedgerEntry(OTHER, None, 0)
    assert again.was_started("app")
    assert not again.was_started("other")


def test_lines_are_as_designed(tmp_path):
    ledger = opened(tmp_path, "r1")
    for _ in range(2):  # what is known already is no line
        ledger.note_started("app")
        ledger.note_tag("app", "v1", DIGEST, "manifest", 1, layout="app")
        ledger.note_layout("App", "app", "etag", "settings")
        ledger.forget_tag("app", "v9")
        ledger.forget_layout("nowhere")
    assert ledger.was_started("app")
    assert ledger.layout("App") == LayoutNote("app", "etag", "settings")
    ledger.close()
    tag = {"repository": "app", "tag": "v1", "digest": DIGEST, "verified": "manifest", "referrers": 1}
    layout = {"layout": "App", "repository": "app", "etag": "etag", "settings": "settings"}
    assert lines_of(tmp_path, "r1") == [{"started": "app"}, tag, layout]


def test_the_last_word_counts_over_all_files(tmp_path):
    note(tmp_path, "r1")
    note(tmp_path, "a-later-run", digest=OTHER)
    assert digest_of(opened(tmp_path, "r3"), "app", "v1") == OTHER


def test_a_late_word_brings_no_earlier_ones_after_those_of_the_run_that_took_over(tmp_path):
    """As of a run that was stopped, lost its lock, and goes on: its file is the last that was written to."""
    late = opened(tmp_path, "late")
    late.note_tag("app", "v1", DIGEST, None, 0, layout="app")
    late.note_layout("app", "app", "one", "settings")
    late.flush()
    ledger = opened(tmp_path, "took-over")
    ledger.note_tag("app", "v1", OTHER, None, 0, layout="app")
    ledger.note_layout("app", "app", "two", "settings")
    ledger.close()
    late.note_started("other")
    late.close()
    reader = opened(tmp_path, "reader")
    assert (digest_of(reader, "app", "v1"), reader.layout("app").etag) == (OTHER, "two")
    assert reader.was_started("other")


@pytest.mark.parametrize(
    "rubbish",
    [
        b'{"repository": "app", "tag": "v9", "dig', b"\xff\xfe", b"[1]", b"null", b'{"tag": 3}', b"\x00" * 100,
        b'{"repository": "app", "tag": "v9", "digest": "sha256:../.."}', b'{"started": 1}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_a_crash_left_is_passed_over(tmp_path, rubbish):
    note(tmp_path, "r1")
    with file_of(tmp_path, "r1").open("ab") as file:
        file.write(rubbish)
    note(tmp_path, "r1", tag="v2")  # the same run, started again
    ledger = opened(tmp_path, "r2")
    assert [digest_of(ledger, "app", tag) for tag in ("v1", "v2", "v9")] == [DIGEST, DIGEST, None]


def begin(folder, run, *, at):
    """Note something by a clock that shows `at`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_names, "time", SimpleNamespace(time_ns=lambda: int(at * 10**9)))
        note(folder, run, tag=run)
        note(folder, f"{run}again", tag="moving", digest=f"sha256:{len(run):064x}")


def test_the_last_word_counts_whatever_the_clock_said_before_it_was_set_back(tmp_path):
    now = time.time()
    for run, ahead in {"one": 0.0, "ahead": 86_400.0, "back": 0.0, "further": -86_400.0}.items():
        begin(tmp_path, run, at=now + ahead)
    names = ["one", "oneagain", "ahead", "aheadagain", "back", "backagain", "further", "furtheragain"]
    assert names_left(tmp_path) == names
    assert digest_of(opened(tmp_path, "reader"), "app", "moving") == f"sha256:{7:064x}"


def leave_old_files(folder, ages):
    """Files as earlier versions named them, by how many seconds after now their last words came."""
    folder.mkdir(exist_ok=True)
    for run, seconds in ages.items():
        path = folder / f"ledger-{run}.jsonl"
        path.write_text(json.dumps(tag_line("app", "v1", LedgerEntry(f"sha256:{abs(seconds):064x}"))) + "\n")
        os.utime(path, (time.time() + seconds,) * 2)


def test_files_that_have_no_stamp_keep_the_order_of_their_last_words_and_come_before_what_is_begun_now(tmp_path):
    """As earlier versions left them, also by a clock that was ahead."""
    leave_old_files(tmp_path, {"20261130T000000-c": -3, "20261130T000000-a": -2, "20261130T000000-b": 86_400})
    assert digest_of(opened(tmp_path, "reader"), "app", "v1") == f"sha256:{86_400:064x}"
    note(tmp_path, "new", digest=DIGEST)
    assert names_left(tmp_path) == ["c", "a", "b", "new"]
    assert digest_of(opened(tmp_path, "reader"), "app", "v1") == DIGEST


def test_versions_that_stamp_no_file_and_this_one_may_take_turns(tmp_path):
    begin(tmp_path, "new", at=time.time() - 5)
    leave_old_files(tmp_path, {"20261130T000000-old": 1})
    note(tmp_path, "newer", digest=DIGEST)
    assert names_left(tmp_path) == ["new", "newagain", "old", "newer"]
    assert digest_of(opened(tmp_path, "reader"), "app", "v1") == DIGEST


def test_a_file_that_goes_while_another_is_begun_is_in_nobodys_way(tmp_path, monkeypatch):
    """As one that is made one with others just then."""
    leave_old_files(tmp_path, {"20261130T000000-old": 1})
    stat = Path.stat

    def gone(path, **more):
        if path.name.endswith("-old.jsonl"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return stat(path, **more)

    ledger = opened(tmp_path, "new")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", gone)
        ledger.note_started("app")
    ledger.close()
    assert opened(tmp_path, "reader").was_started("app")


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
def test_a_folder_that_knows_no_flock_keeps_a_ledger_all_the_same(tmp_path, monkeypatch, caplog, number):
    """That its files go on to be more is said together with what to do about it."""

    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ledger_folder.fcntl, "flock", unsupported)
    with left_apart(monkeypatch):
        many_runs(tmp_path)
    assert None not in written(tmp_path)
    assert len(list(tmp_path.glob("ledger-*"))) == 25, "nobody knows which are in use"
    (said,) = caplog.messages
    assert said.startswith(f"the files of the ledger in {tmp_path} become more with each run")
    assert "--state" in said


def open_files(folder):
    """The files of a folder that this process has open."""
    links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.exists()]
    return [link for link in links if link.is_relative_to(folder)]


def test_a_ledger_opens_its_file_once_and_lets_go_of_it_also_where_it_can_not_be_written(tmp_path, monkeypatch):
    ledger = opened(tmp_path, "r1")
    for number in range(10):
        ledger.note_started(f"app{number}")
    assert len(open_files(tmp_path)) == 2, "to write to, and to have it be in use"

    def no_room(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(json_lines.os, "write", no_room)
        ledger.note_tag("app", "v1", DIGEST, None, 0, layout="app")
        with pytest.raises(StateError, match="No space"):
            ledger.close()
    assert open_files(tmp_path) == []
    ledger.close()


def test_unknown_depths_prove_nothing(tmp_path):
    line = {"repository": "app", "tag": "v1", "digest": DIGEST, "verified": "magic", "referrers": "x", "new": 1}
    (tmp_path / "ledger-r1.jsonl").write_text(json.dumps(line))
    assert opened(tmp_path, "r2").entry("app", "v1") == LedgerEntry(DIGEST, None, 0)


@pytest.mark.parametrize(
    ("name", "number", "most"),
    [
        *(("referrers", number, most) for number, most in ((-1, 0), (2**24, 2**24 - 1), (2**40, 2**24 - 1))),
        *(("referrers_mark", number, 0) for number in (-1, 2**32, 2**40)),
        *((name, number, 0) for name in ("referrers", "referrers_mark") for number in ("3", True, None, [3])),
    ],
)
def test_numbers_that_no_run_writes_are_no_obstacle(tmp_path, name, number, most):
    line = {"repository": "app", "tag": "v1", "digest": DIGEST, "verified": "blobs", name: number}
    (tmp_path / "ledger-r1.jsonl").write_text(json.dumps(line) + "\n")
    entry = opened(tmp_path, "r2").entry("app", "v1")
    assert (entry.digest, entry.verified, getattr(entry, name)) == (DIGEST, "blobs", most)


@pytest.mark.parametrize(
    "said", [{"origin": ["a"]}, {"origin": 3}, {"found": "true"}, {"found": 1}, {"verified": ["blobs"]}, {"new": {}}]
)
def test_values_of_another_type_say_nothing(tmp_path, said):
    line = {"repository": "app", "tag": "v1", "digest": DIGEST, **said}
    (tmp_path / "ledger-r1.jsonl").write_text(json.dumps(line) + "\n")
    assert opened(tmp_path, "r2").entry("app", "v1") == LedgerEntry(DIGEST)


def test_lines_that_no_run_writes_change_nothing(tmp_path):
    note(tmp_path, "r1")
    lines = [
        {"gone": "nowhere"},
        {"repository": "app", "tag": "v1", "gone": False},
        {"repository": "app", "tag": "v9", "gone": True},
        {"layout": "app", "repository": "app", "etag": "etag", "settings": 3},
    ]
    with (tmp_path / "ledger-r1.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    ledger = opened(tmp_path, "r2")
    assert (ledger.tags_of("app"), ledger.layouts()) == ({"v1": DIGEST}, [])


@pytest.mark.parametrize("mark", [0, 1, 2**32 - 1])
def test_which_referrers_a_tag_had_is_told_to_later_runs(tmp_path, mark):
    ledger = opened(tmp_path, "r1")
    ledger.note_tag("app", "v1", DIGEST, "manifest", 2, layout="other", referrers_mark=mark)
    ledger.close()
    assert opened(tmp_path, "r2").entry("app", "v1") == LedgerEntry(DIGEST, "manifest", 2, "other", False, mark)


def test_what_was_forgotten_stays_so_for_later_runs(tmp_path):
    ledger = opened(tmp_path, "r1")
    for tag in ("v1", "v2"):
        ledger.note_tag("app", tag, DIGEST, None, 0, layout="app")
    ledger.note_layout("app", "app", "etag", "settings")
    ledger.note_layout("other", "other", "etag", "settings")
    ledger.forget_tag("app", "v1")
    ledger.forget_layout("app")
    ledger.close()
    again = opened(tmp_path, "r2")
    assert (again.tags_of("app"), again.layouts()) == ({"v2": DIGEST}, ["other"])


def test_what_is_made_one_says_all_that_the_lines_before_said():
    memory, again = LedgerMemory(), LedgerMemory()
    said = [
        {"started": "app"},
        layout_line("App", LayoutNote("app", "etag", "settings")),
        tag_line("app", "v1", LedgerEntry(DIGEST, "blobs", 2, origin="App")),
        tag_line("app", "v2", LedgerEntry(DIGEST, None, 0, found=True)),
        {"repository": "app", "tag": "v2", "coming": OTHER},
        {"repository": "app", "tag": "v3", "coming": DIGEST, "origin": "App"},
        at_risk_line("app", MANIFEST),
    ]
    for line in said:
        memory.take_line(line)
    for line in memory.lines():
        again.take_line(line)
    assert sorted(map(str, again.lines())) == sorted(map(str, said))


def test_of_a_part_all_that_is_said_of_it_is_remembered_and_nothing_else():
    def said_of(layout, repository):
        return [
            {"started": repository},
            layout_line(layout, LayoutNote(repository, "etag", "settings")),
            tag_line(repository, "v1", LedgerEntry(DIGEST, "blobs", 2, origin=layout)),
            {"repository": repository, "tag": "v3", "coming": DIGEST},
            at_risk_line(repository, MANIFEST),
        ]

    def gone_of(layout, repository):
        tags = [{"repository": repository, "tag": tag, "gone": True} for tag in ("v1", "v3")]
        return [*tags, {"repository": repository, "kept": DIGEST}, {"gone": layout}]

    part = LedgerMemory(LedgerPart(frozenset({"App"}), frozenset({"app"})))
    for line in [*said_of("Other", "other"), *said_of("App", "app"), *gone_of("Other", "other"), {"started": []}]:
        part.take_line(line)
    assert sorted(map(str, part.lines())) == sorted(map(str, said_of("App", "app")))
    for line in gone_of("App", "app"):
        part.take_line(line)
    assert list(part.lines()) == [{"started": "app"}]


def test_a_manifest_at_risk_is_known_until_it_was_kept_whatever_became_of_the_run(tmp_path):
    opened(tmp_path, "killed").note_at_risk("app", MANIFEST)
    ledger = opened(tmp_path, "r1")
    assert (ledger.at_risk("app"), ledger.at_risk("other")) == ([MANIFEST], [])
    for _ in range(2):  # what is known already is no line
        ledger.note_at_risk("app", MANIFEST)
        ledger.note_kept("app", DIGEST)
        ledger.note_kept("app", OTHER)
    ledger.close()
    assert opened(tmp_path, "r2").at_risk("app") == []
    kept = {"repository": "app", "kept": DIGEST}
    assert lines_of(tmp_path, "r1") == [kept, at_risk_line("app", MANIFEST), kept]


def test_a_manifest_at_risk_that_nobody_can_read_is_passed_over():
    memory = LedgerMemory()
    for wrong in ({}, {"mediaType": "text/plain", "digest": "none", "size": 1}, "text"):
        memory.take_line({"repository": "app", "at_risk": wrong})
    assert list(memory.lines()) == []


def test_a_tag_that_was_only_about_to_be_brought_is_forgotten_for_later_runs_too(tmp_path):
    opened(tmp_path, "killed").note_coming("app", "v1", DIGEST, layout="app")
    ledger = opened(tmp_path, "r1")
    assert ledger.may_have_brought("app", "v1", DIGEST, layout="app")
    ledger.forget_tag("app", "v1")
    assert not ledger.may_have_brought("app", "v1", DIGEST, layout="app")
    ledger.close()
    assert not opened(tmp_path, "r2").may_have_brought("app", "v1", DIGEST, layout="app")


def test_a_run_that_finds_a_tag_as_it_was_noted_ends_what_was_coming_to_it(tmp_path):
    """What others bring there after that is theirs, whatever a run that was killed had in mind."""
    note(tmp_path, "r1")
    opened(tmp_path, "killed").note_coming("app", "v1", OTHER, layout="app")
    ledger = opened(tmp_path, "r2")
    assert (ledger.is_coming("app", "v1"), ledger.is_coming("app", "v2")) == (True, False)
    known = ledger.entry("app", "v1")
    ledger.note_tag("app", "v1", DIGEST, known.verified, known.referrers, layout="app", found=True)
    assert not ledger.is_coming("app", "v1")
    ledger.close()
    later = opened(tmp_path, "r3")
    assert not later.may_have_brought("app", "v1", OTHER, layout="app")
    assert later.entry("app", "v1") == known, "and stays brought"


def test_what_is_about_to_come_in_place_of_what_is_known_is_noted(tmp_path):
    ledger = opened(tmp_path, "r1")
    ledger.note_tag("app", "v1", DIGEST, None, 0, layout="app")
    ledger.note_coming("app", "v1", OTHER, layout="app")
    assert opened(tmp_path, "r2").may_have_brought("app", "v1", OTHER, layout="app")
    ledger.close()


def test_what_is_forgotten_after_a_look_at_all_tags_is_not_among_them(tmp_path):
    note(tmp_path, "r1")
    note(tmp_path, "r1", tag="v2")
    ledger = opened(tmp_path, "r2")
    assert ledger.tags_of("app").keys() == {"v1", "v2"}
    ledger.forget_tag("app", "v1")
    assert ledger.tags_of("app").keys() == {"v2"}
    ledger.close()


def test_of_a_layout_the_last_note_counts(tmp_path):
    ledger = opened(tmp_path, "r1")
    for etag in ("one", "two", ""):
        ledger.note_layout("App", "app", etag, "settings")
        assert ledger.layout("App") == LayoutNote("app", etag, "settings")
    ledger.close()
    assert opened(tmp_path, "r2").layout("App") == LayoutNote("app", "", "settings")


@pytest.mark.parametrize("prefix", ["", "mirror"])
def test_the_layout_that_a_tag_was_noted_from_is_told(tmp_path, prefix):
    repository = f"{prefix}/team/app".strip("/")
    ledger = Ledger(LedgerFolder(tmp_path, "r1"), prefix)
    ledger.note_tag(repository, "v1", DIGEST, None, 0, layout="team/app")
    ledger.note_tag(repository, "v2", DIGEST, None, 0, layout="Team/App")
    ledger.close()
    again = Ledger(LedgerFolder(tmp_path, "r2"), prefix)
    assert [again.origin(repository, tag) for tag in ("v1", "v2", "v3")] == ["team/app", "Team/App", None]


def test_only_digests_are_noted(tmp_path):
    with pytest.raises(InvalidDigestError):
        opened(tmp_path, "r1").note_tag("app", "v1", "latest", None, 0, layout="app")


def test_a_run_id_can_not_leave_the_folder(tmp_path):
    note(tmp_path / "pair", "../../x y")
    (file,) = (tmp_path / "pair").iterdir()
    assert re.match(r"ledger-\d{14}-\.\.-\.\.-x-y-", file.name)


def test_that_a_repository_was_begun_outlives_the_process_at_once(tmp_path):
    """A run that is killed now must not be taken for one that sent nothing."""
    ledger = opened(tmp_path, "r1")
    ledger.note_started("app")
    assert opened(tmp_path, "r2").was_started("app")
    ledger.close()


def test_what_is_about_to_be_brought_outlives_the_process_at_once_and_is_noted_only_where_it_is_new(tmp_path):
    ledger = opened(tmp_path, "r1")
    ledger.note_tag("app", "v1", DIGEST, None, 0, layout="app")
    ledger.note_coming("app", "v1", DIGEST, layout="app")
    ledger.note_coming("app", "v2", DIGEST, layout="app")
    assert opened(tmp_path, "r2").may_have_brought("app", "v2", DIGEST, layout="app")
    assert digest_of(opened(tmp_path, "r2"), "app", "v1") == DIGEST, "so is what waited"
    ledger.close()
    assert lines_of(tmp_path, "r1")[1:] == [{"repository": "app", "tag": "v2", "coming": DIGEST}]


def test_what_a_run_noted_outlives_the_machine_from_its_end_on(tmp_path, monkeypatch):
    """Until then it outlives the process: a mount that uploads whole files would do so once a second."""
    synced = []

    def fdatasync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(ledger_files.os, "fdatasync", fdatasync)
    opened(tmp_path, "r1").close()
    ledger = opened(tmp_path, "r2")
    ledger.note_started("app")
    ledger.note_coming("app", "v1", DIGEST, layout="app")
    assert synced == []
    ledger.close()
    ledger.close()
    assert synced == [file_of(tmp_path, "r2")]


def test_a_disk_that_fails_when_it_is_to_keep_a_ledger_is_told_of(tmp_path, monkeypatch):
    """Some take every write, as a share that is over its quota."""

    def no_room(_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(ledger_files.os, "fdatasync", no_room)
    ledger = opened(tmp_path, "r1")
    ledger.note_started("app")
    with pytest.raises(StateError, match=r"ledger-\d{14}-r1.jsonl can't be written or read: Disk quota exceeded"):
        ledger.close()
    assert open_files(tmp_path) == []
    ledger.close()


def test_lines_outlive_the_process_after_a_second_without_another_call(tmp_path):
    ledger = opened(tmp_path, "r1")
    ledger.note_tag("app", "v1", DIGEST, None, 0, layout="app")
    wait_until(lambda: file_of(tmp_path, "r1").read_bytes().endswith(b"\n"), what="the line is written")
    assert digest_of(opened(tmp_path, "r2"), "app", "v1") == DIGEST
    ledger.close()


def test_threads_share_a_ledger(tmp_path):
    ledger = opened(tmp_path, "r1")

    def work(number):
        for i in range(500):
            ledger.note_tag(f"app{number}", f"v{i}", DIGEST, None, 0, layout=f"app{number}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    again = opened(tmp_path, "r2")
    assert all(digest_of(again, f"app{n}", f"v{i}") for n in range(8) for i in range(500))


def test_a_full_disk_is_said_once_at_each_call_in_one_line(tmp_path):
    writer = JsonLinesWriter(tmp_path / "full")
    (tmp_path / "full").symlink_to("/dev/full")
    writer.append({"a": 1})
    for _ in range(2):
        with pytest.raises(StateError, match="No space left on device") as raised:
            writer.flush()
    assert "\n" not in str(raised.value)
    with pytest.raises(StateError):
        writer.append({"a": 2})
    writer.close()


def test_a_failure_that_nobody_heard_of_is_told_at_the_close(tmp_path):
    writer = JsonLinesWriter(tmp_path / "full")
    (tmp_path / "full").symlink_to("/dev/full")
    writer.append({"a": 1})
    with pytest.raises(StateError, match="No space"):
        writer.close()
    writer.close()


def test_what_was_torn_is_no_part_of_what_is_written_after_it(tmp_path):
    writer = JsonLinesWriter(tmp_path / "lines")
    writer.append({"a": 1})
    writer.close()
    with (tmp_path / "lines").open("ab") as file:
        file.write(b'{"b": ')
    writer.append({"c": 3})
    writer.close()
    assert list(json_lines.read_json_lines(tmp_path / "lines")) == [{"a": 1}, {"c": 3}]


def test_a_file_size_limit_is_a_state_error(tmp_path):
    program = f"""
import pathlib, resource
from tasks.oci.errors import StateError
from tasks.ledger.ledger import Ledger
from tasks.stores.state.ledger_folder import LedgerFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
ledger = Ledger(LedgerFolder(pathlib.Path({str(tmp_path)!r}), "r1"))
for i in range(100):
    ledger.note_tag("app", f"v{{i}}", {DIGEST!r}, None, 0, layout="app")
try:
    ledger.close()
except StateError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, check=True)
    assert "File too large" in result.stdout
    assert digest_of(opened(tmp_path, "r2"), "app", "v0") == DIGEST


def test_a_folder_that_can_not_be_made_is_a_state_error(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = opened(tmp_path / "file" / "pair", "r1")
    with pytest.raises(StateError, match="Not a directory"):
        ledger.note_started("app")


@contextmanager
def left_apart(monkeypatch):
    """Have the ledgers that are opened in the block make none of their files one."""
    with monkeypatch.context() as patch:
        patch.setattr(ledger_folder, "MOST_FILES", 1000)
        yield


def many_runs(folder, count=25):
    for i in range(count):
        ledger = opened(folder, f"r{i:02}")
        ledger.note_tag("app", f"v{i}", DIGEST, "manifest", 0, layout="app")
        ledger.note_tag("app", "moving", f"sha256:{i:064x}", "manifest", 0, layout="app")
        ledger.close()
        leave_alone(folder, f"r{i:02}")


def leave_alone(folder, run, seconds=3600.0):
    os.utime(file_of(folder, run), (time.time() - seconds,) * 2)


def written(folder):
    ledger = opened(folder, "reader")
    return [digest_of(ledger, "app", tag) for tag in (*(f"v{i}" for i in range(25)), "moving")]


def test_many_old_files_become_one(tmp_path, monkeypatch):
    with left_apart(monkeypatch):
        many_runs(tmp_path)
        before = written(tmp_path)
    assert before[-1] == f"sha256:{24:064x}"
    assert written(tmp_path) == before
    assert list(tmp_path.glob("ledger-*")) == []
    assert (tmp_path / "compacted.jsonl").exists()
    assert list(tmp_path.glob("*.tmp")) == []
    assert written(tmp_path) == before


def test_files_in_use_or_just_written_are_not_compacted(tmp_path, monkeypatch):
    with left_apart(monkeypatch):
        many_runs(tmp_path)
        note(tmp_path, "new", tag="new")
    with file_of(tmp_path, "r23").open("rb") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_SH)
        before = written(tmp_path)
    assert names_left(tmp_path) == ["r23", "r24", "new"]
    assert None not in before


def many_runs_of_which_newer_ones_take_back_words_of_the_oldest(folder):
    """They say that a tag of it moved, and that another is gone."""
    oldest = opened(folder, "oldest")
    for tag in ("deleted", "moved"):
        oldest.note_tag("app", tag, DIGEST, "manifest", 0, layout="app")
    oldest.close()
    many_runs(folder)
    newest = opened(folder, "newest")
    newest.note_tag("app", "moved", OTHER, "manifest", 0, layout="app")
    newest.forget_tag("app", "deleted")
    newest.close()
    for run in ("oldest", "newest"):
        leave_alone(folder, run)


def test_words_that_are_older_than_those_of_a_file_in_use_do_not_come_after_them(tmp_path, monkeypatch):
    """What is made one is read first: what a tag moved to, and that it is gone, has to stay the last word."""
    with left_apart(monkeypatch):
        many_runs_of_which_newer_ones_take_back_words_of_the_oldest(tmp_path)
    with file_of(tmp_path, "oldest").open("rb") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_SH)
        opened(tmp_path, "reader").close()
    with left_apart(monkeypatch):
        assert opened(tmp_path, "reader").tags_of("app").items() >= {"moved": OTHER}.items()
        assert "deleted" not in opened(tmp_path, "reader").tags_of("app")
    assert not (tmp_path / "compacted.jsonl").exists(), "there was nothing to make one"


def test_files_that_another_user_may_write_alone_are_made_one_as_well(tmp_path, monkeypatch):
    """To read and remove them takes no right to write them; nor does the file that guards who does so."""
    with left_apart(monkeypatch):
        many_runs_of_which_newer_ones_take_back_words_of_the_oldest(tmp_path)
    (tmp_path / "compaction.guard").touch()
    theirs, open_as_root = {tmp_path / "compaction.guard", file_of(tmp_path, "oldest")}, os.open

    def open_as_user(path, flags, *mode, **more):
        if path in theirs and flags & os.O_ACCMODE != os.O_RDONLY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open_as_root(path, flags, *mode, **more)

    monkeypatch.setattr(ledger_folder.os, "open", open_as_user)
    tags = opened(tmp_path, "reader").tags_of("app")
    assert (tags["moved"], "deleted" in tags) == (OTHER, False)
    assert list(tmp_path.glob("ledger-*")) == []
    assert opened(tmp_path, "reader").tags_of("app") == tags


def test_that_files_can_not_be_made_one_is_said(tmp_path, monkeypatch, caplog):
    """Each run would read more of them, and nobody would know why."""
    with left_apart(monkeypatch):
        many_runs(tmp_path)
    (tmp_path / "compaction.guard").mkdir()
    assert None not in written(tmp_path)
    assert caplog.messages == [f"the files of the ledger in {tmp_path} are not made one for now: Is a directory"]


@pytest.mark.parametrize(("age", "is_idle"), [(590, False), (610, True)])
def test_a_file_is_in_nobodys_use_when_it_has_been_left_alone_for_ten_minutes(tmp_path, monkeypatch, age, is_idle):
    with left_apart(monkeypatch):
        many_runs(tmp_path)
    leave_alone(tmp_path, "r24", age)
    assert None not in written(tmp_path)
    assert names_left(tmp_path) == ([] if is_idle else ["r24"])


def test_a_share_that_locks_only_what_is_open_for_writing_is_compacted_too(tmp_path, monkeypatch):
    """NFS makes of an exclusive `flock` one that `fcntl` gives, which asks for a file that may be written."""
    with left_apart(monkeypatch):
        many_runs(tmp_path)
    flock = fcntl.flock

    def flock_of_nfs(file, operation):
        if operation & fcntl.LOCK_EX and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(file, operation)

    monkeypatch.setattr(ledger_folder.fcntl, "flock", flock_of_nfs)
    assert None not in written(tmp_path)
    assert list(tmp_path.glob("ledger-*")) == []


def test_the_file_of_a_run_at_work_is_not_compacted_however_old_it_is(tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "pair"
    with left_apart(monkeypatch):
        many_runs(folder)
    at_work = opened(folder, "work")
    at_work.note_started("app")
    leave_alone(folder, "work")
    with left_apart(monkeypatch):
        note(folder, "younger", tag="younger")
    leave_alone(folder, "younger")
    monkeypatch.setattr(ledger_folder, "MOST_FILES", 1)
    assert None not in written(folder)
    assert names_left(folder) == ["work", "younger"], "what is younger waits for it"
    at_work.note_tag("app", "v99", DIGEST, None, 0, layout="app")
    at_work.close()
    assert opened(folder, "reader").tags_of("app")["v99"] == DIGEST


def test_what_another_process_makes_one_while_it_is_read_is_not_missed(tmp_path, monkeypatch):
    note(tmp_path, "r1")
    note(tmp_path, "r2", tag="v2")
    read, files = ledger_folder.read_json_lines, sorted(tmp_path.glob("ledger-*"))

    def read_then_compact(path):
        yield from list(read(path))
        if path == files[0] and not (tmp_path / "compacted.jsonl").exists():
            (tmp_path / "compacted.jsonl").write_bytes(b"".join(file.read_bytes() for file in files))
            for file in files:
                file.unlink()

    monkeypatch.setattr(ledger_folder, "read_json_lines", read_then_compact)
    ledger = opened(tmp_path, "reader")
    assert (digest_of(ledger, "app", "v1"), digest_of(ledger, "app", "v2")) == (DIGEST, DIGEST)


@pytest.mark.parametrize("times", [1, 4, 5])
def test_a_ledger_whose_files_go_on_to_vanish_is_read_again_and_not_for_ever(tmp_path, monkeypatch, times):
    note(tmp_path, "r1")
    read, gone = ledger_folder.read_json_lines, iter(range(times))

    def vanishing(path):
        if next(gone, None) is not None:
            raise FileNotFoundError(2, "No such file")
        return read(path)

    monkeypatch.setattr(ledger_folder, "read_json_lines", vanishing)
    if times < 5:
        assert digest_of(opened(tmp_path, "reader"), "app", "v1") == DIGEST
    else:
        with pytest.raises(StateError, match="No such file"):
            opened(tmp_path, "reader")


def test_a_ledger_that_can_not_be_read_is_a_state_error(tmp_path):
    (tmp_path / "compacted.jsonl").mkdir()
    with pytest.raises(StateError, match="directory"):
        opened(tmp_path, "reader")


def test_files_are_made_one_when_they_are_more_than_enough_and_again_when_they_are_so_again(tmp_path, monkeypatch):
    for most in (3, 4, 4):
        with left_apart(monkeypatch):
            many_runs(tmp_path, most)
        monkeypatch.setattr(ledger_folder, "MOST_FILES", 3)
        opened(tmp_path, "reader").close()
        assert len(list(tmp_path.glob("ledger-*"))) == (3 if most == 3 else 0)


@pytest.mark.parametrize("lock", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_what_another_process_is_making_one_is_left_to_it(tmp_path, monkeypatch, lock):
    with left_apart(monkeypatch):
        many_runs(tmp_path)
    with (tmp_path / "compaction.guard").open("wb") as guard:
        fcntl.flock(guard, lock)
        assert None not in written(tmp_path)
    assert len(list(tmp_path.glob("ledger-*"))) == 25


def test_a_compaction_that_dies_before_it_removes_changes_nothing(tmp_path, monkeypatch):
    with left_apart(monkeypatch):
        many_runs(tmp_path)
        before = written(tmp_path)
    copies = {path: (path.read_bytes(), path.stat().st_mtime) for path in tmp_path.glob("ledger-*")}
    assert written(tmp_path) == before
    for path, (content, modified) in copies.items():
        path.write_bytes(content)
        os.utime(path, (modified, modified))
    assert written(tmp_path) == before


@pytest.mark.parametrize(("age", "stays"), [(590, True), (610, False)])
def test_what_a_compaction_left_that_was_killed_is_removed_by_a_later_one(tmp_path, monkeypatch, age, stays):
    """It may be as large as the ledger; one that is young may still be written, where a share has no locks."""
    with left_apart(monkeypatch):
        many_runs(tmp_path)
    killed, other = tmp_path / ".0123456789abcdef.tmp", tmp_path / ".keep"
    for path in (killed, other):
        path.write_bytes(b"{}")
        os.utime(path, (time.time() - age,) * 2)
    assert None not in written(tmp_path)
    assert (killed.exists(), other.exists()) == (stays, True)


def test_a_compaction_without_room_is_left_out(tmp_path, monkeypatch):
    with left_apart(monkeypatch):
        many_runs(tmp_path)

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger_folder.os, "fsync", no_room)
    assert None not in written(tmp_path)
    assert len(list(tmp_path.glob("ledger-*"))) == 25
    assert list(tmp_path.glob("*.tmp")) == []


@pytest.mark.parametrize("tags_each", [1, 1000])
def test_memory_is_less_than_300_bytes_a_tag(tmp_path, tags_each):
    ledger = opened(tmp_path, "r1")
    count = 6_000  # just past what makes a dict grow, where it is at its largest
    for i in range(count):
        digest = f"sha256:{i:064x}"
        layout = f"team-{i // tags_each:05}/platform/services/app"
        ledger.note_tag(layout, f"v1.2.{i:05}", digest, "blobs", 1, layout=layout)
    ledger.close()
    tracemalloc.start()
    again = opened(tmp_path, "r2")
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert digest_of(again, "team-00000/platform/services/app", "v1.2.00000")
    assert used / count < 300


def test_tags_of_a_repository_are_those_of_earlier_runs_and_of_no_neighbour(tmp_path):
    ledger = opened(tmp_path, "r1")
    for repository in ("team/app", "team/app2", "team", "team/app/deep", "team/apple", "team/app.x"):
        ledger.note_tag(repository, f"of-{repository.replace('/', '-')}", DIGEST, None, 0, layout=repository)
    ledger.note_layout("Team/App", "team/app", "etag", "settings")
    ledger.close()
    again = opened(tmp_path, "r2")
    assert again.tags_of("team/app") == {"of-team-app": DIGEST}
    assert again.tags_of("nowhere") == {}
    assert again.layouts() == ["Team/App"]
    assert again.layout("Team/App") == LayoutNote("team/app", "etag", "settings")


def test_tags_are_told_apart_by_the_layout_that_brought_them(tmp_path):
    ledger = opened(tmp_path, "r1")
    for layout, tag in [("team/app", "v1"), ("other", "v2"), ("App", "v3")]:
        ledger.note_tag("prefix/team/app", tag, DIGEST, None, 0, layout=layout)
    ledger.close()
    again = opened(tmp_path, "r2")
    assert dict.fromkeys(("v1", "v2", "v3"), DIGEST) == again.tags_of("prefix/team/app")
    for layout, tag in [("team/app", "v1"), ("other", "v2"), ("App", "v3")]:
        assert again.tags_of("prefix/team/app", layout) == {tag: DIGEST}
    again.note_tag("prefix/team/app", "v2", DIGEST, None, 0, layout="App")
    assert again.tags_of("prefix/team/app", "other") == {}
    again.close()


def test_a_layout_is_told_apart_from_one_whose_name_ends_like_it(tmp_path):
    ledger = opened(tmp_path, "r1")
    for layout, tag in [("my-app", "v1"), ("app", "v2")]:
        ledger.note_tag("my-app", tag, DIGEST, None, 0, layout=layout)
    assert ledger.brought_to("my-app", "app") == {"v2": DIGEST}
    assert ledger.brought_to("my-app", "my-app") == {"v1": DIGEST}
    ledger.close()


def test_what_was_found_is_told_from_what_was_brought(tmp_path):
    ledger = opened(tmp_path, "r1")
    ledger.note_tag("app", "brought", DIGEST, None, 0, layout="app")
    for tag in ("brought", "found", "found"):
        ledger.note_tag("app", tag, DIGEST, "manifest", 1, layout="app", found=True)
    ledger.note_tag("app", "other", DIGEST, None, 0, layout="app")
    ledger.note_tag("app", "other", OTHER, "manifest", 0, layout="app", found=True)
    ledger.close()
    again = opened(tmp_path, "r2")
    assert again.brought_to("app", "app") == {"brought": DIGEST}
    assert again.tags_of("app") == {"brought": DIGEST, "found": DIGEST, "other": OTHER}
    assert again.entry("app", "found") == LedgerEntry(DIGEST, "manifest", 1, found=True)
    again.note_tag("app", "found", DIGEST, None, 0, layout="app")
    assert again.brought_to("app", "app") == {"brought": DIGEST, "found": DIGEST}
    again.close()


@pytest.mark.parametrize("prefix", ["", "mirror"])
def test_a_tag_of_a_renamed_layout_is_not_that_of_another_by_the_new_name(tmp_path, prefix):
    repository = f"{prefix}/team/app".strip("/")
    ledger = Ledger(LedgerFolder(tmp_path, "r1"), prefix)
    ledger.note_tag(repository, "v1", DIGEST, "manifest", 0, layout="app")
    ledger.note_tag(repository, "v2", DIGEST, "manifest", 0, layout="team/app")
    ledger.close()
    again = Ledger(LedgerFolder(tmp_path, "r2"), prefix)
    assert again.brought_to(repository, "app").keys() == {"v1"}
    assert again.brought_to(repository, "team/app").keys() == {"v2"}


def test_the_layout_s_own_name_below_the_prefix_is_not_kept_with_each_tag(tmp_path):
    ledger = Ledger(LedgerFolder(tmp_path, "r1"), "mirror")
    ledger.note_tag("mirror/team/app", "v1", DIGEST, "manifest", 0, layout="team/app")
    assert ledger.entry("mirror/team/app", "v1").origin == ""
