import hashlib
import os
import resource
import signal
from pathlib import Path

import pytest

from tasks.benchmark_values.cases import parse_case
from tasks.benchmark_values.options import ContentKind
from tasks.oci.errors import ContentNotFoundError, DigestMismatchError, StateError
from tasks.stop import Stop
from tasks.stores.benchmark.contents import check_arrived, write_content


@pytest.mark.parametrize("kind", ContentKind)
def test_files_are_new_have_their_size_and_hash_to_their_digest(tmp_path: Path, kind: ContentKind) -> None:
    case = parse_case("5MBx2")
    first = write_content(case, tmp_path / "1", kind, Stop())
    second = write_content(case, tmp_path / "2", kind, Stop())
    assert len({*first.values(), *second.values()}) == 4
    for name, digest in first.items():
        content = (tmp_path / "1" / name).read_bytes()
        assert len(content) == 5_000_000
        assert hashlib.sha256(content).hexdigest() == digest
        assert content.isascii() is (kind is ContentKind.TEXT)
    check_arrived(tmp_path / "1", first)


def test_what_is_written_is_on_the_disk_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first push would have the disk to share with it."""
    written: list[int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: written.append(os.fstat(descriptor).st_size))
    write_content(parse_case("4MBx2"), tmp_path / "files", ContentKind.BINARY, Stop())
    assert written == [4_000_000] * 2


def test_a_full_disk_is_told_with_the_folder(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StateError, match=f"{tmp_path}/files can't be written.*: File too large"):
            write_content(parse_case("1MB"), tmp_path / "files", ContentKind.BINARY, Stop())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_what_is_no_file_did_not_arrive(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(ContentNotFoundError, match="name arrived and can't be read: Is a directory"):
        check_arrived(tmp_path, {"name": "0"})


def test_a_missing_an_altered_and_a_short_file_are_told(tmp_path: Path) -> None:
    expected = write_content(parse_case("1kB"), tmp_path / "files", ContentKind.BINARY, Stop())
    (path,) = (tmp_path / "files").iterdir()
    whole = path.read_bytes()
    for wrong in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:], b""):
        path.write_bytes(wrong)
        with pytest.raises(DigestMismatchError):
            check_arrived(tmp_path / "files", expected)
    path.unlink()
    with pytest.raises(ContentNotFoundError):
        check_arrived(tmp_path / "files", expected)
