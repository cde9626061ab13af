"""The errors of ours for what a file system says; where mounts fail in ways of their own is told apart here."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tasks.oci.errors import (
    ContentNotFoundError,
    OutsideSourceError,
    SourceError,
    SourceReadError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from tasks.oci.errors import LayoutliftError

_DEAD_MOUNT = frozenset({errno.ENOTCONN, errno.ESHUTDOWN, errno.ENODEV, errno.ECONNABORTED})
_MAY_PASS = frozenset(
    {
        *(errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY, errno.EMFILE, errno.ENFILE),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),  # as CIFS and NFS say it
        *(errno.ECONNRESET, errno.ECONNREFUSED, errno.EREMOTEIO, errno.ENOMEM, errno.ENOBUFS),
    }
)


READ_ATTEMPTS = 3
"""Some mounts say that something is not there when the store answered 503: so many looks are believed."""
FIRST_PAUSE = 0.2
"""Seconds between the first two looks; each further pause is twice as long."""
MOUNT_PAUSES = tuple(FIRST_PAUSE * 2**number for number in range(READ_ATTEMPTS - 1))


class PassingAbsenceError(ContentNotFoundError):
    """A first "no such file", which may pass: see `READ_ATTEMPTS`."""

    transient = True


class translated:  # noqa: N801 - it reads as what it does
    """Raise what the file system raises within the block as the error of ours that it is; see `translate`.

    A class, as there are several of these around each blob that is read, and a generator costs three times as much.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise translate(error, self._name) from error


def translate(error: OSError, name: str) -> LayoutliftError:
    """The exception of ours for what a file system said about `name`."""
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return PassingAbsenceError(f"{name} does not exist")
    if error.errno in _DEAD_MOUNT:
        return SourceUnavailableError(f"the mount of the source is gone ({reason}) at {name}")
    if error.errno in _MAY_PASS:
        return SourceReadError(f"{name} can't be read: {reason}")
    if error.errno == errno.ELOOP:
        return OutsideSourceError(f"{name} is a link in a circle")
    return SourceError(f"{name} can't be read: {reason}")
