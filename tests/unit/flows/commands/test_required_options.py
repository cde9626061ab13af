"""An option that a command can't do without is said to be needed, in its help and where it is missing."""

import pytest
from click.testing import CliRunner

from flows.commands.cleanup import cleanup


@pytest.fixture
def commands() -> CliRunner:
    return CliRunner()


def test_a_missing_policy_is_asked_for_with_the_command_that_writes_one(commands: CliRunner) -> None:
    outcome = commands.invoke(cleanup, ["plan", "source"])
    assert outcome.exit_code == 2
    assert "Missing option '--policy'. File with the policy" in outcome.output
    assert "layoutlift cleanup init writes one" in outcome.output


def test_help_says_that_a_policy_is_required(commands: CliRunner) -> None:
    helped = " ".join(commands.invoke(cleanup, ["plan", "--help"], terminal_width=200).output.split())
    assert "layoutlift cleanup init writes one [required]" in helped


def test_a_policy_may_come_from_the_environment(commands: CliRunner) -> None:
    outcome = commands.invoke(cleanup, ["plan", "/nowhere"], env={"LAYOUTLIFT_POLICY": "/nowhere.yaml"})
    assert "Missing" not in outcome.output
