"""Which work each kind of run does on a repository, with all that the work needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.operations.choosing.chosen_tags import marked_of
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.copying.copy_work import CopyWork
from tasks.operations.copying.losses import Losses
from tasks.operations.copying.noted_tags import NotedTags
from tasks.operations.copying.other_layouts import OtherLayouts
from tasks.operations.copying.plan_work import PlanWork
from tasks.operations.copying.repository_preparation import new_may_be_public
from tasks.operations.copying.tag_planner import UNLISTED, TagPlanner, listed_tags
from tasks.operations.in_step.since_last import RememberedWork, UnchangedWork, is_unchanged, settings_mark
from tasks.operations.referrers.referrer_lists import ReferrerLists
from tasks.operations.reports.results import Depth
from tasks.operations.source.graph_links import GraphLinks
from tasks.operations.source.source_graph import SourceGraph
from tasks.operations.verifying.check_work import CheckWork
from tasks.operations.verifying.verification import RepositoryVerifier, in_layout
from tasks.operations.verifying.verify_work import VerifyWork
from tasks.operations.work.content_proof import ContentProof
from tasks.operations.zot.zot_work import RepeatedContent, ZotWork, read_served_layout
from tasks.registry_ports import MADE_BY_A_PUSH
from tasks.run_options import RunKind
from tasks.stores.pacing import PacedContent
from tasks.stores.zot_storage import served_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.ledger.ledger import Ledger
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.copying.repository_preparation import Preparation
    from tasks.operations.reports.progress import Progress
    from tasks.operations.reports.results import RepositoryInventory
    from tasks.operations.source.source_graph import Census
    from tasks.operations.work.planning import CopyPolicy
    from tasks.operations.work.repository_work import BeginWork, RepositoryWork, Unit
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import BlobContent, LayoutReader, Target
    from tasks.run_options import RunOptions
    from tasks.stores.pacing import Pace


@dataclass(frozen=True, slots=True)
class Works:
    """What repositories are worked on with; each method gives the function that begins one repository."""

    source: LayoutReader
    options: RunOptions
    selection: Selection
    hands: SpareHands
    ledger: Ledger
    census: Census
    progress: Progress
    pace: Pace
    preparation: Preparation

    @property
    def policy(self) -> CopyPolicy:
        """The user's decisions."""
        return self.options.policy

    @property
    def proof(self) -> ContentProof:
        """How content is read to prove it: no faster than `pace` lets its bytes pass, and no more than was asked."""
        return ContentProof(
            lambda content: PacedContent(content, self.pace, lambda _: None), self.options.content_part
        )

    def of(self, kind: RunKind, target: Target | None) -> BeginWork:
        """What a run of this kind does; see the other methods."""
        if target is None:
            return self.zot() if kind is RunKind.ZOT else self.check()
        if kind is RunKind.MIGRATE:
            return self.migrate(target)
        return self.plan(target) if kind is RunKind.PLAN else self.verify(target)

    def migrate(self, target: Target) -> BeginWork:
        """Copies; content counts as it passes, and passes no faster than `pace` lets its bytes.

        With `--since-last`, a layout counts as done that has not changed since an earlier run was done with all of
        it, if the options that make the selection were the same then, and time has not made another one of it.
        """

        def paced(content: BlobContent) -> BlobContent:
            return PacedContent(content, self.pace, self.progress.note_bytes)

        tools = CopyTools(self.source, target, self.hands, paced, self.progress.note_traffic, self.proof)
        policy, selection = self.policy, self.selection

        def begin(inventory: RepositoryInventory, repository: str, units: Sequence[Unit]) -> RepositoryWork:
            chosen = (*self.options.choosing.settings, *marked_of(inventory, selection))
            settings = settings_mark(repository, chosen, policy.untagged, policy.referrers, policy.depth)
            if self.options.since_last and is_unchanged(inventory, repository, self.ledger, settings, selection):
                done = UnchangedWork(inventory, repository, target.host, self.ledger)
                return RememberedWork(done, repository, self.ledger, None, selection)
            if units:
                self.preparation.prepare(repository)
            work = self.copy_work(tools, inventory, repository, brings=bool(units))
            return RememberedWork(work, repository, self.ledger, settings, selection)

        return begin

    def copy_work(
        self, tools: CopyTools, inventory: RepositoryInventory, repository: str, *, brings: bool = True
    ) -> CopyWork:
        """What copies into a repository that is prepared, having said who may read a new one; see `_planner`."""
        noted = NotedTags(self.ledger, repository, inventory.path, self.policy)
        planner = self._planner(tools.target, tools.whole_source, noted, brings=brings)
        told = tuple(new_may_be_public(inventory.path, repository, planner, tools.target.profile))
        self.preparation.warn_once(told)
        return CopyWork(tools, inventory, noted, planner, announced=told)

    def plan(self, target: Target) -> BeginWork:
        """Says what a migration would do."""
        lists = ReferrerLists(target)

        def begin(inventory: RepositoryInventory, repository: str, units: Sequence[Unit]) -> RepositoryWork:
            noted = NotedTags(self.ledger, repository, inventory.path, self.policy)
            planner = self._planner(target, self.source, noted, brings=bool(units))
            graph = SourceGraph(self.source, inventory.path, Depth.BLOBS, self.hands)
            told = new_may_be_public(inventory.path, repository, planner, target.profile)
            made = self.preparation.announce(inventory.path, repository) if units else []
            work = PlanWork(
                inventory,
                graph,
                self.census,
                planner,
                host=target.host,
                lists=lists,
                profile=target.profile,
                announced=(*made, *told),
                noted=noted,
                losses=self._losses(target, inventory, repository) if self.policy.prove_again else None,
            )
            return RememberedWork(work, repository, self.ledger, None, self.selection)

        return begin

    def _planner(self, target: Target, source: LayoutReader, noted: NotedTags, *, brings: bool) -> TagPlanner:
        """What decides on the tags of a repository; `source` has the other layouts that may have brought some.

        Of one to which a run `brings` nothing, nothing is asked: asked with the right to push, Quay makes it.
        """
        others = OtherLayouts(source, noted)
        if not brings:
            return TagPlanner(target, noted, others, listed=UNLISTED, state=MADE_BY_A_PUSH)
        state = self.preparation.state(noted.repository)
        return TagPlanner(target, noted, others, listed=listed_tags(target, noted), state=state)

    def _losses(self, target: Target, inventory: RepositoryInventory, repository: str) -> Losses:
        followed = inventory.referrers if self.policy.referrers else {}
        links = GraphLinks(self.source, inventory.path, followed, self.hands, lambda _: None)
        return Losses(links, self._verifier(target, inventory, repository), self.policy.depth)

    def _verifier(self, target: Target, inventory: RepositoryInventory, repository: str) -> RepositoryVerifier:
        at_source = in_layout(self.source, inventory.path)
        return RepositoryVerifier(
            target, repository, self.policy.depth, self.hands, proof=self.proof, is_at_source=at_source
        )

    def verify(self, target: Target) -> BeginWork:
        """Compares the target with the source."""
        lists, policy = ReferrerLists(target), replace(self.policy, depth=self.options.proved_depth)

        def begin(inventory: RepositoryInventory, repository: str, _: Sequence[Unit]) -> RepositoryWork:
            verifier = self._verifier(target, inventory, repository)
            tags = target.list_tags(repository)
            return VerifyWork(inventory, repository, verifier, lists, policy, host=target.host, target_tags=tags)

        return begin

    def zot(self) -> BeginWork:
        """Looks at the source as a zot would that serves it in place."""
        prefix, repeated = served_prefix(self.options.source), RepeatedContent()

        def begin(inventory: RepositoryInventory, *_: object) -> RepositoryWork:
            depth = self.policy.depth
            graph = SourceGraph(self.source, inventory.path, depth, self.hands, proof=self.proof)
            served = read_served_layout(self.source, inventory.path, prefix)
            return ZotWork(inventory, graph, self.census, depth, served=served, repeated=repeated)

        return begin

    def check(self) -> BeginWork:
        """Looks at the source alone."""

        def begin(inventory: RepositoryInventory, *_: object) -> RepositoryWork:
            graph = SourceGraph(self.source, inventory.path, self.policy.depth, self.hands, proof=self.proof)
            return CheckWork(inventory, graph, self.census, self.options.proved_depth)

        return begin
