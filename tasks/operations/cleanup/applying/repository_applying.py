"""Applies the plan of one repository, in an order that may stop anywhere.

1. What the index names and the quarantine has comes back.
2. `index.json` is written anew, so that from then on nobody is led to what goes; that is noted among the marks first.
3. Only then, from a fresh look, blobs whose wait is over leave the layout or the quarantine; see `sweeping`.
4. Blobs that nothing names now are marked; a later run takes them.
5. A last look sees that everything is there which the entries need.

Each step is announced in the journal before it is done. Nothing is done that the plan does not hold, and of that
only what still is as the plan says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.file_ports import StoredFile, UnfinishedUpload, below
from tasks.oci.errors import (
    ContentNotFoundError,
    InterruptedRunError,
    InvalidLayoutError,
    LayoutliftError,
    LockHeldError,
    SourceChangedError,
)
from tasks.oci.image_layout import parse_index
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.changing_index import change_index
from tasks.operations.cleanup.applying.dropping import drop_layout
from tasks.operations.cleanup.applying.fresh_view import FreshView, still_wanted
from tasks.operations.cleanup.applying.sweeping import ENDS_ALL, Sweep
from tasks.operations.cleanup.layout.graph import Graph
from tasks.operations.cleanup.layout.index_edit import edit_index, entry_json, not_removed, read_entry
from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tasks.operations.cleanup.records.holdings import in_place, settle_restored
from tasks.operations.cleanup.records.marks import Mark, mark_ahead, read_marks, still_marked, write_marks
from tasks.operations.cleanup.records.strays import note_strays
from tasks.operations.cleanup.values import CleanupAction, FileKind, QuarantineMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.file_ports import FileWriter
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools
    from tasks.operations.cleanup.layout.index_edit import IndexEdit
    from tasks.operations.cleanup.records.holdings import HeldBlob
    from tasks.operations.cleanup.values import FileDecision, IndexEntry, RepositoryPlan, Timing


def needs_only_writer(plan: RepositoryPlan, timing: Timing, *, is_conditional: bool) -> bool:
    """Whether a plan is safe only while nobody else writes to the source.

    That is so where an index can't be written under a condition, and where blobs are deleted without a
    quarantine, from which a blob could come back that a writer was about to name.
    """
    hides = plan.does(CleanupAction.QUARANTINE)
    if hides and timing.mode is QuarantineMode.NONE:
        return True
    return not is_conditional and (plan.changes_index or plan.drop_layout or hides or plan.does(CleanupAction.PURGE))


def apply_repository(tools: ApplyTools, plan: RepositoryPlan) -> RepositoryOutcome:
    """Do what the plan says of one repository, as far as it still holds; what can't be done is in the outcome.

    Raises:
        LockHeldError: another run has the lease now; nothing more may be changed.
        InterruptedRunError: the run was told to end.
    """
    work = _Applying(tools, plan, RepositoryOutcome(plan.path))
    with work.outcome.noting(LockHeldError, InterruptedRunError):
        work.run()
    return work.outcome


@dataclass(slots=True)
class _Applying:
    """The work on one repository."""

    tools: ApplyTools
    plan: RepositoryPlan
    outcome: RepositoryOutcome
    held: tuple[HeldBlob, ...] = field(init=False, default=())
    returned: tuple[HeldBlob, ...] = field(init=False, default=())

    def run(self) -> None:
        tools, plan = self.tools, self.plan
        self.held, self.returned = tools.holdings.held_and_returned(plan.path)
        if plan.refused is not None:
            self.outcome.left_alone = True
            self._only_restore()
            return
        if plan.is_gone:
            self._purge_gone()
            return
        try:
            self._change_index()
        except ENDS_ALL:
            raise
        except LayoutliftError as error:
            self.outcome.note(error)
            self._only_restore()
            return
        view = self._look()
        if not view.is_whole:
            self._say_what_is_missing(view)
            return
        sweep = Sweep(tools, plan, self.outcome, self.held)
        hidden = sweep.run(view)
        self.held = (*sweep.held, *hidden)
        if hidden or self.tools.timing.mode is QuarantineMode.NONE:
            view = self._look()  # a writer may have named some of it just now; then it is back
            sweep.count_doubtful(view)
        self._mark(view)
        note_strays(self._files, plan.path, view.entries, view.graph, view.blobs)
        self._delete_leftovers()
        if plan.drop_layout:
            self._drop(view)
        self._say_what_is_missing(view)

    @property
    def _files(self) -> FileWriter:
        return self.tools.source.files

    def _change_index(self) -> None:
        """Take out and put in what the plan says, if nothing is in the way."""
        self.tools.require(self.plan)
        if self.plan.additions:
            self._complete_additions()
        self._mark_ahead()
        self._edit()

    def _look(self) -> FreshView:
        view = self.tools.look.view(self.plan.path, self.held, self.returned)
        self._settle(view)
        return view

    def _settle(self, view: FreshView) -> None:
        """Note what came back with a look, or never left its place; the quarantine does not have it."""
        self.outcome.restored += sorted({blob.digest for blob in view.restored})
        not_there = {*view.restored, *in_place(self.held, view.blobs)}
        if not_there:
            settled = tuple(blob for blob in self.held if blob in not_there)
            self.held = tuple(blob for blob in self.held if blob not in not_there)
            settle_restored(self.tools.journal, self.plan.path, settled, self._files.now())

    def _only_restore(self) -> None:
        """A layout that is left alone, or can't be changed, still gets back what its index names."""
        if not (self.held or self.returned):
            return
        try:
            self._look()
        except InvalidLayoutError:
            self._restore_named()
            raise

    def _restore_named(self) -> None:
        """Bring back what the index needs, as far as it can be read, though not all of the layout is understood."""
        index = parse_index(self.tools.source.open_layouts().read_index(self.plan.path).raw)
        self._settle(self.tools.look.bring_back(self.plan.path, index.entries, self.held, self.returned))

    def _purge_gone(self) -> None:
        """Of a layout that is gone, what waits in the quarantine goes when its time is over.

        Raises:
            SourceChangedError: there is something in its place by now.
        """
        if not is_gone(self._files, self.plan.path, self.tools.map_concurrently):
            raise SourceChangedError("it is there again; plan anew")
        self.tools.require(self.plan)
        Sweep(self.tools, self.plan, self.outcome, self.held).run(FreshView((), {}, {}, (), (), Graph()))

    def _complete_additions(self) -> None:
        """Have what additions need in place before anything names it.

        Raises:
            ContentNotFoundError: something of it is gone.
        """
        roots = [entry.descriptor for entry in self.plan.additions]
        view = self.tools.look.ensure(self.plan.path, roots, self.held, self.returned)
        for error in view.unreadable.values():
            raise error
        if view.missing:
            raise ContentNotFoundError(f"what is to be named again needs {view.missing[0]}, which is gone")
        self._settle(view)

    def _edit(self) -> None:
        """Write the index anew, from what it says now, until no writer is in between."""
        plan, outcome, lost = self.plan, self.outcome, self.plan.additions

        def edited(raw: bytes) -> IndexEdit:
            nonlocal lost
            lost = self._still_lost()
            return edit_index(raw, self._still_wanted(), [entry_json(entry) for entry in lost])

        edit = change_index(self.tools, plan.path, edited)
        outcome.removed = [read_entry(body) for body in edit.removed]
        outcome.added = [read_entry(body) for body in edit.added]
        named = (entry for entry in plan.additions if entry not in lost)
        outcome.skipped = [*not_removed(plan.removals, outcome.removed), *edit.taken, *named]

    def _still_lost(self) -> tuple[IndexEntry, ...]:
        """What is to be named again and has no name by now: its push may have been under way when it was planned.

        A tag that an earlier index had was lost in any case; what an earlier attempt has put in is no other name.
        """
        plan = self.plan
        if not plan.additions or self._is_as_planned():
            return plan.additions
        view = self._whole_look()
        named = view.graph.named_by(entry.digest for entry in view.entries)
        present = {(entry.ref_name, entry.digest) for entry in view.entries}

        def is_lost(entry: IndexEntry) -> bool:
            digest = entry.descriptor.digest
            return entry.is_demanded or digest not in named or (entry.tag, digest) in present

        return tuple(filter(is_lost, plan.additions))

    def _is_as_planned(self) -> bool:
        return self.tools.source.open_layouts().read_index(self.plan.path).etag == self.plan.etag

    def _whole_look(self) -> FreshView:
        view = self._look()
        for error in view.unreadable.values():
            raise error
        return view

    def _still_wanted(self) -> Sequence[IndexEntry]:
        """What is to leave the index, if it is not the one that was planned on any more."""
        plan = self.plan
        if not plan.removals or self._is_as_planned():
            return plan.removals
        view = self._whole_look()
        stay = {tag.tag for tag in plan.tags if tag.action is CleanupAction.KEEP}
        if stay and stay.isdisjoint(entry.ref_name for entry in view.entries):
            raise SourceChangedError("no tag is there any more that was to stay, so nothing was taken; plan anew")
        return still_wanted(view, plan.removals)

    def _mark_ahead(self) -> None:
        """Note what the edit is about to leave unnamed, in case this process ends right after it."""
        going = {
            blob.digest: StoredFile("", blob.size, blob.modified, blob.etag)
            for blob in self.plan.blobs
            if blob.action is not CleanupAction.KEEP and blob.since is None
        }
        if self.plan.removals and going:
            self.tools.guard()
            mark_ahead(self._files, self.plan.path, going)

    def _mark(self, view: FreshView) -> None:
        """Note which blobs nothing names, and since when; a mark of which the plan says nothing stays."""
        files, now = self._files, self.tools.source.files.now()
        known = read_marks(files, self.plan.path)
        decided = {decision.digest for decision in self.plan.blobs}
        marks = still_marked({d: mark for d, mark in known.items() if d not in decided}, view.blobs, view.needed)
        for decision in self.plan.blobs:
            file = view.blobs.get(decision.digest)
            if decision.action is CleanupAction.KEEP or file is None or decision.digest in view.needed:
                continue
            if (file.size, file.modified, file.etag) == (decision.size, decision.modified, decision.etag):
                mark = known.get(decision.digest)
                if mark is None or not mark.is_of(file) or mark.since != decision.since:
                    mark = Mark.of(file, now)
                    self.outcome.marked += 1
                marks[decision.digest] = mark
        self.tools.guard()
        write_marks(files, self.plan.path, marks)

    def _delete_leftovers(self) -> None:
        """Delete what writers left; one that can't be deleted keeps no other."""
        for file in self.plan.files:
            if file.action is not CleanupAction.DELETE:
                continue
            self.tools.guard()
            with self.outcome.noting(*ENDS_ALL):
                self._delete_leftover(file)

    def _delete_leftover(self, decision: FileDecision) -> None:
        path = below(self.plan.path, decision.name)
        if decision.kind is FileKind.UPLOAD:
            self._files.abort_upload(UnfinishedUpload(path, decision.mark, decision.modified))
            self.outcome.files_deleted += 1
            return
        file = StoredFile(path, decision.size, decision.modified, decision.mark)
        for deleted in self._files.delete_files([file]):
            self.outcome.files_deleted += 1
            self.outcome.bytes_freed += deleted.size

    def _drop(self, view: FreshView) -> None:
        """Delete the last two files of a layout in which there is nothing; a writer who comes finds it again."""
        if view.entries or view.blobs or self.held:
            return
        self.outcome.dropped = drop_layout(self.tools, self.plan.path)

    def _say_what_is_missing(self, view: FreshView) -> None:
        self.outcome.problems.extend(view.gaps(self.plan.path))
