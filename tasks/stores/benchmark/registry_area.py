"""Sees that a registry of the user's is there, and takes what a benchmark put into it out again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError, LayoutliftError, ProgramFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.benchmark_values.paths import Command

ASK: Command = ("oras", "resolve", "{plain_http}", "{registry}:{tag}")
DELETE_MANIFEST: Command = ("oras", "manifest", "delete", "--force", "{plain_http}", "{registry}:{tag}")
DELETE_BLOB: Command = ("oras", "blob", "delete", "--force", "{plain_http}", "{registry}@sha256:{blob}")
_NOT_LET_IN = re.compile(r'\b(?:Head|Get) "https?://[^"]*": (.+)|(basic credential not found)')
"""How oras says that a request had no answer, or that a password is wanted and there is none. Other words prove
nothing: a registry may refuse to look for what is not there, and take a push of it."""
_SILENT = re.compile(r"^it did not end (within \d+ s)$")
"""How it is said of oras that it still waited for an answer."""
_HINTS = {
    "HTTP response to HTTPS client": "a registry without TLS needs --plain-http",
    "unknown authority": "SSL_CERT_FILE names a file of other authorities",
    "credential": "log in with docker or oras",
}


def refuse_unreachable(repository: str, run: Callable[[Command, dict[str, str | None]], None]) -> None:
    """Ask for a tag that is not there, by `run`, before what takes long and costs traffic is begun.

    Raises:
        ConfigurationError: nobody answers there, or lets us in.
    """
    try:
        run(ASK, {"tag": "absent"})
    except ProgramFailedError as error:
        if said := _why_not_let_in(str(error)):
            hint = next((f" ({hint})" for sign, hint in _HINTS.items() if sign in said), "")
            raise ConfigurationError(f"--registry {repository.partition('/')[0]}: {said}{hint}") from error


def _why_not_let_in(said: str) -> str:
    if (silent := _SILENT.search(said)) is not None:
        return f"it did not answer {silent[1]}"
    found = _NOT_LET_IN.search(said)
    return (found[1] or found[2]) if found else ""


def remove_from_registry(
    layout: Path, tag: str, repository: str, run: Callable[[Command, dict[str, str | None]], None]
) -> list[str]:
    """Delete the artifact that was copied from a layout, by `run`; what the registry did not let us delete.

    Raises:
        OSError: the layout can't be read.
    """
    try:
        run(DELETE_MANIFEST, {"tag": tag})
    except LayoutliftError as error:
        return [f"{repository}:{tag} is still in the registry: {error}"]
    refusals = [refusal for name in _blobs(layout) if (refusal := _refusal(run, name))]
    if not refusals:
        return []
    return [f"{len(refusals)} blobs of {repository}:{tag} wait for the registry's own collection: {refusals[0]}"]


def _refusal(run: Callable[[Command, dict[str, str | None]], None], blob: str) -> str:
    try:
        run(DELETE_BLOB, {"blob": blob})
    except LayoutliftError as error:
        return str(error)
    return ""


def _blobs(layout: Path) -> list[str]:
    """The blobs of a layout that are no manifests of its index."""
    index = json.loads((layout / "index.json").read_bytes())
    manifests = {entry["digest"].partition(":")[2] for entry in index["manifests"]}
    return sorted(path.name for path in (layout / "blobs" / "sha256").iterdir() if path.name not in manifests)
