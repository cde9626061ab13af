"""What can be told of a SOURCE argument at once: without a network, and of no mount that may hang."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from tasks.oci.errors import ConfigurationError, InvalidReferenceError
from tasks.oci.reference import TargetAddress
from tasks.stores.bucket.s3_address import BucketAddress, is_bucket
from tasks.stores.directory import mounts

_NO_DIRECTORY = "the source {} is not a directory; is the bucket mounted there?"
_NO_RIGHT = "this user may not look at the source {}; a mount that another user made needs -o allow_other"
_A_FILE = "the source {} is a file; name a directory with layouts in it, and unpack an archive first"
_NO_BUCKET = "the source {} is not a directory; a bucket is named as s3://bucket[/prefix]"
_OF_DIRECTORY_BUCKETS = ("--x-s3", "--xa-s3")
"""What the names of such buckets, and of access points to them, end with."""
_OPENED = Path("/proc/self/fd")
_NO_PATH = "the source {} is not a directory; name the directory alone, and tags by --include"


def check_source(source: str) -> None:
    """Refuse a SOURCE argument for what can be told of it at once: without a network, and of no mount that may hang.

    Raises:
        ConfigurationError: it names no kind of source that can be read, or no directory, or names can't be told, or
            where files are.
    """
    check_place(source)
    if not is_bucket(source):
        _refuse_other_encodings()
        _refuse_no_proc()
        path, may_hang = mounts.resolve(source)
        if not may_hang:
            _refuse_absent(source, path)


def refuse_swapped(source: str, target: str | None) -> None:
    """Refuse a registry for a source where the target is a directory: each is an argument of its own.

    Raises:
        ConfigurationError: so it is.
    """
    if target is not None and not is_bucket(source) and _is_registry(source) and _is_folder(target):
        raise ConfigurationError(
            f"the source {source} is a registry, and the target {target} a directory: SOURCE comes before TARGET"
        )


def _is_registry(source: str) -> bool:
    """Whether it can be one, and is nothing here; what lies on a mount is not looked at."""
    path, may_hang = mounts.resolve(source)
    try:
        TargetAddress.parse(source)
    except InvalidReferenceError:
        return False
    return (":" in source or "." in source) and not may_hang and not os.path.lexists(path)


def _is_folder(target: str) -> bool:
    path, may_hang = mounts.resolve(target)
    return may_hang or os.path.isdir(path)  # noqa: PTH112 - Path.is_dir lets some errors through


def check_place(place: str) -> None:
    """Refuse a directory or bucket for the form of its name.

    Raises:
        ConfigurationError: it is a URL other than s3://bucket[/prefix]; what may be a login in it is not repeated.
            Or it begins with a home that no shell put in.
    """
    check_home(place)
    if is_bucket(place):
        BucketAddress.parse(place)
    elif "://" in place:
        raise ConfigurationError(f"{place.partition('://')[0]}:// can't be used; name a directory or s3://bucket")


def refuse_directory_bucket(place: str, what: str, can_not: str, *instead: str) -> None:
    """Refuse a bucket of S3 Express, where it would be asked for single names, or for names in order.

    What can be done `instead` is said, where anything can.

    Raises:
        ConfigurationError: the place, called `what`, is one.
    """
    if is_bucket(place) and BucketAddress.parse(place).bucket.endswith(_OF_DIRECTORY_BUCKETS):
        why = "it lists whole folders alone, and in no order"
        raise ConfigurationError(
            f"{what} {place} is a directory bucket (S3 Express), which can't {can_not}: {'; '.join((why, *instead))}"
        )


def refuse_within(source: str, option: str, place: str | None) -> None:
    """Refuse an option that would have something written in the source, over what it holds perhaps.

    Raises:
        ConfigurationError: the place that it names, if any, is the source or lies in it.
    """
    if place is not None and _lies_in(source, place):
        raise ConfigurationError(f"{option} {place}: it is in the source, where nothing is written; name another")


def _lies_in(source: str, place: str) -> bool:
    if is_bucket(source) != is_bucket(place):
        return False
    if is_bucket(source):
        address, other = BucketAddress.parse(source), BucketAddress.parse(place)
        return address.bucket == other.bucket and other.prefix.startswith(address.prefix)
    return mounts.is_below(mounts.resolve(place)[0], mounts.resolve(source)[0])


def check_home(path: str) -> None:
    """Refuse `~`, which is a folder of that name where no shell has put a home in its place.

    Raises:
        ConfigurationError: the path begins with it.
    """
    if path == "~" or path.startswith("~/"):
        raise ConfigurationError(f"{path}: no shell put a home in place of the ~; write the folder in full")


def check_here(path: str, kind: str = "folder") -> None:
    """Refuse what names no file or folder of this machine, `kind`: of a URL, the system makes folders of its parts.

    Raises:
        ConfigurationError: it is a URL; what may be a login in it is not repeated. Or it begins with a home that no
            shell put in.
    """
    check_home(path)
    if "://" in path:
        raise ConfigurationError(f"{path.partition('://')[0]}:// can't be used here; name a {kind} of this machine")


def _refuse_absent(source: str, path: str) -> None:
    """See that there is a directory at the path of a source.

    Raises:
        ConfigurationError: there is none, or it can't be looked at, as when its mount is dead.
    """
    try:
        is_there = Path(path).is_dir()
    except OSError as error:
        raise no_directory(source, error.errno or 0) from error
    if not is_there:
        raise ConfigurationError(_A_FILE.format(source)) if Path(path).is_file() else no_directory(source)


def no_directory(source: str, reason: int = errno.ENOENT) -> ConfigurationError:
    """What to raise where a source is no directory; one with a colon may be a reference, as other tools take.

    `reason` is the number of the error that looking at it ended with.
    """
    if reason in {errno.EACCES, errno.EPERM}:
        return ConfigurationError(_NO_RIGHT.format(source))
    if reason not in {errno.ENOENT, errno.ENOTDIR}:
        return ConfigurationError(f"{_NO_DIRECTORY.format(source)} ({os.strerror(reason)})")
    if source.startswith("s3:"):
        return ConfigurationError(_NO_BUCKET.format(source))
    return ConfigurationError((_NO_PATH if ":" in source else _NO_DIRECTORY).format(source))


def _refuse_other_encodings() -> None:
    """See that names of files are read as UTF-8: in another encoding, they would become other names at the target.

    Raises:
        ConfigurationError: names are read in another encoding.
    """
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise ConfigurationError(
            f"names of files would be read as {encoding}, and become other names than in UTF-8: "
            "set LC_ALL=C.UTF-8 or PYTHONUTF8=1"
        )


def _refuse_no_proc() -> None:
    """See that a file that was opened can be asked where it is: without that, each looks as if it were not there.

    Raises:
        ConfigurationError: it can't, as in a bare chroot.
    """
    if not _OPENED.is_dir():
        raise ConfigurationError("/proc is not mounted here, and nothing else tells where a file really is; mount it")
