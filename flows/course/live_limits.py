"""Limits that are looked at again and again while a run goes on, in a file or wherever else they are kept."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.course.repeating import ANSWER_SECONDS, every
from tasks.oci.errors import ConfigurationError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from flows.forms.limits_model import LiveLimits
    from tasks.runs import Run

    LimitsReader: TypeAlias = Callable[[], LiveLimits | None]

LOOK_EVERY = 2.0
"""Seconds between looks at the limits and at the clock."""
VARIABLE = "variable:"
DEFAULT_VARIABLE = "layoutlift_limits"
"""Where flows look if nobody says otherwise."""

logger = logging.getLogger(__name__)


@contextmanager
def file_reader(place: str | None) -> Iterator[LimitsReader | None]:
    """Reads limits from a file, which need not be there all the time; None without a place.

    Raises:
        ConfigurationError: the place is none that a run without Prefect can look at.
    """
    if place is not None and place.startswith(VARIABLE):
        raise ConfigurationError(f"--limits-from {place}: a run without Prefect's server takes a file")
    yield None if place is None else _reader_of(Path(place))


def _reader_of(path: Path) -> LimitsReader:
    def read() -> LiveLimits | None:
        from flows.files.yaml_files import load_model  # noqa: PLC0415
        from flows.forms.limits_model import LiveLimits  # noqa: PLC0415 - only where there are some

        try:
            path.stat()  # `exists` takes whatever keeps it from looking for an answer, in newer Pythons
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
        return load_model(path, LiveLimits)

    return read


@contextmanager
def kept_within_limits(run: Run, read: LimitsReader | None) -> Iterator[None]:
    """Have the run keep within its hours, and within what `read` says, until the end of the block.

    Raises:
        ConfigurationError: the limits can't be used as they are at the start; later on, and where a shard begins,
            that is only noted.
    """
    if read is None and run.options.hours is None:
        yield
        return
    follower = _Follower(run, read)
    try:
        if not follower.look() and run.options.limits_from is not None:
            place = run.options.limits_from
            logger.warning("--limits-from %s is not there: the run keeps to its own limits until it is", place)
    except (ConfigurationError, StateError) as error:
        if isinstance(error, ConfigurationError) and run.options.shard is None:
            raise  # the run that a shard is of began without that mistake
        logger.warning("the run keeps to its own limits for now: %s", error)
    with (
        every(LOOK_EVERY, follower.look_again, name="limits", patience=ANSWER_SECONDS),
        every(LOOK_EVERY, follower.apply, name="hours"),  # the answer to a look may take minutes
    ):
        yield


class _Follower:
    """Applies what the reader says to one run; while that can't be read, what it said last."""

    def __init__(self, run: Run, read: LimitsReader | None) -> None:
        self._controls = run.controls
        self._parts = 1 if run.options.shard is None else run.options.shard.of
        self._read = read
        self._lock = threading.Lock()
        self._last: LiveLimits | None = None
        self._wrong: str | None = None

    def look(self) -> bool:
        """Whether there is something that says limits."""
        self._last = self._read() if self._read is not None else None
        self.apply()
        return self._last is not None

    def apply(self) -> None:
        """Keep to what was read last; hours open and close whether or not something can be read."""
        with self._lock:
            last, given = self._last, self._controls.given
            self._controls.apply(given if last is None else last.over(given, self._parts))

    def look_again(self) -> None:
        """As `look`, but what is wrong with the limits is only noted: the run goes on with those that it has."""
        try:
            self.look()
        except (ConfigurationError, StateError) as error:
            self._stay(str(error))
        except Exception as error:  # noqa: BLE001 - one look that fails must not be the last
            self._stay(f"{type(error).__name__}: {error}")
        else:
            self._wrong = None

    def _stay(self, wrong: str) -> None:
        if wrong != self._wrong:
            logger.warning("the limits stay as they were: %s", wrong)
        self._wrong = wrong
