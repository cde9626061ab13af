"""The log says what was asked of whom and what came of it, and nothing that is secret."""

import logging
import re
from collections.abc import Callable

import pytest

from tasks.oci.errors import RegistryUnavailableError, TransportError
from tasks.stop import Stop
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.request_retry import RequestRetry
from tasks.stores.registry.transport.http_pool import HttpPool
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import (
    INDEX,
    MARKER,
    VARIABLES,
    content,
    open_scripted,
    refusal,
    use_worthless_credentials,
)

MakePool = Callable[..., HttpPool]
SECRET = {"Authorization": "Basic c2VjcmV0"}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the log says, each number of seconds written as `N`."""
    caplog.set_level(logging.DEBUG, "tasks")
    return lambda: [re.sub(r"\d+\.\d{3} s", "N s", record.getMessage()) for record in caplog.records]


def test_each_request_to_a_registry_is_a_line_with_no_secret(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_pool: MakePool, lines: Callable[[], list[str]]
) -> None:
    script.expect("GET", "/blob", Reply(307, {"Location": f"{elsewhere.url}/data?signature=hunter2"}))
    elsewhere.expect("GET", "/data", Reply(body=b"data"))
    make_pool(script.host).send("GET", "/blob?n=5", SECRET)
    assert lines() == [f"GET {script.url}/blob: 307, N s", f"GET {elsewhere.url}/data: 200, N s"]


def test_a_request_without_answer_is_a_line_too(
    script: ScriptedRegistry, make_pool: MakePool, lines: Callable[[], list[str]]
) -> None:
    pool = make_pool(script.host)
    script.stop()
    with pytest.raises(TransportError):
        pool.send("GET", "/v2/", {})
    assert lines() == [f"GET {script.url}/v2/: no answer, N s"]


def test_what_is_tried_again_is_a_line_with_the_reason(lines: Callable[[], list[str]]) -> None:
    failures = [RegistryUnavailableError("busy")]

    def attempt() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert RequestRetry(RequestGate(Stop()), Stop(), first_wait=0.001)(attempt) == "done"
    assert lines() == ["busy; once more in 0.0 s"]


def test_each_request_to_a_bucket_is_a_line_the_repeated_ones_too(
    script: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[str]]
) -> None:
    use_worthless_credentials(monkeypatch)
    bucket = open_scripted(script)
    script.expect("GET", "/bucket/app/oci-layout", content(MARKER))
    script.expect("GET", "/bucket/app/index.json", refusal("InternalError", 500), content(INDEX))
    bucket.read_index("app")
    asked = f"GET {script.url}/bucket/app/index.json"
    assert [line for line in lines() if line.startswith(asked)] == [f"{asked}: 500, N s", f"{asked}: 200, N s"]
    assert not any(VARIABLES["AWS_SECRET_ACCESS_KEY"] in line for line in lines())
