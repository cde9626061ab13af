"""A bucket of the same name at another store is another source: no plan and no `undo` is done there."""

from collections.abc import Generator
from pathlib import Path

import pytest

from flows.course.cleanup_applying import apply_plan, undo
from flows.forms.cleanup_parameters import ApplyParameters, UndoParameters
from tasks.cleanup_plans import CleanupOptions, make_header
from tasks.endpoints import source_identity
from tasks.oci.errors import ConfigurationError
from tasks.operations.cleanup.deciding.policy import Policy
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.planning.plan_lines import PlanWriter
from tasks.operations.cleanup.values import PlanHeader, PlanKind, QuarantineMode
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.state.cleanup_notes import RunNote, note_run
from tests.support.scripted_registry import ScriptedRegistry
from tests.support.scripted_s3 import use_worthless_credentials

STORE = "http://minio.example:9000"
POLICY = Policy(())


@pytest.fixture
def other_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[ScriptedRegistry]:
    """A store that is not Amazon's; nothing leads to it yet, and every request to it is an error of the test."""
    use_worthless_credentials(monkeypatch)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    server = ScriptedRegistry()
    yield server
    server.stop()
    server.check()
    assert server.requests == []


def lead_to(url: str, by: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        return
    (folder / "config").write_text(f"[profile minio]\nendpoint_url = {url}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_PROFILE", "minio")


def header_of(source: str, access: BucketAccess | None = None) -> PlanHeader:
    return make_header(CleanupOptions(source, access or BucketAccess()), PlanKind.CLEANUP, POLICY, 0.0)


@pytest.mark.parametrize("by", ["variable", "profile"])
def test_a_plan_knows_which_store_it_is_about(
    other_store: ScriptedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    assert header_of("s3://bucket").endpoint_url is None
    assert header_of("s3://bucket", BucketAccess(STORE)).endpoint_url == STORE
    lead_to(STORE, by, tmp_path, monkeypatch)
    assert header_of("s3://bucket").endpoint_url == STORE
    assert header_of(str(tmp_path)).endpoint_url is None


@pytest.mark.parametrize(("ignores", "store"), [("true", None), ("True", None), ("false", STORE), ("", STORE)])
@pytest.mark.usefixtures("other_store")
def test_a_plan_names_no_store_that_the_sdk_is_told_to_ignore(
    monkeypatch: pytest.MonkeyPatch, ignores: str, store: str | None
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", STORE)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", ignores)
    assert header_of("s3://bucket").endpoint_url == store


@pytest.mark.parametrize(("ignores", "store"), [("true", None), ("false", STORE)])
@pytest.mark.usefixtures("other_store")
def test_nor_does_it_where_the_sdk_is_told_so_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignores: str, store: str | None
) -> None:
    """What is known of the bucket at the one store would be believed of that at the other."""
    (tmp_path / "config").write_text(f"[default]\nignore_configured_endpoint_urls = {ignores}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", STORE)
    assert header_of("s3://bucket").endpoint_url == store
    at_store = "" if store is None else f" at {store}"
    assert source_identity("s3://bucket", BucketAccess()) == f"s3://bucket{at_store}"
    assert header_of("s3://bucket", BucketAccess(STORE)).endpoint_url == STORE


@pytest.mark.parametrize("store", ["https://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com/"])
@pytest.mark.usefixtures("other_store")
def test_one_of_amazons_is_named_as_it_was_chosen(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """Else a state that is noted under that would be lost."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", store)
    assert header_of("s3://bucket").endpoint_url == store
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert header_of("s3://bucket").endpoint_url is None


def refused(other_store: ScriptedRegistry, advice: str) -> str:
    """Not as known for sure: an earlier version noted no store that a profile named, and that was looked at there."""
    return rf"^no store is noted .*leads to {other_store.url}; nothing was changed. .*if it was this one, {advice}$"


@pytest.mark.parametrize("by", ["variable", "profile"])
def test_a_plan_of_amazons_store_is_not_applied_at_another(
    other_store: ScriptedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """There the bucket may be a copy with the same indexes, of which all still is as the plan says."""
    plan, writer = tmp_path / "plan.jsonl", PlanWriter()
    header = header_of("s3://bucket")
    footer = LimitCheck(header.limits, QuarantineMode.PREFIX).footer()
    plan.write_bytes(writer.header(header) + writer.footer(footer))
    lead_to(other_store.url, by, tmp_path, monkeypatch)
    with pytest.raises(ConfigurationError, match=refused(other_store, "make a new plan")):
        apply_plan(ApplyParameters(), plan, Stop(), lambda *_: pytest.fail("nothing is applied"))


@pytest.mark.parametrize("by", ["variable", "profile"])
def test_a_run_at_amazons_store_is_not_undone_at_another(
    other_store: ScriptedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    note_run(RunNote("20260615T120000Z-1a2b3c", "s3://bucket"))
    lead_to(other_store.url, by, tmp_path, monkeypatch)
    with pytest.raises(ConfigurationError, match=refused(other_store, f"give --endpoint-url {other_store.url}")):
        undo(UndoParameters(), "20260615T120000Z-1a2b3c", None, Stop(), lambda *_: pytest.fail("nothing is undone"))
