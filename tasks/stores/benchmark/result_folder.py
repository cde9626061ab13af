"""The files of a run's results, and the history that later runs are compared with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import ConfigurationError
from tasks.stores.state.json_lines import json_line, read_json_lines
from tasks.stores.state.state_errors import as_state_error, state_error
from tasks.stores.whole_files import whole_or_not_at_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from tasks.stores.benchmark.plot_trend import Moment
    from tasks.stores.benchmark.plots import Named

NAME = "benchmark"
DATA = (".dat", ".csv", ".jsonl")
PLOTS = ("throughput", "cold-warm", "single-multi", "trend")
MOST_BYTES = 64 * 1024**2


class ResultFolder:
    """The folder of one run's results; made when they are written."""

    def __init__(self, path: Path, dat_file: Path | None = None) -> None:
        self.path = path.absolute()
        self._lines = self.path / f"{NAME}.jsonl"
        self._dat_file = dat_file

    def rows(self) -> list[dict[str, Any]]:
        """The lines that an earlier run left here.

        Raises:
            StateError: they are there and can't be read.
        """
        return _rows(self._lines)

    @property
    def is_interrupted(self) -> bool:
        """Whether a run began here and has not ended."""
        return self._lines.exists() and not (self.path / f"{NAME}.md").exists()

    @property
    def data_files(self) -> list[Path]:
        """The files for programs, as far as they are written."""
        return [path for suffix in DATA if (path := self.path / f"{NAME}{suffix}").exists()]

    @property
    def plots(self) -> list[Path]:
        """The pictures, as far as they are drawn."""
        return [path for name in PLOTS if (path := self.path / f"{name}.png").exists()]

    def begin(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Begin the JSON lines anew, with these; what an earlier run left under our names goes.

        Raises:
            ConfigurationError: they can't be written, nor in the end the data file besides.
        """
        ours = [f"{NAME}{suffix}" for suffix in (*DATA, ".md")]
        ours += [f"{name}.{kind}" for name in PLOTS for kind in ("png", "svg")]
        self._try_dat_file()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with whole_or_not_at_all(self._lines) as out:  # until then, the lines of the run before are still there
                out.writelines(map(json_line, rows))
            for path in (self.path / name for name in ours):
                if path != self._lines:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--out: {state_error(self.path, error)}") from error

    def keep(self, row: Mapping[str, Any]) -> None:
        """Add a line to the JSON lines while the run goes on, so that one that ends early has not measured in vain.

        Raises:
            StateError: it can't be written.
        """
        _append(self._lines, row)

    def draw(self, results: Named, runs: Sequence[Moment]) -> list[str]:
        """Draw all plots, `runs` being those that a trend is drawn of; the names of their files.

        Raises:
            StateError: they can't be written.
        """
        from tasks.stores.benchmark.plot_trend import draw_trend  # noqa: PLC0415 - half a second
        from tasks.stores.benchmark.plots import draw_results  # noqa: PLC0415

        with as_state_error(self.path):
            return draw_results(results, self.path) + draw_trend(runs, self.path)

    def write(self, texts: Mapping[str, str]) -> None:
        """Write a file for each suffix, whole or not at all: what was measured is in one of them already.

        Raises:
            StateError: one can't be written.
        """
        with as_state_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for suffix, text in texts.items():
                with whole_or_not_at_all(self.path / f"{NAME}{suffix}") as out:
                    out.write(text.encode())
        if self._dat_file is not None:
            with as_state_error(self._dat_file):
                self._dat_file.write_text(texts[".dat"], encoding="utf-8")

    def _try_dat_file(self) -> None:
        """Find out before anything is measured whether the data file can be written."""
        try:
            if self._dat_file is not None:
                self._dat_file.open("a").close()
        except OSError as error:
            raise ConfigurationError(f"--dat-file: {state_error(self._dat_file, error)}") from error


class History:
    """What runs measured on this machine, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> list[dict[str, Any]]:
        """All lines that can be read, the oldest first.

        Raises:
            StateError: the file is there and can't be read.
        """
        return _rows(self._path)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a run.

        Raises:
            StateError: it can't be written.
        """
        _append(self._path, row)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return list(read_json_lines(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise state_error(path, error) from error


def _append(path: Path, row: Mapping[str, Any]) -> None:
    with as_state_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.write(b"\n" * _is_torn(file) + json_line(row))
            os.fsync(file.fileno())


def _is_torn(file: BinaryIO) -> bool:
    """Whether the last line lacks its end, as where the disk ran full: the next one would be lost with it."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read() != b"\n"


def read_text(path: Path) -> str:
    """The text of a file of results.

    Raises:
        ConfigurationError: it can't be read, or is too large to be one.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{path} is larger than {MOST_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8") from error
