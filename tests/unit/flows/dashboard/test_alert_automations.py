"""What an alerts file may say of time, and which automations are replaced; people are told in tests/flows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from prefect.server.utilities.user_templates import render_user_template_sync

from flows.cli import main
from flows.dashboard import alert_automations
from flows.files.alerts_file import AlertsFile, load_alerts, period
from flows.server import prefect_server
from flows.server.prefect_server import ServerAddress
from tasks.oci.errors import ConfigurationError, StateError

A_PAGE = 2


@pytest.mark.parametrize("text", ["3651d", "9999999999d", "9" * 400 + "s"])
def test_a_period_that_no_clock_can_hold_is_a_mistake_and_no_traceback(text: str) -> None:
    with pytest.raises(ValueError, match="3650 days at most"):
        period(text)
    assert period("3650d").days == 3650


def test_variables_of_an_alerts_file_are_those_of_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    text = "version: 1\nchannels:\n  - {name: a, kind: slack, url: '${HOOK:-https://usual.example/x}'}\nalerts: {}\n"
    path.write_text(text)
    monkeypatch.setenv("HOOK", "")
    assert load_alerts(path).channels[0].url.get_secret_value() == "https://usual.example/x"
    path.write_text(text.replace("HOOK:-https://usual.example/x", "HOOK"))
    with pytest.raises(ConfigurationError, match=r"yaml:3: channels\.0\.url: the environment has no variable HOOK"):
        load_alerts(path)


def test_an_alert_that_is_left_empty_is_a_mistake(tmp_path: Path) -> None:
    """Nobody would be told, though somebody meant it."""
    path = tmp_path / "alerts.yaml"
    path.write_text("version: 1\nchannels: []\nalerts:\n  failed:\n  no_success:\n")
    with pytest.raises(ConfigurationError) as raised:
        load_alerts(path)
    said = str(raised.value).splitlines()
    assert [line.removeprefix(f"{path}:").partition(" it is empty")[0] for line in said] == [
        *("4: alerts.failed:", "5: alerts.no_success:")
    ]


def test_alerts_beyond_the_first_page_of_automations_are_removed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [f"another's {number}" for number in range(5)] + ["layoutlift: no success"]
    deleted: list[str] = []

    def read_automations(offset: int = 0) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=name, name=name) for name in named[offset : offset + A_PAGE]]

    @contextmanager
    def get_client(**_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(read_automations=read_automations, delete_automation=deleted.append)

    monkeypatch.setattr(alert_automations, "get_client", get_client)
    assert alert_automations.remove() == deleted == ["layoutlift: no success"]


HOSTILE = "<img src=http://evil.example> & <!channel>"
WORDS = "&lt;img src=http://evil.example&gt; &amp; &lt;!channel&gt;"


@pytest.mark.parametrize(
    ("kind", "subject", "body"), [("webhook", HOSTILE, HOSTILE), ("slack", WORDS, WORDS), ("mail", HOSTILE, WORDS)]
)
def test_a_name_in_what_people_are_told_stays_words(kind: str, subject: str, body: str) -> None:
    """Mail is HTML, and Slack calls everybody by `<!channel>`; a subject of a mail is no HTML."""
    alerts = {name: ["a"] for name in ("failed", "conflict", "approval")}
    alerts["no_success"] = {"within": "1h", "channels": ["a"]}
    url = "mailto://h" if kind == "mail" else "https://h"
    channels = [{"name": "a", "kind": kind, "url": url}]
    file = AlertsFile.model_validate({"version": 1, "channels": channels, "alerts": alerts})
    told = {"a": alert_automations._Recipient(uuid4(), file.channels[0].kind)}
    said = SimpleNamespace(name=HOSTILE, state=SimpleNamespace(name="Failed", message=HOSTILE))
    shown = {"flow": said, "flow_run": said, "event": SimpleNamespace(resource=said, payload={"conflicts": 1})}
    failed, conflict, waiting, silence = (each.actions[0] for each in alert_automations._automations(file, told))
    assert rendered(failed.subject, shown) == f"{subject} Failed: {subject}"
    assert rendered(failed.body.partition("\n")[0], shown) == body
    assert rendered(conflict.subject, shown) == f"Conflicts: {subject}"
    assert rendered(waiting.subject, shown) == f"Waits for a yes: {subject}"
    assert rendered(silence.subject, shown) == f"No success: {subject}"


def rendered(template: str, shown: dict[str, object]) -> str:
    return render_user_template_sync(template, shown)


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command changes it for its own process."""
    monkeypatch.setattr(prefect_server, "client_environment", lambda _: {})
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")


@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize(("answers_before", "code", "told"), [(0, 2, 0), (1, 1, 1)])
def test_a_server_that_never_answered_is_no_work_that_went_wrong(
    monkeypatch: pytest.MonkeyPatch, answers_before: int, code: int, told: int
) -> None:
    answers = iter([[]] * answers_before)

    def read_automations(**_: object) -> list[object]:
        for answer in answers:
            return answer
        raise httpx.ConnectError("All connection attempts failed")

    @contextmanager
    def get_client(**_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(read_automations=read_automations)

    monkeypatch.setattr(prefect_server, "ensure_server", lambda: ServerAddress("http://127.0.0.1:1"))
    monkeypatch.setattr(alert_automations, "get_client", get_client)
    ended = CliRunner().invoke(main, ["alerts", "remove"])
    *addresses, error = ended.stderr.splitlines()
    assert (ended.exit_code, len(addresses)) == (code, told), error
    assert all(line.startswith("Dashboard: ") for line in addresses)


@pytest.mark.usefixtures("no_environment")
def test_alerts_need_a_server_that_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure_server() -> ServerAddress:
        raise StateError("the local Prefect server can't be managed in /state")

    monkeypatch.setattr(prefect_server, "ensure_server", ensure_server)
    assert CliRunner().invoke(main, ["alerts", "remove"]).exit_code == 2
