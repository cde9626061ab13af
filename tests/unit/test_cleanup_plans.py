"""What keeps a cleanup from being planned is told before anything of the source is judged."""

from collections.abc import Generator
from contextvars import ContextVar
from pathlib import Path

import pytest

from tasks.cleanup_plans import CleanupOptions, open_planner
from tasks.oci.errors import ConfigurationError
from tasks.operations.cleanup.deciding.policy import Policy
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import always, page, refusal, use_program, use_worthless_credentials


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Generator[ScriptedRegistry]:
    use_worthless_credentials(monkeypatch)
    server = ScriptedRegistry()
    yield server
    server.stop()
    server.check()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refusal("NoSuchBucket", 404), "does not exist"),
        (refusal("AccessDenied", 403), "access to bucket is denied .*s3:ListBucket"),
        (refusal("InvalidAccessKeyId", 403), "refuses the credentials"),
    ],
    ids=["no bucket", "denied", "no such key pair"],
)
def test_a_bucket_that_does_not_let_us_in_is_wrong_configuration(
    script: ScriptedRegistry, reply: Reply, words: str
) -> None:
    """As it is for whoever reads the layouts: the codes that commands end with are the same."""
    always(script, "/bucket", reply)
    options = CleanupOptions("s3://bucket", BucketAccess(endpoint_url=script.url))
    with pytest.raises(ConfigurationError, match=words), open_planner(options, Policy(()), Stop()):
        pytest.fail("nothing can be planned")


def test_layouts_files_and_earlier_indexes_of_a_bucket_are_read_with_one_login(
    script: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What gives credentials may ask a person."""
    asked = use_program(tmp_path, monkeypatch)
    always(script, "/bucket", page({}))
    options = CleanupOptions("s3://bucket", BucketAccess(endpoint_url=script.url))
    with open_planner(options, Policy(()), Stop()) as planner:
        assert not list(planner.source.list_layouts())
        assert not list(planner.tools.files.list_files("app"))
        assert not list(planner.tools.old_indexes("app", 0.0))
    assert asked.read_text() == "asked\n"


def test_what_a_source_is_read_by_works_in_the_context_of_the_flow(tmp_path: Path) -> None:
    """By that, Prefect knows on whose page it belongs that the bucket is away, and waited for."""
    of_run: ContextVar[str | None] = ContextVar("of_run", default=None)
    of_run.set("this run")
    with open_planner(CleanupOptions(str(tmp_path), BucketAccess()), Policy(()), Stop()) as planner:
        assert list(planner.tools.map_concurrently(lambda _: of_run.get(), [1, 2])) == ["this run"] * 2
