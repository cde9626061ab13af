"""Which target a cleanup asks before anything goes: the policy's, unless the user names another for this plan."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.course.cleanup_planning import plan_cleanup
from flows.forms.cleanup_parameters import CleanupPlanParameters
from tasks.cleanup_plans import open_plan
from tasks.stop import Stop
from tests.support.layouts import LayoutBuilder
from tests.support.policies import newest_by_name
from tests.support.scripted_registry import Answer, Reply, ScriptedRegistry


class EmptyRegistry(ScriptedRegistry):
    def answer_to(self, method: str, path: str) -> Answer | None:
        return Reply() if path == "/v2/" else Reply(404)


Both = tuple[EmptyRegistry, EmptyRegistry]
Asked = Callable[..., list[bool]]


@pytest.fixture
def registries() -> Iterator[Both]:
    both = EmptyRegistry(), EmptyRegistry()
    yield both
    for each in both:
        each.stop()


@pytest.fixture
def asked(tmp_path: Path, registries: Both) -> Asked:
    """Plan by a policy with such lines more, and say which of the registries were asked."""
    layout = LayoutBuilder(tmp_path / "tree/app")
    for tag in ("v1", "v2"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()

    def plan(lines: str, gate: str | None = None) -> list[bool]:
        policy, file = tmp_path / "policy.yaml", tmp_path / "plan.jsonl"
        policy.write_text(newest_by_name(1, 100) + lines)
        given = {"source": str(tmp_path / "tree"), "policy": str(policy), "output": str(file)}
        named = CleanupPlanParameters(**given, gate=gate, plain_http=True)
        plan_cleanup(named, Stop(), lambda _, plans, *rest: list(plans) and None)
        with open_plan(file) as made:
            hosts = [made.header.gate == each.host for each in registries]
            (repository,) = made.repositories()
        assert bool(repository.removals) is not any(hosts), "neither registry holds anything"
        assert hosts == [bool(each.requests) for each in registries]
        return hosts

    return plan


def test_a_plan_asks_the_target_that_its_policy_names(asked: Asked, registries: Both) -> None:
    policys, _ = registries
    assert asked(f"target: {policys.host}\n") == [True, False]


def test_a_plan_asks_the_target_that_is_named_for_it_in_its_place(asked: Asked, registries: Both) -> None:
    policys, other = registries
    assert asked(f"target: {policys.host}\n", other.host) == [False, True]
    assert asked("", other.host) == [False, True]


def test_a_plan_whose_policy_asks_nobody_asks_none(asked: Asked, registries: Both) -> None:
    policys, _ = registries
    assert asked("") == [False, False]
    assert asked(f"target: {policys.host}\nmigrated_only: false\n") == [False, False]
