"""Exit codes, one clear line for what is wrong, and no secret anywhere."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tasks.stores.local_parts.ports import free_port
from tests.support.command import Layoutlift
from tests.support.fault_proxy import FaultProxy
from tests.support.layouts import LayoutBuilder
from tests.support.scripted_registry import Reply, ScriptedRegistry

ASKED_ONCE = 2
"""Requests: what was refused without a password is asked with it."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    return tmp_path


def only_line(stderr: str) -> str:
    (line,) = stderr.splitlines()
    return line


@pytest.mark.parametrize("command", ["migrate", "plan", "verify"])
def test_a_source_that_is_not_there(
    command: str, layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path
) -> None:
    missing = tmp_path / "not mounted"
    ended = layoutlift(*layoutlift.line(command, missing, docker_registry.host), code=2)
    assert str(missing) in only_line(ended.stderr)
    assert "mounted" in ended.stderr
    assert str(missing) in only_line(layoutlift("ls", missing, code=2).stderr)


def test_a_source_without_a_layout_is_a_problem(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    """It is what the mountpoint of a bucket that is not mounted looks like."""
    ended = layoutlift.migrate(tmp_path, f"{docker_registry.host}/{prefix}", code=1)
    assert ended.findings == {(".", "no_layouts")}


@pytest.mark.parametrize("command", ["migrate", "plan", "verify"])
def test_a_host_that_does_not_answer(command: str, layoutlift: Layoutlift, source: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    ended = layoutlift(*layoutlift.line(command, source, host), code=2)
    assert host in only_line(ended.stderr)


def test_a_host_that_does_not_exist(layoutlift: Layoutlift, source: Path) -> None:
    ended = layoutlift.migrate(source, "registry.invalid", code=2)
    assert "registry.invalid" in only_line(ended.stderr)


def test_something_that_is_no_registry(layoutlift: Layoutlift, source: Path) -> None:
    server = ScriptedRegistry()
    server.always("GET", "/v2/", Reply(404))
    ended = layoutlift.migrate(source, server.host, code=2)
    server.stop()
    assert "is it a registry?" in only_line(ended.stderr)


def test_a_page_for_people_is_no_registry(layoutlift: Layoutlift, source: Path) -> None:
    """As of GitLab's web host, which leads to its sign-in page, or of any site that answers each path with one."""
    server = ScriptedRegistry()
    server.always("GET", "/v2/", Reply(302, {"Location": "/users/sign_in?token=hidden"}))
    server.always("GET", "/users/sign_in", Reply(200, {"Content-Type": "text/html"}, b"\n<!DOCTYPE html>\n<html>"))
    ended = layoutlift.migrate(source, server.host, code=2)
    server.stop()
    said = f"answered with a page for people, from {server.url}/users/sign_in: is it a registry?"
    assert said in only_line(ended.stderr)
    assert "hidden" not in ended.output


def test_tls_to_a_registry_without_it(layoutlift: Layoutlift, docker_registry: Registry, source: Path) -> None:
    ended = layoutlift("migrate", source, docker_registry.host, "--standalone", code=2)
    assert docker_registry.host in only_line(ended.stderr)


@pytest.mark.parametrize(
    "target", ["http://localhost:5000", "user:secret-word@localhost:5000", "localhost/UPPER", ""]
)
def test_a_target_that_is_no_address(target: str, layoutlift: Layoutlift, source: Path) -> None:
    ended = layoutlift.migrate(source, target, code=2)
    assert "target" in only_line(ended.stderr).lower()
    assert "secret-word" not in ended.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--no-such-option"], "--no-such-option"),
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "many"], "--jobs"),
        (["--depth", "deep"], "--depth"),
        (["--limit-rate", "fast"], "--limit-rate"),
        (["--include", "[a"], "[a"),
        (["--include", ":semver:none"], "semver:none"),
        (["--rename", "a"], "OLD=NEW"),
        (["--ca-file", "/no/such/file"], "/no/such/file"),
        (["--state", "/dev/null/x"], "--state: /dev/null/x"),
    ],
)
def test_a_wrong_option_is_named(
    options: list[str], named: str, layoutlift: Layoutlift, docker_registry: Registry, source: Path
) -> None:
    for run in (layoutlift.migrate, layoutlift.plan):
        assert named in run(source, docker_registry.host, *options, code=2).stderr


