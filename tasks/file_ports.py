"""What cleanup asks of a source besides its layouts (see `tasks.ports`): its files, and the few ways to change them.

`FileReader` has no method that changes anything; planning gets no more than that. `FileWriter` is handed only to
what applies, undoes, deletes or recovers. All paths are below the source, with `/` between their parts.
Contracts are held by one suite, which runs over every store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.ports import Source

OWN_FOLDER = ".layoutlift"
"""Where everything that cleanup itself keeps at a source lies: marks, lease, quarantine, journals."""
RUNS = f"{OWN_FOLDER}/runs"
"""Where runs keep their journals, each in a folder of its own."""
DRAFTS = f"{OWN_FOLDER}/drafts"
"""What a store writes there for a moment; what lies there for longer was left by a process or mount that died."""


def below(path: str, name: str) -> str:
    """The path of `name` below the layout or folder `path`, where `.` is the source itself."""
    return name if path == "." else f"{path}/{name}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file below the source: size in bytes, `modified` in seconds since 1970 by the store's clock.

    `etag` is another one whenever the file was written anew, as far as the store can tell.
    """

    path: str
    size: int
    modified: float
    etag: str


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a small file, and their mark; it need not be the `etag` that a listing gives."""

    raw: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was begun and not ended; no listing shows the room that its parts take."""

    path: str
    upload: str
    begun: float


class FileReader(Protocol):
    """Looks at files; changes nothing, anywhere."""

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """All files below a folder (`.` is the source) at any depth, in no order; none where there is no such folder.

        What is no regular file (a link, a device) is listed with an empty etag, so that whoever counts on
        knowing every file can tell. Of the whole source, of `RUNS` and of a run below that, a store makes sure that
        it leaves nothing out: what is missing there counts as unneeded, or as settled.

        Raises:
            SourceError: some of it can't be listed; what was handed out before is not all.
        """
        ...

    def stat_file(self, path: str, *, waits: bool = True) -> StoredFile | None:
        """One file, None where there is none.

        A mount that says so of a layout's file is asked again after a while, unless nobody `waits`: then it may be
        there all the same.

        Raises:
            SourceError: that can't be told; it never counts as absent.
        """
        ...

    def read_file(self, path: str) -> FileContent | None:
        """A small file, None where there is none.

        Raises:
            SourceError: it can't be read.
        """
        ...

    def link_target(self, path: str) -> str | None:
        """Where a link leads in the end, as a path below the source; None for what is none, or leads out of it.

        Raises:
            SourceError: that can't be told.
        """
        ...

    def list_uploads(self, folder: str) -> Iterator[UnfinishedUpload]:
        """Unfinished multipart uploads below a folder; stores without such a thing have none.

        Raises:
            SourceError: they can't be listed.
        """
        ...

    def now(self) -> float:
        """Seconds since 1970, by the clock that dates the files as far as asking for it writes nothing."""
        ...


class FileWriter(FileReader, Protocol):
    """Changes files. Every method may be called again after a failure, or after the process died in the middle."""

    @property
    def is_conditional(self) -> bool:
        """Whether `write_file` compares and writes in one step, whoever else writes.

        A bucket proves it with a key below `OWN_FOLDER`; mounts and directories can't.
        """
        ...

    @property
    def keeps_versions(self) -> bool:
        """Whether deleted files stay as old versions, so that `trash` may be None below."""
        ...

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        """Replace the content that `read_file` gave the mark `expected`, or make a new file; its new mark.

        Readers see the old content or the new, never a part. Where the store is not conditional, the file is
        read right before and right after the write; a writer in between may be overwritten.

        Raises:
            SourceChangedError: the file is another one by now; nothing was written, or, after a write that the
                store did not compare, somebody else's content took the place of ours.
            MaybeWrittenError: it is another one by now, and the answer to a write was lost before: what is there may
                be made of ours.
            SourceWriteError: it can't be written.
        """
        ...

    def hide_files(self, files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        """Make files absent for whoever looks for them, so that `restore_files` can bring them back.

        They go below the folder `trash`, or, where that is None, stay as old versions of a bucket that keeps
        them. Returns what was hidden; a file that is gone or another one by now is left alone. Copies are
        complete before an original goes.

        Raises:
            SourceWriteError: one can't be hidden; any of the others may be.
        """
        ...

    def restore_files(self, paths: Sequence[str], trash: str | None) -> frozenset[str]:
        """Bring hidden files back where there is none now; the paths that have a file afterwards.

        Raises:
            SourceWriteError: one can't be brought back.
        """
        ...

    def purge_files(self, paths: Sequence[str], trash: str | None) -> None:
        """Delete for good what `hide_files` put aside; files that lie at the paths now stay.

        Raises:
            SourceWriteError: one can't be deleted.
        """
        ...

    def delete_files(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """Delete files for good, those that are still what they were; returns them. For files of nobody's only.

        Raises:
            SourceWriteError: one can't be deleted.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Give up a multipart upload; one that is gone already is no error.

        Raises:
            SourceWriteError: it can't be aborted.
        """
        ...


@runtime_checkable
class SourceWithFiles(Protocol):
    """A source as it is, and not as the repositories that its references name."""

    def open_files(self) -> FileReader:
        """All files of the source, to be looked at and not to be changed."""
        ...


class WritableSource(Protocol):
    """A source that may be changed, as `apply`, `undo`, `delete` and `recover` get it."""

    @property
    def files(self) -> FileWriter:
        """Its files."""
        ...

    def open_layouts(self) -> Source:
        """A reader of its layouts that remembers nothing of earlier reads."""
        ...
