"""A plan that went through its file is the same plan, and one that was touched is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.operations.cleanup.planning.plan_lines import PlanReader, PlanWriter, check_plan
from tasks.operations.cleanup.values import (
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
    from collections.abc import Sequence

_texts = st.sampled_from(["", "team/app", "v1", ' "quoted" \\', "zwei\nZeilen\u2028\x00", "\U0001f600 é", "\ud800"])
"""Few texts, drawn in one step each: a plan has dozens. What any text becomes is tried on one that has it alone."""
_times = st.sampled_from([0.0, 0.1, 1.7e9, 1764000000.123456, 4e9])
_sizes = st.sampled_from([0, 1, 2**31, 2**60])
_digests = st.sampled_from([Digest.of(raw, algorithm) for raw in (b"", b"a") for algorithm in ("sha256", "sha512")])
_descriptors = st.builds(
    Descriptor,
    st.just("application/vnd.oci.image.manifest.v1+json"),
    _digests,
    st.integers(0, 9),
    artifact_type=st.none(),
    annotations=st.dictionaries(_texts, _texts, max_size=2),
)


_actions, _bools = st.sampled_from(CleanupAction), st.booleans()


def _some(made: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(made, max_size=2).map(tuple)


_entries = _some(st.builds(IndexEntry, st.none() | _texts, _descriptors))
_blobs = st.builds(
    BlobDecision,
    _digests,
    _sizes,
    _times,
    _texts,
    _actions,
    _texts,
    _bools,
    since=st.none() | _times,
    is_held_back=_bools,
)
_plans = st.builds(
    RepositoryPlan,
    path=_texts,
    etag=_texts,
    tags=_some(st.builds(TagDecision, _texts, _digests, _actions, _texts, st.none() | _texts)),
    removals=_entries,
    additions=_entries,
    blobs=_some(_blobs),
    quarantined=_some(st.builds(QuarantineDecision, _texts, _digests, _sizes, _times, _actions, _texts)),
    files=_some(st.builds(FileDecision, st.sampled_from(FileKind), _texts, _sizes, _times, _texts, _actions, _texts)),
    drop_layout=_bools,
    findings=_some(st.builds(Finding, _texts, _texts, _texts)),
    refused=st.none() | st.builds(Refusal, _texts, _texts),
)
_headers = st.builds(
    PlanHeader,
    plan=_texts,
    kind=st.sampled_from(PlanKind),
    source=_texts,
    created=_times,
    limits=st.builds(PlanLimits, st.none() | _sizes, st.none() | _times),
    timing=st.builds(Timing, _times, _times, st.sampled_from(QuarantineMode)),
    policy=st.none() | _digests,
    gate=st.none() | _texts,
)
_footers = st.builds(PlanFooter, st.builds(PlanTotals, _sizes, _sizes), st.lists(_texts, max_size=2).map(tuple))


def _lines(header: PlanHeader, plans: Sequence[RepositoryPlan], footer: PlanFooter) -> list[bytes]:
    writer = PlanWriter()
    return [writer.header(header), *map(writer.repository, plans), writer.footer(footer)]


@given(_headers, st.lists(_plans, max_size=3), _footers)
def test_a_plan_comes_back_as_it_was_written(
    header: PlanHeader, plans: list[RepositoryPlan], footer: PlanFooter
) -> None:
    reader = PlanReader(_lines(header, plans, footer))
    assert list(reader.repositories()) == plans
    assert (reader.header, reader.footer) == (header, footer)


@given(st.text(max_size=30), st.floats(0, 4e9), st.integers(0, 2**60))
def test_any_text_and_number_comes_back(text: str, time: float, size: int) -> None:
    blob = BlobDecision(Digest.of(b""), size, time, text, CleanupAction.MARK, text, since=time)
    plan = RepositoryPlan(text, text, blobs=(blob,), tags=(TagDecision(text, blob.digest, CleanupAction.KEEP, text),))
    assert list(PlanReader(_lines(_HEADER, [plan], PlanFooter())).repositories()) == [plan]


_HEADER = PlanHeader("p1", PlanKind.CLEANUP, "/tree", 1.0, PlanLimits(), Timing(1.0, 2.0))
_PLAN = _lines(_HEADER, [RepositoryPlan("a", "1"), RepositoryPlan("b", "2")], PlanFooter())


@pytest.mark.parametrize(
    "touched",
    [
        [],
        _PLAN[:1],
        _PLAN[:-1],
        _PLAN[:1] + _PLAN[2:],
        [_PLAN[0], _PLAN[2], _PLAN[1], _PLAN[3]],
        [*_PLAN, _PLAN[1]],
        [_PLAN[0].replace(b"/tree", b"/other"), *_PLAN[1:]],
        [_PLAN[0], _PLAN[1].replace(b'"a"', b'"c"'), *_PLAN[2:]],
        [*_PLAN[:-1], b'{"totals": {}, "beyond_limits": []}\n'],
        [*_PLAN[:-1], _PLAN[-1][:20]],
        [b"[]\n"],
        [_PLAN[0].replace(b'"schema":1', b'"schema":99'), *_PLAN[1:]],
    ],
    ids=range(12),
)
def test_a_plan_that_was_cut_or_edited_is_refused(touched: list[bytes]) -> None:
    check_plan(_PLAN)
    with pytest.raises(ConfigurationError):
        check_plan(touched)


def test_an_entry_keeps_its_annotations_and_on_whose_word_it_goes() -> None:
    entry = IndexEntry("v1", Descriptor("x/y", Digest.of(b""), 0, annotations={"a": "b"}), True, Digest.of(b"x"))
    plan = RepositoryPlan("a", "1", removals=(entry,))
    [back] = PlanReader(_lines(_HEADER, [plan], PlanFooter())).repositories()
    assert back.removals[0].descriptor.annotations == {"a": "b"}
    assert (back.removals[0].is_demanded, back.removals[0].written) == (True, Digest.of(b"x"))