@pytest.mark.parametrize("place", ["/tmp", "/proc/x/y"])
def test_a_report_that_can_not_be_written_is_found_before_anything_is_done(
    place: str, layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    line = ("migrate", source, f"{docker_registry.host}/{prefix}", "--plain-http", "--standalone")
    ended = layoutlift(*line, "--report", place, code=2)
    assert f"--report: the report {place} can't be written: " in only_line(ended.stderr)


def test_the_summary_names_the_report_that_was_asked_for(layoutlift: Layoutlift, source: Path) -> None:
    asked_for = layoutlift.home / "r.json"
    assert f"  report: {asked_for}, " in layoutlift("check", source, "--report", asked_for).stdout


def test_a_report_that_can_not_be_written_in_the_end_hides_no_outcome(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    line = ("migrate", source, f"{docker_registry.host}/{prefix}", "--plain-http", "--standalone")
    ended = layoutlift(*line, "--report", "/dev/full", code=1)
    assert "the report /dev/full can't be written: No space left on device" in ended.stderr
    assert "copied" in ended.stdout
    assert "both sides were equal at" in ended.stdout


def test_an_option_from_the_environment(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    environment = {"LAYOUTLIFT_DEPTH": "content", "LAYOUTLIFT_PLAIN_HTTP": "1", "LAYOUTLIFT_EXCLUDE": ":v2\n:v3"}
    target = f"{docker_registry.host}/{prefix}"
    ended = layoutlift(
        *("migrate", source, target, "--standalone", "--json"), environment={**environment, "NO_COLOR": "1"}
    )
    report = json.loads(ended.stdout)
    assert [row["verified"] for row in report["tags"]] == ["content"]
    assert report["run"]["options"]["exclude"] == [":v2", ":v3"]


WRONG = "not-the-password-of-this-registry"


@pytest.fixture
def guard(private_registry: Registry) -> Generator[FaultProxy]:
    """The way to a registry that wants a password, on which requests are counted."""
    proxy = FaultProxy(private_registry.host)
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("command", ["migrate", "plan", "verify"])
def test_a_wrong_password_fails_at_once_with_one_line(
    command: str, layoutlift: Layoutlift, guard: FaultProxy, source: Path
) -> None:
    line = layoutlift.line(command, source, guard.host, "--username", "lifter", "--password-stdin", "--json")
    ended = layoutlift(*line, stdin=f"{WRONG}\n", code=2)
    assert len(guard.seen) <= ASKED_ONCE
    assert guard.host in only_line(ended.stderr)
    assert WRONG not in ended.output


def test_no_password_where_one_is_wanted(layoutlift: Layoutlift, guard: FaultProxy, source: Path) -> None:
    ended = layoutlift.migrate(source, guard.host, code=2)
    assert len(guard.seen) <= ASKED_ONCE
    assert guard.host in only_line(ended.stderr)


def test_the_right_password_works_and_is_written_nowhere(
    layoutlift: Layoutlift, private_registry: Registry, prefix: str, source: Path
) -> None:
    username, password = private_registry.login or ("", "")
    target = f"{private_registry.host}/{prefix}"
    ended = layoutlift.migrate(
        source, target, "--username", username, "--password-stdin", "--json", stdin=f"{password}\n"
    )
    assert json.loads(ended.stdout) == ended.report
    environment = {"LAYOUTLIFT_TARGET_USERNAME": username, "LAYOUTLIFT_TARGET_PASSWORD": password}
    again = layoutlift.migrate(source, target, environment=environment)
    assert again.outcomes == {"app:v1": "up_to_date"}
    layoutlift.verify(source, target, environment=environment)
    files = [path for path in layoutlift.home.rglob("*") if path.is_file()]
    assert files
    for text in (ended.output, again.output, *(path.read_bytes().decode() for path in files)):
        assert password not in text


def test_the_output_without_json_is_a_table_and_the_log_goes_to_standard_error(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    ended = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}")
    assert "copied" in ended.stdout
    assert ended.stderr == ""


def test_fail_fast_stops_at_the_first_problem(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    for number in range(40):
        layout = LayoutBuilder(tmp_path / f"app-{number:02}")
        layer = layout.blob(b"gone")
        layout.image("v1", layers=[b"gone"])
        layout.blob_path(layer).unlink()
        layout.write()
    ended = layoutlift.migrate(tmp_path, f"{docker_registry.host}/{prefix}", "--fail-fast", "--jobs", "1", code=1)
    codes = [row["error"]["code"] for row in ended.report["tags"]]
    assert len(codes) == 40
    assert 1 <= codes.count("content_not_found") < 40
    assert codes.count("content_not_found") + codes.count("interrupted") == 40
    assert "layoutlift: --fail-fast ended the run: 40 of 40 tags have a problem or were not begun" in ended.stderr
