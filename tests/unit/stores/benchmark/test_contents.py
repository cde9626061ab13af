import hashlib
from pathlib import Path

import pytest

from tasks.benchmark_values.cases import parse_case
from tasks.benchmark_values.options import ContentKind
from tasks.oci.errors import ContentNotFoundError, DigestMismatchError
from tasks.stores.benchmark.contents import check_arrived, write_content
from tasks.stores.pacing import Stop


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
