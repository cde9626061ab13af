"""Only a migration asks a registry for the right to push; whoever may only pull gets no token for it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.cleanup_plans import open_gate
from tasks.endpoints import TargetOptions
from tasks.oci.digest import Digest
from tasks.run_options import RunKind
from tasks.runs import open_run
from tasks.stop import Stop
from tests.support.checks import check_of_one_tag
from tests.support.scripted_registry import Answer, Reply, Request, ScriptedRegistry


class GuardedRegistry(ScriptedRegistry):
    """Has nothing, and says so to whoever comes with a token."""

    def answer_to(self, method: str, path: str) -> Answer | None:
        return Reply(body=b'{"token":"t"}') if path == "/token" else self._guard

    def _guard(self, request: Request) -> Reply:
        if "authorization" not in request.headers:
            return Reply(401, {"WWW-Authenticate": f'Bearer realm="{self.url}/token",service="registry"'})
        return Reply(200 if request.path == "/v2/" else 404)

    @property
    def scopes(self) -> set[str]:
        return {scope for request in self.asked("GET", "/token") for scope in request.query.get("scope", ())}


@pytest.fixture
def registry() -> Iterator[GuardedRegistry]:
    made = GuardedRegistry()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("kind", "right"), [(RunKind.PLAN, "pull"), (RunKind.VERIFY, "pull"), (RunKind.MIGRATE, "pull,push")]
)
def test_a_plan_and_a_verification_need_no_right_to_push(
    registry: GuardedRegistry, tmp_path: Path, kind: RunKind, right: str
) -> None:
    target = TargetOptions(registry.host, plain_http=True)
    with open_run(kind, replace(check_of_one_tag(tmp_path), target=target), Stop()) as run:
        run.tree.execute_all(run.survey().batches)
    assert registry.scopes == {f"repository:app:{right}"}


def test_a_gate_needs_no_right_to_push(registry: GuardedRegistry, tmp_path: Path) -> None:
    target, digest = TargetOptions(registry.host, plain_http=True), Digest.of(b"gone")
    with open_gate(target, str(tmp_path), Stop(), map) as gate:
        assert gate.lacking("app", {digest: 4}).keys() == {digest}
    assert registry.scopes == {"repository:app:pull"}
