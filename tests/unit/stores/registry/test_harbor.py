"""Harbor's projects are looked for and made by its own API, as its documentation describes it."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.oci.errors import ConfigurationError, PermissionDeniedError, RegistryError
from tasks.registry_ports import NewRepositories
from tasks.stop import Stop
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.harbor import HarborProjects
from tasks.stores.registry.kept_credentials import KeptCredentials
from tasks.stores.registry.request_retry import RequestRetry
from tasks.stores.registry.transport.http_pool import HttpPool
from tests.support.scripted_registry import Reply, ScriptedRegistry

PROJECTS = "/api/v2.0/projects"
ROBOT = Credentials("robot$team+lift", "s3cret")


@pytest.fixture
def harbor(script: ScriptedRegistry, make_pool: Callable[..., HttpPool]) -> HarborProjects:
    stop = Stop()
    return HarborProjects(
        make_pool(script.host), RequestRetry(RequestGate(stop), stop, first_wait=0.001), lambda: ROBOT
    )


def test_a_project_is_asked_for_once_and_by_its_name_alone(script: ScriptedRegistry, harbor: HarborProjects) -> None:
    script.expect("HEAD", PROJECTS, Reply(503), Reply(200))
    assert harbor.state("team/app").exists
    assert harbor.state("team/deep/er").exists
    assert [request.query for request in script.requests] == [{"project_name": ["team"]}] * 2
    expected = "Basic " + base64.b64encode(b"robot$team+lift:s3cret").decode()
    assert script.requests[0].headers["authorization"] == expected


def test_a_helper_that_fails_for_the_moment_is_asked_again_as_for_all_requests(
    script: ScriptedRegistry, make_pool: Callable[..., HttpPool]
) -> None:
    given = iter([replace(ROBOT, lifetime=0.0), None, ROBOT])

    def find() -> Credentials:
        if (found := next(given)) is None:
            raise ConfigurationError("docker-credential-cloud failed")
        return found

    stop, kept = Stop(), KeptCredentials(find, time.monotonic)
    kept.get()
    asked = HarborProjects(make_pool(script.host), RequestRetry(RequestGate(stop), stop, first_wait=0.001), kept.get)
    script.expect("HEAD", PROJECTS, Reply(200))
    assert asked.state("team/app").exists


def test_a_project_that_is_missing_is_so_until_it_is_made(script: ScriptedRegistry, harbor: HarborProjects) -> None:
    script.expect("HEAD", PROJECTS, Reply(404), Reply(200))
    script.expect("POST", PROJECTS, Reply(201))
    assert not harbor.state("team/app").exists
    harbor.create("team/app", NewRepositories(scan_on_push=True))
    assert harbor.state("team/app").exists
    sent = json.loads(script.requests[1].body)
    assert sent == {"project_name": "team", "metadata": {"public": "false", "auto_scan": "true"}}


def test_one_that_another_made_meanwhile_is_fine(script: ScriptedRegistry, harbor: HarborProjects) -> None:
    script.expect("POST", PROJECTS, Reply(409))
    harbor.create("team/app", NewRepositories())


def test_a_robot_that_may_not_ask_learns_it_by_pushing(script: ScriptedRegistry, harbor: HarborProjects) -> None:
    script.expect("HEAD", PROJECTS, Reply(403))
    assert harbor.state("team/app").exists


def test_what_knows_no_projects_is_told_where_one_is_made(script: ScriptedRegistry, harbor: HarborProjects) -> None:
    """As a proxy that leads to the registry alone: the project counted as made."""
    script.expect("POST", PROJECTS, Reply(404))
    with pytest.raises(RegistryError, match="making the project team: the registry answered 404"):
        harbor.create("team/app", NewRepositories())


def test_a_robot_that_may_not_make_projects_is_told_so(script: ScriptedRegistry, harbor: HarborProjects) -> None:
    script.expect("POST", PROJECTS, Reply(403))
    with pytest.raises(PermissionDeniedError, match="project team"):
        harbor.create("team/app", NewRepositories())
