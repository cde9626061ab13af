"""People are told by a real Prefect server of what goes wrong: by webhook, Slack's kind of webhook, and mail."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.real_parts import Registry, wait_until
from infra.real_parts.prefect_worker import ask
from tasks.oci.errors import ConfigurationError
from tasks.stores.local_parts.ports import free_port
from tests.support.collectors import receiving
from tests.support.command import Layoutlift
from tests.support.deployed_runs import automations
from tests.support.layouts import LayoutBuilder
from tests.support.loopback_server import LoopbackServer
from tests.support.mail import taking_mail
from tests.support.registry_view import RepositoryView

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"
HOOK = "/services/T0/B0/hunter2"
FILE = """
version: 1
channels:
  - {name: hook, kind: webhook, url: "${HOOK_URL}"}
  - {name: slack, kind: slack, url: "${HOOK_URL}/slack"}
  - {name: mail, kind: mail, url: "${MAIL_URL}"}
alerts:
  failed: [hook, mail]
  conflict: [slack]
  no_success: {within: 10s, channels: [hook]}
  approval: [slack]
"""


def told(bodies: list[bytes], text: str) -> list[dict[str, str]]:
    return [json.loads(body) for body in bodies if text in body.decode()]


@pytest.mark.operations  # Prefect looks for what did not happen once in ten seconds
def test_failures_conflicts_and_long_silence_are_told(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    """On a server of the test's own, so that the automations see no other test's runs."""
    layoutlift.standalone = False
    for tag in ("v1", "v2"):
        layout = LayoutBuilder(tmp_path / "source" / f"app-{tag}")
        layout.image(tag, layers=[tag.encode()])
        layout.write()
    source, target = tmp_path / "source", f"{docker_registry.host}/{prefix}"
    file = tmp_path / "alerts.yaml"
    file.write_text(FILE)
    with receiving() as hook, taking_mail() as (mailbox, messages):
        environment = {
            "HOOK_URL": hook.url + HOOK,
            "MAIL_URL": f"mailto://{mailbox}?from=layoutlift@example.org&to=ops@example.org",
        }
        try:
            for _ in range(2):  # the second time replaces what the first one made
                applied = layoutlift("alerts", "apply", file, environment=environment)
                assert len(applied.stdout.splitlines()) == applied.stdout.count("set layoutlift: ") == 4
                assert f"Dashboard: {_api(layoutlift).removesuffix('/api')}\n" in applied.stderr
            layoutlift.migrate(source, target)
            hook.wait_for(b"No success")  # ten seconds after the last success
            RepositoryView(docker_registry, f"{prefix}/app-v1").push_image("v1")
            layoutlift.migrate(source, target, "--state", tmp_path / "lost", code=1)
            hook.wait_for(b"Conflicts")
            hook.wait_for(b"Failed")
            wait_until(lambda: bool(messages), what="mail has come", deadline_seconds=60)
            waiting = _suspended_cleanup(layoutlift)
            hook.wait_for(b"Waits for a yes")
            shown = _automations_and_blocks(layoutlift)
            assert layoutlift("alerts", "remove").stdout.count("removed layoutlift: ") == 4
            assert _automations_and_blocks(layoutlift)[0] == []
            assert "nothing to remove" in layoutlift("alerts", "remove").stderr
        finally:
            layoutlift("server", "stop")
    assert hook.paths.count(HOOK + "/slack") == 2
    (failure,) = told(hook.bodies, "migrate Failed")
    assert failure["subject"] == f"migrate Failed: {source} → {target}"
    assert "1 of 2 tags have a problem" in failure["text"]
    assert "/flow-run/" in failure["text"]
    (conflict,) = told(hook.bodies, "Conflicts")
    assert conflict["text"].startswith(
        f"*Conflicts: {source} → {target}*\nTags with other content at the target: 1\n"
    )
    (asked,) = told(hook.bodies, "Waits for a yes")
    assert asked["text"].startswith("*Waits for a yes: cleanup /mnt/bucket*\nThe artifact cleanup-plan says")
    assert f"/flow-run/{waiting}" in asked["text"]
    assert b"To: ops@example.org" in messages[0]
    assert b"migrate Failed" in messages[0] or b"=?utf-8?" in messages[0]
    assert len(shown[0]) == 4
    assert "hunter2" not in json.dumps(shown)


def _api(layoutlift: Layoutlift) -> str:
    record = json.loads((layoutlift.home / "prefect" / "server.json").read_bytes())
    return f"http://127.0.0.1:{record['port']}/api"


def _suspended_cleanup(layoutlift: Layoutlift) -> str:
    """The id of a run that waits as a cleanup does whose plan was made; another flow's waits before it."""
    api = _api(layoutlift)
    for flow, name in (("migrate", "paused by hand"), ("cleanup", "cleanup /mnt/bucket")):
        run = {"flow_id": ask(api, "flows/", {"name": flow})["id"], "name": name, "state": {"type": "RUNNING"}}
        made = ask(api, "flow_runs/", run)["id"]
        waits = ask(api, f"flow_runs/{made}/set_state", {"state": {"type": "PAUSED", "name": "Suspended"}})
        assert waits["status"] == "ACCEPT"
    return made


