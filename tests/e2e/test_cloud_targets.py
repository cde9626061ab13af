"""The whole job at registries with habits of their own: a real registry, and the clouds' own APIs beside it."""

import contextlib
import json
import re
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from flows.course.driving import drive, work_here
from flows.terminal.console import Console
from infra.real_parts import DebianRegistry, Registry
from tasks.endpoints import TargetOptions
from tasks.oci.errors import IncompleteError
from tasks.oci.registry_profiles import RegistryKind
from tasks.registry_ports import NewRepositories
from tasks.run_options import RunKind, RunOptions
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.ecr_templates import answer_with_templates, template
from tests.support.fault_proxy import FaultProxy, Say
from tests.support.layouts import LayoutBuilder

ACCOUNT_TOKEN = ("AWS", "123456789012-auth-token")
"""What moto's ECR grants."""


@pytest.fixture
def ecr(
    own_registry: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Generator[Registry]:
    """A registry that lets in whoever has a token of moto's ECR, and the API of that beside it."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    for name in ("LAYOUTLIFT_TARGET_USERNAME", "LAYOUTLIFT_TARGET_PASSWORD", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    answer_with_templates(monkeypatch)
    with mock_aws():
        yield own_registry(DebianRegistry, login=ACCOUNT_TOKEN)


def run(kind: RunKind, options: RunOptions) -> dict[str, Any]:
    """The report of a run in this process, where moto is."""
    console = Console()
    with contextlib.suppress(IncompleteError):
        drive(kind, options, console, work_here)
    assert console.run is not None
    assert console.run.report_path is not None
    return json.loads(console.run.report_path.read_bytes())


def test_ecr_gets_its_repositories_made_and_all_of_the_tree(ecr: Registry, tmp_path: Path) -> None:
    target = TargetOptions(ecr.host, plain_http=True, kind=RegistryKind.ECR)
    options = RunOptions(str(tree(tmp_path / "s", 2, 2)), target, state=str(tmp_path / "state"))
    report = run(RunKind.PLAN, options)
    assert {row["error"]["code"] for row in report["tags"]} == {"repository_missing"}
    assert report["totals"]["requests"] <= 2
    refused = run(RunKind.MIGRATE, options)
    assert refused["totals"]["refused"] == 4
    assert not list(ecr.storage.rglob("link")), "something was sent to a registry that has no place for it"

    made = replace(options, target=replace(target, new_repositories=NewRepositories(immutable_tags=True)))
    planned = run(RunKind.PLAN, made)
    assert planned["totals"]["to_copy"] == 4
    assert [finding["code"] for finding in planned["findings"]] == ["to_create", "to_create"]
    assert run(RunKind.MIGRATE, made)["totals"]["copied"] == 4

    tree(tmp_path / "s", 2, 2, seed=5)  # every tag moves, and ECR was told to let none
    for kind in (RunKind.PLAN, RunKind.MIGRATE):
        again = run(kind, made)
        assert {row["error"]["code"] for row in again["tags"]} == {"immutable_tag"}


def test_ecr_gets_what_its_own_templates_have_a_push_make(
    ecr: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with_templates(monkeypatch, template("app-0", "CREATE_ON_PUSH"))
    target = TargetOptions(ecr.host, plain_http=True, kind=RegistryKind.ECR)
    source, state = str(tree(tmp_path / "s", 2, 1)), str(tmp_path / "state")
    options = RunOptions(source, target, rename=("app-0=app-0/web",), state=state)
    planned = run(RunKind.PLAN, options)
    assert {row["repository"]: row["outcome"] for row in planned["tags"]} == {"app-0": "to_copy", "app-1": "refused"}
    assert {each["path"]: each["code"] for each in planned["findings"]} == {
        "app-0": "to_create",
        "app-1": "repository_missing",
    }
    report = run(RunKind.MIGRATE, options)
    assert {row["repository"]: row["outcome"] for row in report["tags"]} == {"app-0": "copied", "app-1": "refused"}


def test_a_harbor_gives_itself_away_and_misses_a_project(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    proxy = FaultProxy(docker_registry.host)
    try:
        realm = f"http://{proxy.host}/service/token"
        challenge = Say(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="harbor-registry"'})
        proxy.when("GET", "/v2/", challenge)
        proxy.when("GET", "/service/token.*", Say(200, {}, b'{"token": "t"}'), times=99)
        proxy.when("HEAD", "/api/v2.0/projects.*", Say(404), times=99)
        source = tree(tmp_path / "s", 1, 1)
        target = f"{proxy.host}/{prefix}"
        planned = layoutlift.plan(source, target, code=1)
        assert planned.outcomes == {"app-0:v0": "repository_missing"}
        proxy.when("GET", "/v2/", challenge)
        proxy.when("POST", "/api/v2.0/projects", Say(201))
        ended = layoutlift.migrate(source, target, "--create-repositories")
        assert ended.outcomes == {"app-0:v0": "copied"}
        assert [seen.method for seen in proxy.seen if seen.path.startswith("/api/")] == [
            "HEAD",
            "HEAD",
            "POST",
            "HEAD",
        ]
    finally:
        proxy.stop()


def test_names_that_a_registry_does_not_take_are_refused_before_the_first_byte(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path
) -> None:
    proxy = FaultProxy(docker_registry.host)
    try:
        source = tree(tmp_path / "s", 1, 1)
        ended = layoutlift.migrate(source, f"{proxy.host}/project", "--registry-kind", "google", code=1)
        assert ended.outcomes == {"app-0:v0": "invalid_reference"}
        assert "PROJECT/REPOSITORY/IMAGE" in ended.output
        assert [seen.path for seen in proxy.seen] == ["/v2/"]
    finally:
        proxy.stop()


def test_a_tag_that_quay_does_not_list_yet_is_not_overwritten(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    """By another registry whose list is kept back, as quay's cache does it."""
    theirs, ours = tree(tmp_path / "theirs", 1, 1), LayoutBuilder(tmp_path / "ours" / "app-0")
    ours.image("v0", layers=[b"other content"])
    ours.write()
    layoutlift.migrate(theirs, f"{docker_registry.host}/{prefix}")
    proxy = FaultProxy(docker_registry.host)
    try:
        proxy.when("GET", f"/v2/{prefix}/app-0/tags/list", Say(200, body=b'{"tags": []}'))
        target = f"{proxy.host}/{prefix}"
        ended = layoutlift.migrate(tmp_path / "ours", target, "--registry-kind", "quay", code=1)
        assert ended.outcomes == {"app-0:v0": "conflict"}
        layoutlift.verify(theirs, f"{docker_registry.host}/{prefix}")
    finally:
        proxy.stop()


def test_docker_hub_gets_its_library_and_its_limit_is_reported(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path
) -> None:
    """By a registry of another host that answers as Docker Hub does: the kind is named, the address too."""
    proxy = FaultProxy(docker_registry.host)
    try:
        headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "99;w=21600"}
        proxy.when("GET", "/v2/", Say(200, headers, b"{}"))
        ended = layoutlift.plan(tree(tmp_path / "s", 1, 1), proxy.host, "--registry-kind", "docker-hub")
        assert ended.report["run"]["rate_limit"] == "99;w=21600 left of 100;w=21600"
        assert [row["target"] for row in ended.report["tags"]] == [f"{proxy.host}/library/app-0:v0"]
    finally:
        proxy.stop()


def test_a_manifest_of_a_type_that_the_registry_does_not_take_is_refused_by_plan_and_by_migrate(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    layout = LayoutBuilder(tmp_path / "s" / "app")
    layout.image("good", layers=[b"layer"])
    kind = "application/vnd.oci.artifact.manifest.v1+json"
    body = json.dumps({"mediaType": kind, "artifactType": "x/y", "blobs": []}).encode()
    layout.entry(layout.blob(body, kind), "early")
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    for command in (layoutlift.plan, layoutlift.migrate):
        ended = command(tmp_path / "s", target, "--registry-kind", "ecr-public", code=1)
        assert ended.outcomes["app:early"] == "manifest_refused"
        assert re.search("Amazon ECR Public does not take manifests of type", ended.output)
    assert ended.outcomes["app:good"] == "copied"


@pytest.mark.parametrize("option", ["--immutable-tags", "--scan-on-push"])
def test_a_setting_of_repositories_that_are_not_made_is_a_mistake(
    layoutlift: Layoutlift, tmp_path: Path, option: str
) -> None:
    ended = layoutlift("migrate", tmp_path, "r.example", option, "--standalone", code=2)
    assert f"{option}: it is a setting of --create-repositories" in ended.stderr
