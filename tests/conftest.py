"""What every test can ask for: the real parts, and the rule that none may be missing where all can be had."""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tasks.stores import hidden_secrets
from tasks.stores.local_parts import ports

pytest_plugins = [
    "tests.support.loopback_server",
    "tests.support.real_parts",
    "tests.support.command",
    "tests.support.deployed_runs",
]

REQUIRE_REAL_PARTS = "LAYOUTLIFT_REQUIRE_REAL_PARTS"

# What an example takes says nothing on a machine that is shared.
settings.register_profile("shared machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test gave for a password is a word to all others."""
    monkeypatch.setattr(hidden_secrets, "_given", hidden_secrets.GivenSecrets())


def pytest_configure() -> None:
    """Give each worker ports of its own: one that is free when it is chosen must be so when the server starts.

    A shell's background job has Ctrl-C ignored, and so would the commands that tests begin and send it to.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    number, workers = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    ports.CANDIDATE_PORTS = ports.CANDIDATE_PORTS[int(number.removeprefix("gw")) :: int(workers)]


def real_parts_are_required() -> bool:
    """`.ci/run` says so on a machine where every real part can be had."""
    return os.environ.get(REQUIRE_REAL_PARTS) == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where all real parts can be had, a skipped test is one that tests nothing unnoticed."""
    if report.skipped and real_parts_are_required():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\n({REQUIRE_REAL_PARTS}=1: a skipped test is a failed one)"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of the dashboard there")
