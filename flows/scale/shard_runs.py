"""The flow runs that do the shards of a run, as the Prefect server knows them.

A shard's report comes back through the server, as artifacts that are removed when they were read: it is the one
thing that all machines share. Requests for them are made directly, because Prefect's own calls for artifacts also
send an event each, with all of the content in it.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from flows.dashboard.shown_progress import only_noted
from flows.forms.shard_parameters import told_of
from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from tasks.ports import Shard

LIFE, REPORT = "layoutlift-life", "layoutlift-report"
"""Types of artifacts: a shard's signs of life, and the pages of its report."""
PAGES_AT_ONCE = 20
RUNS_AT_ONCE = 200
"""The most that a Prefect server lists at once, where nobody set it another limit."""
AT_ONCE = {REPORT: PAGES_AT_ONCE, LIFE: RUNS_AT_ONCE}
ABANDONED = timedelta(days=1)
"""So long after the end of a shard's flow run nobody reads any more what it handed in."""
MOST_PAGES = 10
"""Of what was abandoned, in one run: more is left to the next."""
CANCELLED_AT_ONCE = 8
CANCEL_SECONDS = 15.0
"""Who is told to stop has some seconds for it, there may be 200 shards, and Prefect's client tries for a minute."""

logger = logging.getLogger(__name__)


class Seen(NamedTuple):
    """What the server says of an attempt: its state's type, its last sign of life with the bytes that it tells of."""

    state: str
    sign: str | None = None
    message: str | None = None
    bytes_read: int = 0


