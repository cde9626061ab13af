"""A plan as lines of JSON: a header, a line for each repository, and a footer that vouches for all before it.

Lines are written and read one at a time, so that a plan of any size passes through little memory. The footer
holds a digest of the lines before it: a plan that was cut short or edited is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.operations.cleanup.values import (
    MALFORMED,
    PLAN_SCHEMA,
    BlobDecision,
    CleanupAction,
    FileDecision,
    FileKind,
    IndexEntry,
    PlanFooter,
    PlanHeader,
    PlanKind,
    PlanLimits,
    PlanTotals,
    QuarantineDecision,
    QuarantineMode,
    RepositoryPlan,
    TagDecision,
    Timing,
)
from tasks.ports import Finding, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOT_A_PLAN = "it is no plan of a cleanup, or was edited or cut short; make a new one"


def header_json(header: PlanHeader) -> dict[str, Any]:
    """A header for people and for the first line."""
    return {"schema": PLAN_SCHEMA, **asdict(header)}


def repository_json(plan: RepositoryPlan) -> dict[str, Any]:
    """What is decided about one repository; parts that are empty are left out."""
    body = asdict(replace(plan, removals=(), additions=()))
    body["removals"] = [_entry_json(entry) for entry in plan.removals]
    body["additions"] = [_entry_json(entry) for entry in plan.additions]
    body["tags"] = [{name: value for name, value in tag.items() if value is not None} for tag in body["tags"]]
    return {name: value for name, value in body.items() if value or name in {"path", "etag"}}


def footer_json(footer: PlanFooter) -> dict[str, Any]:
    """The totals, and the limits that are exceeded."""
    return {"totals": asdict(footer.totals), "beyond_limits": list(footer.beyond_limits)}


class PlanWriter:
    """Makes the lines of a plan, in order: `header`, any number of `repository`, `footer`."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def header(self, header: PlanHeader) -> bytes:
        """The first line."""
        return self._line(header_json(header))

    def repository(self, plan: RepositoryPlan) -> bytes:
        """The line of one repository."""
        return self._line(repository_json(plan))

    def footer(self, footer: PlanFooter) -> bytes:
        """The last line."""
        return self._line(footer_json(footer) | {"sha256": self._hash.hexdigest()})

    def _line(self, body: dict[str, Any]) -> bytes:
        line = json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n"
        self._hash.update(line)
        return line


class PlanReader:
    """Reads the lines of a plan; `footer` is set once `repositories` came to its end.

    Raises on making it:
        ConfigurationError: the first line is no header of a plan that this version understands.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        first = next(self._lines, b"")
        self._hash = hashlib.sha256(first)
        self.header = _read_header(first)
        self.footer: PlanFooter | None = None

    def repositories(self) -> Iterator[RepositoryPlan]:
        """The plans of all repositories, in order.

        Nothing may be done on the word of one of them before the footer was read: see `check_plan`.

        Raises:
            ConfigurationError: the plan was edited, or its end is missing.
        """
        for line in self._lines:
            body = _decoded(line)
            if "totals" in body:
                self.footer = self._read_footer(body)
                return
            self._hash.update(line)
            yield _read_repository(body)
        raise ConfigurationError(NOT_A_PLAN)

    def _read_footer(self, body: dict[str, Any]) -> PlanFooter:
        if body.get("sha256") != self._hash.hexdigest() or next(self._lines, None) is not None:
            raise ConfigurationError(NOT_A_PLAN)
        try:
            return PlanFooter(PlanTotals(**body["totals"]), tuple(body["beyond_limits"]))
        except MALFORMED as error:
            raise ConfigurationError(NOT_A_PLAN) from error


def check_plan(lines: Iterable[bytes]) -> None:
    """Read a plan to its end without keeping it; what it says may be relied on from then on.

    Raises:
        ConfigurationError: it is no plan, was edited, or its end is missing.
    """
    for _ in PlanReader(lines).repositories():
        pass


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except MALFORMED as error:
        raise ConfigurationError(NOT_A_PLAN) from error
    if not isinstance(body, dict):
        raise ConfigurationError(NOT_A_PLAN)
    return body


def _read_header(line: bytes) -> PlanHeader:
    body = _decoded(line)
    schema = body.pop("schema", None)
    if type(schema) is int and schema != PLAN_SCHEMA:
        raise ConfigurationError(f"the plan is of form {schema}, this version reads form {PLAN_SCHEMA}")
    try:
        limits, timing = PlanLimits(**body.pop("limits")), body.pop("timing")
        timing = Timing(timing["grace"], timing["hold"], QuarantineMode(timing["mode"]))
        policy, kind = body.pop("policy"), PlanKind(body.pop("kind"))
        return PlanHeader(
            **body, kind=kind, limits=limits, timing=timing, policy=None if policy is None else Digest(policy)
        )
    except MALFORMED as error:
        raise ConfigurationError(NOT_A_PLAN) from error


def _read_repository(body: dict[str, Any]) -> RepositoryPlan:
    def listed(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = body.get(name, [])
        return found

    try:
        return RepositoryPlan(
            path=body["path"],
            etag=body["etag"],
            tags=tuple(TagDecision(**_typed(each)) for each in listed("tags")),
            removals=tuple(map(_read_entry, listed("removals"))),
            additions=tuple(map(_read_entry, listed("additions"))),
            blobs=tuple(BlobDecision(**_typed(each)) for each in listed("blobs")),
            quarantined=tuple(QuarantineDecision(**_typed(each)) for each in listed("quarantined")),
            files=tuple(FileDecision(**_typed(each)) for each in listed("files")),
            drop_layout=body.get("drop_layout", False),
            is_gone=body.get("is_gone", False),
            findings=tuple(Finding(**each) for each in listed("findings")),
            refused=Refusal(**body["refused"]) if "refused" in body else None,
        )
    except MALFORMED as error:
        raise ConfigurationError(NOT_A_PLAN) from error


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    readers: dict[str, Any] = {"digest": Digest, "action": CleanupAction, "kind": FileKind}
    return {name: readers[name](value) if name in readers else value for name, value in body.items()}


def _entry_json(entry: IndexEntry) -> dict[str, Any]:
    body: dict[str, Any] = {"tag": entry.tag, "descriptor": entry.descriptor.to_json()}
    body |= {"is_demanded": True} if entry.is_demanded else {}
    return body | ({} if entry.written is None else {"written": entry.written})


def _read_entry(body: dict[str, Any]) -> IndexEntry:
    written = Digest(body["written"]) if "written" in body else None
    return IndexEntry(body["tag"], Descriptor.from_json(body["descriptor"]), body.get("is_demanded", False), written)