def _automations_and_blocks(layoutlift: Layoutlift) -> tuple[list[str], list[object]]:
    api = _api(layoutlift)
    names = [str(each["name"]) for each in ask(api, "automations/filter")]
    return [name for name in names if name.startswith("layoutlift: ")], [*ask(api, "block_documents/filter"), names]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("${HOOK_URL}/slack", "${NO_SUCH}", "alerts.yaml:5: channels.1.url: the environment has no variable NO_SUCH"),
        ("failed: [hook, mail]", "failed: [nobody]", "no channel is named nobody"),
        ("within: 10s", "within: soon", "alerts.yaml:10: alerts.no_success.within: a duration is"),
        ("within: 10s", "within: 9s", "each 10 s"),
        ("kind: mail", "kind: slack", "alerts.yaml:6: channels.2.url: the url of a slack begins with http://"),
        ("{name: slack,", "{name: hook,", "two channels are named hook"),
        ("failed:", "fialed:", "alerts.yaml:8: alerts.fialed"),
        ("failed: [hook, mail]", "failed: []", "alerts.failed"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_line_and_secrets_are_not_shown(
    layoutlift: Layoutlift, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    file = tmp_path / "alerts.yaml"
    file.write_text(FILE.replace(old, new))
    environment = {"HOOK_URL": "http://127.0.0.1:1/hunter2", "MAIL_URL": "mailto://u:hunter2@127.0.0.1"}
    ended = layoutlift("alerts", "apply", file, environment=environment, code=2)
    assert expected in ended.stderr
    assert "hunter2" not in ended.output


def test_an_address_that_the_environment_lacks_is_said_once(tmp_path: Path) -> None:
    from flows.files.alerts_file import load_alerts  # noqa: PLC0415 - pydantic

    file = tmp_path / "alerts.yaml"
    file.write_text(FILE.replace("HOOK_URL", "NO_SUCH_HOOK").replace("MAIL_URL", "NO_SUCH_MAIL"))
    with pytest.raises(ConfigurationError) as raised:
        load_alerts(file)
    assert [line.rpartition(" ")[2] for line in str(raised.value).splitlines()] == [
        *("NO_SUCH_HOOK", "NO_SUCH_HOOK", "NO_SUCH_MAIL")
    ]


def test_the_example_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.files.alerts_file import load_alerts  # noqa: PLC0415 - pydantic

    for name, value in (
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/x"),
        ("ALERT_WEBHOOK_URL", "https://alerts.example.org/"),
        ("ALERT_MAIL_URL", "mailtos://u:p@smtp.example.org?to=ops@example.org"),
    ):
        monkeypatch.setenv(name, value)
    file = load_alerts(DEPLOYMENTS / "examples" / "alerts.yaml")
    assert file.alerts.channels == {channel.name for channel in file.channels}


def test_a_server_that_does_not_answer_is_said_in_a_line_without_its_password(layoutlift: Layoutlift) -> None:
    server = f"127.0.0.1:{free_port()}/api"
    environment = {"PREFECT_API_URL": f"http://lifter:hunter2@{server}", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    ended = layoutlift("alerts", "remove", environment=environment, code=2)
    assert f"http://{server}" in ended.stderr
    assert "hunter2" not in ended.output


def test_the_server_that_is_meant_is_named_without_its_password(lifted: Layoutlift) -> None:
    server = _api(replace(lifted, home=Path(lifted.environment["PREFECT_HOME"]).parent)).removeprefix("http://")
    ended = lifted("alerts", "remove", environment={"PREFECT_API_URL": f"http://lifter:hunter2@{server}"})
    assert f"Dashboard: http://{server.removesuffix('/api')}\n" in ended.stderr
    assert "hunter2" not in ended.output


def test_no_server_is_started_to_take_alerts_off_it(layoutlift: Layoutlift) -> None:
    ended = layoutlift("alerts", "remove", code=2)
    assert "no local Prefect server is running" in ended.stderr
    assert "PREFECT_API_URL" in ended.stderr
    assert not (layoutlift.home / "prefect" / "server.json").exists()


def test_what_is_no_prefect_server_is_said_in_a_line_without_its_password(layoutlift: Layoutlift) -> None:

    class Proxy(BaseHTTPRequestHandler):
        """Answers with a page, as one that wants a login."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>log in</html>")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with LoopbackServer(Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://lifter:hunter2@127.0.0.1:{server.server_port}/api"
        ended = layoutlift("alerts", "remove", environment={"PREFECT_API_URL": url}, code=2)
        server.shutdown()
    assert ended.stderr.endswith("is no Prefect server, or a proxy before it\n")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.output


def test_failures_of_every_scheduled_flow_are_told_and_lost_runs_of_each_deployed_one_are_found() -> None:
    from flows.dashboard.alert_automations import FLOWS  # noqa: PLC0415 - Prefect

    content = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text())

    def flows(deployments: list[dict[str, Any]]) -> set[str]:
        return {each["entrypoint"].rpartition(".")[2].replace("_", "-") for each in deployments}

    assert flows([each for each in content["deployments"] if each.get("schedules")]) <= set(FLOWS)
    for automation in automations().values():
        named = automation["trigger"]["match_related"]["prefect.resource.name"]
        assert flows(content["deployments"]) == set(named)


def test_a_lost_run_is_told_from_one_that_ended_in_a_state_of_our_own() -> None:
    from flows.course.cleanup_course import REJECTED  # noqa: PLC0415 - Prefect
    from flows.course.flow_body import SKIPPED  # noqa: PLC0415

    lost = automations()["layoutlift runs: lost"]
    assert {f"prefect.flow-run.{name}" for name in (REJECTED, SKIPPED)} <= set(lost["trigger"]["expect"])
