"""Runs what a page shows: each command of its ```console blocks, with the output that stands below it."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROMPT, CONTINUATION = "$ ", "> "
ANYTHING = "…"
DEADLINE_SECONDS = 120


@dataclass(frozen=True)
class Shown:
    """A command of a page, and the lines that the page shows below it."""

    command: str
    output: tuple[str, ...]


def shown_in(page: str) -> Iterator[Shown]:
    """Every command of the page in its order; a line that begins with `> ` goes on with the one above."""
    for block in BLOCK.findall(page):
        for part in f"\n{block}".split(f"\n{PROMPT}")[1:]:
            lines = part.splitlines()
            more = 1
            while more < len(lines) and lines[more].startswith(CONTINUATION):
                more += 1
            command = "\n".join([lines[0], *(line.removeprefix(CONTINUATION) for line in lines[1:more])])
            yield Shown(command, tuple(lines[more:]))


def matches(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether output is as shown: `…` in a line stands for anything in it, alone for any lines; spaces count once."""
    pattern = "".join(
        "(?:.*\n)*" if line.strip() == ANYTHING else ".*".join(map(re.escape, _squeezed(line).split(ANYTHING))) + "\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{_squeezed(line)}\n" for line in printed)) is not None


def _squeezed(line: str) -> str:
    return " ".join(line.split())


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page in a folder of their own; `names` says what the page's names are called here."""

    folder: Path
    environment: Mapping[str, str]
    names: Mapping[str, str]

    def follow(self, page: str) -> int:
        """Run all commands, and return how many; a failure, or other output than is shown, fails the test."""
        commands = list(shown_in(page))
        for shown in commands:
            self._run(shown)
        return len(commands)

    def _run(self, shown: Shown) -> None:
        command = shown.command
        for name, here in self.names.items():
            command = command.replace(name, here)
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{shown.command}\n{ended.stdout}{ended.stderr}"
        printed = ended.stdout
        for name, here in self.names.items():
            printed = printed.replace(here, name)
        assert matches(shown.output, printed.splitlines()), f"{shown.command}\nprinted:\n{printed}{ended.stderr}"
