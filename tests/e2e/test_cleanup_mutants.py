"""Broken cleanups of a real bucket are found out: no grace, no referrers, sweeping before the index is written.

Each trial is run with the implementation as it is, which passes, and with one that is broken on purpose.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from flows.course.cleanup_applying import apply_plan
from flows.forms.cleanup_parameters import ApplyParameters
from infra.real_parts import SeaweedFS
from tasks.operations.cleanup.applying import repository_applying
from tasks.operations.cleanup.deciding.entry_decisions import _Deciding
from tasks.operations.cleanup.records.journal import TRASH
from tasks.operations.cleanup.values import CleanupAction, Timing
from tasks.stop import Stop
from tests.support.buckets import upload, use_environment
from tests.support.cleanup_trials import REF_NAME, Cleaning, entries, files_in_bucket, holes
from tests.support.layouts import LayoutBuilder, random_bytes

LAYOUT = "team/app"
PATIENT, IMPATIENT = Timing(grace=3600.0, hold=3600.0), Timing(grace=0.0, hold=0.0)


class DeadError(Exception):
    """The process ends here."""


class Bucket:
    """A bucket with one layout, cleaned up in this process, where it can be broken."""

    def __init__(self, s3: SeaweedFS, work: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        use_environment(s3, monkeypatch)
        monkeypatch.setenv("XDG_STATE_HOME", str(work / "state"))
        self.client, self.name, self.work = s3.client(), s3.create_bucket(name), work
        layout = LayoutBuilder(work / "tree" / LAYOUT)
        for tag in range(4):
            image = layout.image(f"v{tag}", layers=[random_bytes(1, 2000), random_bytes(10 + tag, 3000)])
            layout.referrer(image, content=b"sbom %d" % tag)
        layout.write()
        upload(s3, work / "tree", self.name)
        self.named = {entry["annotations"][REF_NAME]: entry for entry in layout.entries if "annotations" in entry}

    def clean(self, timing: Timing = PATIENT) -> None:
        plan = Cleaning(f"s3://{self.name}", self.work, timing).plan()
        apply_plan(ApplyParameters(), plan, Stop(), lambda _, outcomes: not any(o.problems for o in list(outcomes)))

    @property
    def files(self) -> Mapping[str, bytes]:
        return files_in_bucket(self.client, self.name)

    def name_again(self, tag: str, to: str) -> None:
        """The end of a push that found every blob of `tag` there and sent none."""
        body = json.loads(self.files[f"{LAYOUT}/index.json"])
        body["manifests"].append({**self.named[tag], "annotations": {REF_NAME: to}})
        self.client.put_object(Bucket=self.name, Key=f"{LAYOUT}/index.json", Body=json.dumps(body).encode())

    def referrers_left(self) -> int:
        return sum("annotations" not in entry for entry in entries(self.files, LAYOUT))


@pytest.mark.parametrize(("timing", "broken"), [(PATIENT, False), (IMPATIENT, True)], ids=["patient", "no grace"])
def test_a_writer_between_its_look_and_its_index_needs_the_grace_time(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timing: Timing, broken: bool
) -> None:
    bucket = Bucket(seaweedfs, tmp_path, f"mutants-grace-{broken}".lower(), monkeypatch)
    for _ in range(3):
        bucket.clean(timing)
    bucket.name_again("v0", "stable")
    bucket.clean(timing)
    assert bool(list(holes(bucket.files))) is broken


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "no referrers"])
def test_referrers_of_kept_tags_are_kept(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    bucket = Bucket(seaweedfs, tmp_path, f"mutants-referrers-{broken}".lower(), monkeypatch)
    if broken:
        monkeypatch.setattr(_Deciding, "_also_kept", lambda *_: iter(()))
    bucket.clean()
    assert bucket.referrers_left() == (0 if broken else 2)


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "sweep first"])
def test_a_process_that_dies_after_its_first_step_leaves_no_hole(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    bucket = Bucket(seaweedfs, tmp_path, f"mutants-order-{broken}".lower(), monkeypatch)
    first = repository_applying._Applying._edit

    def sweep(work: repository_applying._Applying) -> None:
        going = [blob for blob in work.plan.blobs if blob.action is not CleanupAction.KEEP]
        files = [work._files.stat_file(f"{LAYOUT}/blobs/{blob.digest.replace(':', '/')}") for blob in going]
        work._files.hide_files([file for file in files if file], f"{TRASH}/{work.tools.journal.run}")

    def die_after_one_step(work: repository_applying._Applying) -> None:
        (sweep if broken else first)(work)
        raise DeadError

    monkeypatch.setattr(repository_applying._Applying, "_edit", die_after_one_step)
    with pytest.raises(DeadError):
        bucket.clean()
    assert bool(list(holes(bucket.files))) is broken
