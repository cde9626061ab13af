"""Makes Prefect's automations, and the blocks that they send through, of an alerts file.

Prefect's server can send only through kinds of block that it brings along. What a webhook or Slack gets is
written into its custom webhook; mail goes through its Slack block, whose address it hands to apprise as it is,
which knows mail by the scheme `mailto://`. Addresses are secrets of the blocks, and shown nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.types import SecretDict

from flows.dashboard.announcing import BEGUN, COMPLETE, CONFLICTS
from flows.files.alerts_file import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from prefect.blocks.abstract import NotificationBlock
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation as AutomationWithId

    from flows.files.alerts_file import AlertsFile, Channel, NoSuccess

PREFIX = "layoutlift: "
FLOWS = ["migrate", "migrate-file", "verify", "verify-file", "cleanup", "benchmark"]
_FAILURES = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")}
_WAITS = {"prefect.flow-run.Suspended"}
_PAIRS: dict[str, str | list[str]] = {"prefect.resource.id": "layoutlift.migrate.*"}
_BODIES = {
    ChannelKind.WEBHOOK: {"subject": "{{subject}}", "text": "{{body}}"},
    ChannelKind.SLACK: {"text": "*{{subject}}*\n{{body}}"},
}
_FIELD = re.compile(r"\{\{ (.*?) \}\}")
_AS_WORDS = "|replace('&', '&amp;')|replace('<', '&lt;')|replace('>', '&gt;')"
"""What makes plain words of any text in HTML, which apprise takes a mail for, and in Slack's messages."""


@dataclass(frozen=True, slots=True)
class _Recipient:
    """Somebody to tell: through which block, and what is written for it."""

    block: UUID
    kind: ChannelKind

    def of(self, subject: str, body: str) -> SendNotification:
        """What is sent; fields hold texts of anybody, such as the names of repositories in a failure's message."""
        is_slack = self.kind is ChannelKind.SLACK
        return SendNotification(
            block_document_id=self.block,
            subject=_in_words(subject) if is_slack else subject,
            body=_in_words(body) if is_slack or self.kind is ChannelKind.MAIL else body,
        )


def _in_words(template: str) -> str:
    return _FIELD.sub(lambda field: f"{{{{ {field[1]}{_AS_WORDS} }}}}", template)


def apply(file: AlertsFile) -> list[str]:
    """Have the server do what the file says and nothing else of ours; the names of the automations."""
    told = {channel.name: _Recipient(_saved_block(channel), channel.kind) for channel in file.channels}
    wanted = list(_automations(file, told))
    with get_client(sync_client=True) as client:
        old = [each.id for each in _ours(client)]
        for automation in wanted:
            automation.create()
        for each in old:  # after the new ones are there: a failure is then told twice rather than not at all
            client.delete_automation(each)
    return [automation.name for automation in wanted]


def remove() -> list[str]:
    """Take all automations of ours off the server; their names. Blocks stay: others may use them."""
    with get_client(sync_client=True) as client:
        ours = _ours(client)
        for each in ours:
            client.delete_automation(each.id)
    return sorted(each.name for each in ours)


def names() -> list[str]:
    """The names of the automations of ours that the server has."""
    with get_client(sync_client=True) as client:
        return [each.name for each in _ours(client)]


def _ours(client: SyncPrefectClient) -> list[AutomationWithId]:
    """The server hands out so many at a time as its own limit says."""
    found = page = client.read_automations()
    while page:
        page = client.read_automations(offset=len(found))
        found = found + page
    return [each for each in found if each.name.startswith(PREFIX)]


def _saved_block(channel: Channel) -> UUID:
    return cast("UUID", _block(channel).save(f"layoutlift-{channel.name}", overwrite=True))


def _block(channel: Channel) -> NotificationBlock:
    if channel.kind is ChannelKind.MAIL:
        return SlackWebhook(url=channel.url)
    return CustomWebhookNotificationBlock(
        name=channel.name,
        url="{{address}}",
        json_data=_BODIES[channel.kind],
        cookies=None,
        headers=None,
        secrets=SecretDict({"address": channel.url.get_secret_value()}),
    )


def _automations(file: AlertsFile, told: Mapping[str, _Recipient]) -> Iterator[Automation]:
    alerts = file.alerts
    if alerts.failed:
        failed = _became(_FAILURES, FLOWS)
        yield _automation("a run failed", failed, _said_of_run(), [told[name] for name in alerts.failed])
    if alerts.conflict:
        yield _automation(
            "a tag has other content", _conflict(), _said_of_conflict(), [told[name] for name in alerts.conflict]
        )
    if alerts.approval:
        waits = _became(_WAITS, ["cleanup"])
        yield _automation(
            "a cleanup waits for a yes", waits, _said_of_plan(), [told[name] for name in alerts.approval]
        )
    if alerts.no_success:
        said = (
            "No success: {{ event.resource.name }}",
            f"No such migration has ended complete for {alerts.no_success.within}.",
        )
        silence = _no_success(alerts.no_success)
        yield _automation("no success", silence, said, [told[name] for name in alerts.no_success.channels])


def _automation(name: str, trigger: EventTrigger, said: tuple[str, str], told: list[_Recipient]) -> Automation:
    return Automation(name=f"{PREFIX}{name}", trigger=trigger, actions=[each.of(*said) for each in told])


def _became(states: set[str], flows: list[str]) -> EventTrigger:
    return EventTrigger(
        expect=states,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": flows},
        posture=Posture.Reactive,
        threshold=1,
    )


def _conflict() -> EventTrigger:
    return EventTrigger(expect={CONFLICTS}, match=_PAIRS, posture=Posture.Reactive, threshold=1)


def _no_success(alert: NoSuccess) -> EventTrigger:
    """Armed for a pair by its first run, and anew by each success; a run that only begins does not put it off."""
    return EventTrigger(
        after={BEGUN, COMPLETE},
        expect={COMPLETE},
        match=_PAIRS,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=alert.within,
    )


def _said_of_run() -> tuple[str, str]:
    return (
        "{{ flow.name }} {{ flow_run.state.name }}: {{ flow_run.name }}",
        "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
    )


def _said_of_conflict() -> tuple[str, str]:
    return (
        "Conflicts: {{ event.resource.name }}",
        "Tags with other content at the target: {{ event.payload.conflicts }}\n{{ flow_run|ui_url }}",
    )


def _said_of_plan() -> tuple[str, str]:
    return (
        "Waits for a yes: {{ flow_run.name }}",
        "The artifact cleanup-plan says what goes and why; resume the run with yes or no.\n{{ flow_run|ui_url }}",
    )
