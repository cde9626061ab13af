"""Shards on a work pool, as the run sees them that waits for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Self

import httpx
import pytest

from flows.forms.scale_parameters import ScaledMigrateParameters
from flows.scale import pool_work
from flows.scale.pool_work import work_on_pool
from flows.scale.shard_runs import Seen
from tasks.oci.errors import ConfigurationError, ShardLostError
from tasks.operations.running.shard_watch import NODE_SECONDS
from tasks.ports import Shard
from tests.support.gathered import Gathered

SHARD = Shard("run", 1, ("app",))


@dataclass
class Server:
    """A Prefect server where the first attempt at each shard crashes, and that fails where the test says so."""

    failing: list[str] = field(default_factory=list)
    """The calls that are to fail, each as often as it is named."""
    error: Exception = field(default_factory=lambda: httpx.ReadTimeout("no answer"))
    message: str | None = None
    handed_in: list[str] = field(default_factory=lambda: ["page"])
    when_started: Callable[[], None] = lambda: None
    started: list[int] = field(default_factory=list)
    running: set[Shard] = field(default_factory=set)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, shard: Shard, *, attempt: int, delay: float) -> None:
        self._answer("start")
        self.started.append(attempt)
        self.running.add(shard)
        self.when_started()

    def look(self) -> dict[Shard, Seen]:
        self._answer("look")
        state = "COMPLETED" if any(self.started) else "CRASHED"
        return dict.fromkeys(self.running, Seen(state, message=self.message))

    def pages(self, _: Shard) -> list[str]:
        self._answer("pages")
        return self.handed_in

    def forget(self, shard: Shard) -> None:
        self.running.remove(shard)

    def put_an_end_to(self, shard: Shard) -> None:
        self._answer("put_an_end_to")
        self.running.remove(shard)

    def _answer(self, call: str) -> None:
        if call in self.failing:
            self.failing.remove(call)
            raise self.error


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_work, "LOOK_SECONDS", 0.001)


def done(
    server: Server, shards: Sequence[Shard], monkeypatch: pytest.MonkeyPatch, gathered: Gathered | None = None
) -> Gathered:
    monkeypatch.setattr(pool_work, "ShardRuns", lambda *_: server)
    given = ScaledMigrateParameters(source="/bucket", target="h", shards=2, limit_rate="1M", max_requests=50)
    gathered = gathered or Gathered()
    work_on_pool(given, gathered, shards)
    return gathered


def test_where_nothing_was_selected_nothing_is_begun_whatever_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert done(Server(), [], monkeypatch).taken == []


def test_a_run_that_is_told_to_stop_while_it_starts_its_shards_starts_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gathered = Gathered()
    server = Server(when_started=gathered.run.tree.stop.set)
    done(server, [SHARD, Shard("run", 2, ("other",))], monkeypatch, gathered)
    assert (server.started, gathered.taken) == ([0], [])


@pytest.mark.parametrize("call", ["start", "look", "pages", "put_an_end_to"])
def test_a_server_that_fails_for_the_moment_is_asked_again_and_costs_no_attempt(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server([call, call])
    gathered = done(server, [SHARD], monkeypatch)
    assert (server.failing, server.running) == ([], set())
    assert server.started == [0, 1]
    assert (gathered.taken, len(gathered.why_again), gathered.given_up) == ([["page"]], 1, [])


def test_a_further_attempt_has_as_long_to_begin_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(["PENDING", "PENDING", "PENDING", "COMPLETED"])
    times = [NODE_SECONDS + 3, NODE_SECONDS + 2, NODE_SECONDS + 1, 0.0]

    class Slow(Server):
        def look(self) -> dict[Shard, Seen]:
            now.append(times.pop())
            return dict.fromkeys(self.running, Seen(next(states)))

    now = [0.0]
    monkeypatch.setattr(pool_work, "time", SimpleNamespace(monotonic=lambda: now[-1]))
    gathered = done(Slow(), [SHARD], monkeypatch)
    assert (gathered.taken, len(gathered.why_again)) == ([["page"]], 1)


def test_what_a_flow_run_says_of_its_end_is_told_in_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "Flow run encountered an exception: HTTPStatusError: 500 of http://lifter:hunter2@prefect/api\nResponse"
    (why,) = done(Server(message=message), [SHARD], monkeypatch).why_again
    assert why.endswith("was crashed: Flow run encountered an exception: HTTPStatusError: 500 of http://prefect/api")


def test_a_worker_of_another_version_says_which_option_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "Flow run received invalid parameters:\n - settings.new: Extra inputs are not permitted\n - more"
    (why,) = done(Server(message=message), [SHARD], monkeypatch).why_again
    assert why.endswith("Flow run received invalid parameters: settings.new: Extra inputs are not permitted")


@pytest.mark.parametrize(
    ("pages", "told"), [(["page"], "its report can't be read (ValueError)"), ([], "invalid parameters")]
)
def test_of_a_report_that_is_there_and_can_t_be_read_that_is_told(
    monkeypatch: pytest.MonkeyPatch, pages: list[str], told: str
) -> None:
    """Tags with a problem have made its flow run fail, too, which is not why the shard is done again."""
    gathered = Gathered(ShardLostError("its report can't be read (ValueError)"))
    server = Server(message="invalid parameters", handed_in=pages)
    _, why = done(server, [SHARD], monkeypatch, gathered).why_again
    assert why == told


def test_a_server_that_does_not_answer_for_minutes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_work, "UNANSWERED_SECONDS", 0.05)
    server = Server(["look"] * 10**6)
    with pytest.raises(httpx.ReadTimeout):
        done(server, [SHARD], monkeypatch)
    assert len(server.failing) < 10**6 - 1, "it was asked again before"


def test_a_server_that_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    request = httpx.Request("POST", "http://h")
    server = Server(["start"], httpx.HTTPStatusError("", request=request, response=httpx.Response(403)))
    with pytest.raises(httpx.HTTPStatusError):
        done(server, [SHARD], monkeypatch)
    assert server.started == []


NOT_DEPLOYED = ConfigurationError("the Prefect server has no such deployment")


def test_a_deployment_that_was_never_there_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError):
        done(Server(["start"], NOT_DEPLOYED), [SHARD], monkeypatch)


def test_a_deployment_that_vanishes_in_mid_run_costs_the_shards_that_would_have_to_be_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the server's database was lost; "nothing was done" would be wrong then."""
    server = Server(error=NOT_DEPLOYED)
    server.when_started = lambda: server.failing.append("start")
    gathered = done(server, [SHARD], monkeypatch)
    assert (server.started, gathered.taken) == ([0], [])
    (lost,) = gathered.given_up
    assert str(lost) == "it was there when the run began: the Prefect server has no such deployment"


@dataclass
class Deserted(Server):
    """Its only worker dies with the first attempt, and another comes after so many looks."""

    looks: int = 200
    left: str = "SCHEDULED"

    def look(self) -> dict[Shard, Seen]:
        self.looks -= 1
        waits = any(self.started) and self.looks > 0
        return dict.fromkeys(self.running, Seen(self.left)) if waits else super().look()


@pytest.mark.parametrize("left", ["SCHEDULED", "PENDING"])
def test_shards_that_no_worker_takes_up_again_or_brings_to_life_are_told_of(
    left: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool_work, "UNATTENDED_SECONDS", 0.01)
    done(Deserted(left=left), [SHARD], monkeypatch)
    assert "no shard is at work" in caplog.text