class ShardRuns:
    """The newest flow run of each shard; those that are left at the end of the block are cancelled.

    Signs of life, and pages that nobody will read, are removed, too: an attempt that was given up may have handed in
    some.
    """

    def __init__(self, deployment: str, settings: Mapping[str, Any], title: str, of: int) -> None:
        self._deployment = deployment
        self._settings = settings
        self._title = title
        self._of = of
        self._runs: dict[Shard, UUID] = {}
        self._over: list[UUID] = []
        self._seen: dict[UUID, FlowRun] = {}
        self._stack = ExitStack()
        self._client: SyncPrefectClient

    def __enter__(self) -> Self:
        self._client = self._stack.enter_context(get_client(sync_client=True))
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self._over += self._runs.values()
            if self._cancel_all() and self._over:
                with only_noted():
                    self._remove_left(self._over)
                    self._remove_abandoned()

    def start(self, shard: Shard, *, attempt: int, delay: float) -> None:
        """Have a shard done, so many seconds from now, by whichever worker is free.

        Raises:
            ConfigurationError: there is no such deployment.
        """
        again = f", again ({attempt})" if attempt else ""
        try:
            started: Any = run_deployment(
                self._deployment,
                parameters={"settings": self._settings, **told_of(shard)},
                flow_run_name=f"{self._title}: shard {shard.number} of {self._of}{again}",
                idempotency_key=f"{shard.run}-{shard.number}-{attempt}",
                scheduled_time=datetime.now(UTC) + timedelta(seconds=delay),
                timeout=0,
            )
        except ObjectNotFound as error:
            raise ConfigurationError(
                f"--shard-deployment {self._deployment}: the Prefect server has no such deployment: "
                "deploy it, as docs/scale.md shows"
            ) from error
        self._runs[shard] = started.id

    def look(self) -> dict[Shard, Seen]:
        """What the server says of each shard that it knows."""
        ids = list(self._runs.values())
        with _answered():
            self._seen = {each.id: each for each in self._flow_runs(ids)}
            signs = newest_signs(self._artifacts(ids, LIFE, RUNS_AT_ONCE))
        found = {}
        for shard, run in self._runs.items():
            state = self._seen[run].state if run in self._seen else None
            if state is not None:
                sign = signs.get(str(run), {"updated": None, "data": {}})
                told = sign["data"].get("bytes_read", 0)
                found[shard] = Seen(state.type.value, sign["updated"], state.message, told)
        return found

    def pages(self, shard: Shard) -> list[str]:
        """The pages of a shard's report, in order, as far as they are there."""
        with _answered():
            return newest_report(self._artifacts([self._runs[shard]], REPORT, PAGES_AT_ONCE))

    def forget(self, shard: Shard) -> None:
        """Remove what a shard whose report was read left at the server; where that fails, at the end once more."""
        run = self._runs.pop(shard)
        self._over.append(run)
        with only_noted():
            self._remove_left([run])

    def put_an_end_to(self, shard: Shard) -> None:
        """Have the server know that a shard's run is over, so that a process that still is at it ends, too.

        One that has not begun is cancelled: Prefect lets a run that crashed begin, as where its pod gets a node late.
        """
        run = self._runs[shard]
        seen = self._seen[run].state if run in self._seen else None
        if seen is None or not seen.is_final():
            kind = StateType.CANCELLED if seen is not None and seen.is_pending() else StateType.CRASHED
            message = "it gave no sign of life, and was taken up by another worker"
            with suppress(ObjectNotFound):  # somebody deleted it
                self._client.set_flow_run_state(run, State(type=kind, message=message), force=True)
        self._over.append(run)
        del self._runs[shard]

    def _cancel_all(self) -> bool:
        """Whether the server answered for each run in time; the report is not to wait for one that does not."""
        pool = ThreadPoolExecutor(CANCELLED_AT_ONCE, thread_name_prefix="cancel")
        done, late = wait([pool.submit(self._cancel, run) for run in self._runs.values()], CANCEL_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        for each in done:
            with only_noted():
                each.result()
        if late:
            logger.warning("%d shards may go on: the Prefect server did not answer in time", len(late))
        return not late

    def _cancel(self, run: UUID) -> None:
        """The server itself leaves alone what has ended, and cancels at once what no worker has taken up yet."""
        seen = self._seen[run].state if run in self._seen else None
        kind = StateType.CANCELLED if seen is not None and seen.is_paused() else StateType.CANCELLING
        self._client.set_flow_run_state(run, State(type=kind, message="the run that it is a part of has ended"))

    def _remove_left(self, runs: Collection[UUID]) -> None:
        for kind, at_once in AT_ONCE.items():
            self._remove(self._artifacts(runs, kind, at_once))

    def _remove_abandoned(self) -> None:
        """What shards left whose run died before it had read it; page by page, and not all where that is much."""
        ended = {"end_time": {"before_": (datetime.now(UTC) - ABANDONED).isoformat()}}
        for kind, at_once in AT_ONCE.items():
            for _ in range(MOST_PAGES):
                body = {"artifacts": {"type": {"any_": [kind]}}, "flow_runs": ended, "limit": at_once}
                found = self._client.request("POST", "/artifacts/filter", json=body).json()
                self._remove(found)
                if len(found) < at_once:
                    break

    def _remove(self, artifacts: Iterable[Mapping[str, Any]]) -> None:
        for each in artifacts:
            self._client.request("DELETE", "/artifacts/{id}", path_params={"id": each["id"]})

    def _flow_runs(self, ids: Sequence[UUID]) -> list[FlowRun]:
        found: list[FlowRun] = []
        for first in range(0, len(ids), RUNS_AT_ONCE):
            wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(ids[first : first + RUNS_AT_ONCE])))
            found += self._client.read_flow_runs(flow_run_filter=wanted, limit=RUNS_AT_ONCE)
        return found

    def _artifacts(self, runs: Collection[UUID], kind: str, at_once: int) -> list[dict[str, Any]]:
        wanted = {"flow_run_id": {"any_": [str(run) for run in runs]}, "type": {"any_": [kind]}}
        found: list[dict[str, Any]] = []
        while True:
            body = {"artifacts": wanted, "sort": "ID_DESC", "offset": len(found), "limit": at_once}
            more = self._client.request("POST", "/artifacts/filter", json=body).json()
            found += more
            if len(more) < at_once:
                return found


def flow_of(deployment: UUID) -> str | None:
    """The name of a deployment's flow; None where the server has no such one, as the first start of it says."""
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        return client.read_flow(client.read_deployment(deployment).flow_id).name
    return None


@contextmanager
def _answered() -> Iterator[None]:
    """What is no answer of Prefect's, such as the page of a proxy before it, is a server that fails for the moment.

    Raises:
        DecodingError: what came is no answer of a Prefect server.
    """
    try:
        yield
    except (ValueError, LookupError) as error:
        raise httpx.DecodingError(f"no answer of a Prefect server: {type(error).__name__}") from error


def newest_report(artifacts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The pages of the report that was handed in last, in order, each once.

    A page is there twice where the answer to the first was lost. A flow run that was paused when it had handed in its
    report does so again when it is resumed.
    """
    in_order = sorted(artifacts, key=lambda each: datetime.fromisoformat(each["created"]))
    pages = [each["data"] for each in in_order]
    last = {page["page"]: page["text"] for page in pages if page["report"] == pages[-1]["report"]}
    return [last[number] for number in sorted(last)]


def newest_signs(artifacts: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Each run's last sign of life; one that was paused and resumed has older ones, too.

    Times are no texts to compare: a full second comes without a fraction.
    """
    in_order = sorted(artifacts, key=lambda each: datetime.fromisoformat(each["updated"]))
    return {each["flow_run_id"]: each for each in in_order}
