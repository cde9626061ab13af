"""What keeps a cleanup from being planned is told before anything of the source is judged."""

import threading
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest

from tasks import cleanup_plans
from tasks.cleanup_plans import CleanupOptions, Planner, open_planner
from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import ConfigurationError
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.deciding.choices import PolicyChoice
from tasks.operations.cleanup.deciding.policy import Policy
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.values import Timing
from tasks.ports import Finding
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess
from tests.support.cleanup_world import GRACE, HOLD, LAYOUT, keep_policy, world_that_waited
from tests.support.memory_stores import MemorySource
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import always, page, refusal, use_program, use_worthless_credentials


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Generator[ScriptedRegistry]:
    use_worthless_credentials(monkeypatch)
    server = ScriptedRegistry()
    yield server
    server.stop()
    server.check()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refusal("NoSuchBucket", 404), "does not exist"),
        (refusal("AccessDenied", 403), "access to bucket is denied .*s3:ListBucket"),
        (refusal("InvalidAccessKeyId", 403), "refuses the credentials"),
    ],
    ids=["no bucket", "denied", "no such key pair"],
)
def test_a_bucket_that_does_not_let_us_in_is_wrong_configuration(
    script: ScriptedRegistry, reply: Reply, words: str
) -> None:
    """As it is for whoever reads the layouts: the codes that commands end with are the same."""
    always(script, "/bucket", reply)
    options = CleanupOptions("s3://bucket", BucketAccess(endpoint_url=script.url))
    with pytest.raises(ConfigurationError, match=words), open_planner(options, Policy(()), Stop()):
        pytest.fail("nothing can be planned")


def test_layouts_files_and_earlier_indexes_of_a_bucket_are_read_with_one_login(
    script: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What gives credentials may ask a person."""
    asked = use_program(tmp_path, monkeypatch)
    always(script, "/bucket", page({}))
    options = CleanupOptions("s3://bucket", BucketAccess(endpoint_url=script.url))
    with open_planner(options, Policy(()), Stop()) as planner:
        assert not list(planner.source.list_layouts())
        assert not list(planner.tools.files.list_files("app"))
        assert not list(planner.tools.old_indexes("app", 0.0))
    assert asked.read_text() == "asked\n"


def test_what_a_source_is_read_by_works_in_the_context_of_the_flow(tmp_path: Path) -> None:
    """By that, Prefect knows on whose page it belongs that the bucket is away, and waited for."""
    of_run: ContextVar[str | None] = ContextVar("of_run", default=None)
    of_run.set("this run")
    with open_planner(CleanupOptions(str(tmp_path), BucketAccess()), Policy(()), Stop()) as planner:
        assert list(planner.tools.map_concurrently(lambda _: of_run.get(), [1, 2])) == ["this run"] * 2


@pytest.mark.parametrize(
    ("found", "is_gone"),
    [
        ([], True),
        ([Finding(".", Remark.NOT_A_LAYOUT, "a file that belongs to no layout")], True),
        ([Finding("team", Problem.UNREADABLE_DIRECTORY, "for the moment")], False),
        ([Finding("team/app", Problem.UNREADABLE_DIRECTORY, "for the moment")], False),
        ([Finding("team/app", Problem.UNREADABLE_ENTRY, "whether this is a directory can't be read")], False),
        ([Finding("team", Remark.EMPTY_FOLDER, "is something mounted there?")], False),
        ([Finding("team", Remark.LINK_NOT_FOLLOWED, "a link")], False),
        ([Finding("team/application", Problem.UNREADABLE_DIRECTORY, "for the moment")], True),
    ],
)
def test_what_lies_below_a_place_that_can_not_be_read_is_not_taken_for_removed(
    found: list[Finding], is_gone: bool
) -> None:
    """What its quarantine holds would be deleted for good without a look at what its index names."""
    world = world_that_waited()
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.files.delete_files(list(world.files.list_files(LAYOUT)))
    rules = BlobRules(world.now, Timing(GRACE, HOLD), 0.0, 0.0)
    source = _Found(found)
    tools = PlanTools(source, world.files, Holdings(world.files), rules, map)
    plans = list(Planner(source, tools, Stop()).plans(lambda _: PolicyChoice(keep_policy(1), frozenset(), world.now)))
    assert [plan.path for plan in plans if plan.is_gone] == [LAYOUT] * is_gone


def test_layouts_that_may_be_gone_are_asked_for_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a mount each takes more than half a second, and a team may have removed hundreds."""
    world, together = world_that_waited(), threading.Barrier(cleanup_plans.REPOSITORIES_AT_ONCE)
    assert world.apply_plan(world.plan(keep_policy(1)))
    holdings = Holdings(world.files)
    monkeypatch.setattr(Holdings, "repositories", tuple(f"app{number}" for number in range(12)))

    def plan_gone(*_: object) -> None:
        together.wait(timeout=30)

    monkeypatch.setattr(cleanup_plans, "plan_gone", plan_gone)
    rules = BlobRules(world.now, Timing(GRACE, HOLD), 0.0, 0.0)
    tools = PlanTools(_Found([]), world.files, holdings, rules, map)
    choice = PolicyChoice(keep_policy(1), frozenset(), world.now)
    assert list(Planner(tools.source, tools, Stop()).plans(lambda _: choice)) == []


class _Found(MemorySource):
    """A source in which a search finds this and nothing else."""

    def __init__(self, found: list[Finding]) -> None:
        super().__init__({})
        self._found = found

    def list_layouts(self) -> Iterator[str | Finding]:
        return iter(self._found)
