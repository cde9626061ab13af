"""Spans arrive whatever is in them, and a collector that says nothing keeps no run waiting."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tasks.oci.errors import TransportError
from tasks.stores import tracing
from tasks.stores.tracing import run_traced
from tests.support.collectors import Receiver, receiving
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry

MORE_THAN_A_BATCH = 600
SILENT_SECONDS = 30.0


def test_the_end_of_a_run_does_not_wait_for_each_batch_that_a_silent_collector_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "FLUSH_WITHIN", 0.2)
    with silent_collector() as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with run_traced("migrate", {}) as tracer:
            for _ in range(MORE_THAN_A_BATCH):
                with tracer.span("unit", {}):
                    pass
            ended = time.monotonic()
        assert time.monotonic() - ended < 5


@contextmanager
def silent_collector() -> Iterator[str]:
    """Says nothing until the end of the block, and then takes what is still sent: other tests would be told of it."""
    may_answer, collector = threading.Event(), ScriptedRegistry()

    def answer(_: Request) -> Reply:
        may_answer.wait(SILENT_SECONDS)
        return Reply()

    collector.always("POST", "/v1/traces", answer)
    try:
        yield collector.url
    finally:
        may_answer.set()
        for sender in [each for each in threading.enumerate() if each.name == "traces"]:
            sender.join(SILENT_SECONDS)
            assert not sender.is_alive()
        collector.stop()


def test_a_name_that_is_no_utf_8_costs_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with run_traced("migrate", {}) as tracer:
            for name in ("good", "caf\udce9"):
                with tracer.span("unit", {"repository": name, "tags": [name]}) as span:
                    span.note({"seen": name}, f"{name} is broken")
    sent = spans(collector)
    assert [span.status.message for span in sent[:2]] == ["good is broken", "caf\\udce9 is broken"]
    assert len(sent) == 3


def spans(collector: Receiver) -> list[Span]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(b"".join(collector.bodies))
    return [s for resource in request.resource_spans for scope in resource.scope_spans for s in scope.spans]


def test_a_collector_that_is_not_there_is_told_of_once_and_by_us(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with run_traced("migrate", {}):
            for _ in range(3):  # as it does every few seconds of a run of hours
                logging.getLogger("opentelemetry.exporter").warning("Transient error:\n Connection refused")
    (told,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert told.name.startswith("tasks.")
    assert "the run goes on: Transient error: Connection refused" in told.getMessage()


def test_a_run_that_one_thread_begins_and_another_ends_is_one_trace_and_told_of_by_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that begins while Prefect is imported."""
    traced = ExitStack()
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with ThreadPoolExecutor(1) as opener:
            tracer = opener.submit(traced.enter_context, run_traced("migrate", {})).result()
        with traced, tracer.span("unit", {}):
            pass
    unit, run = spans(collector)
    assert unit.parent_span_id == run.span_id
    assert caplog.messages == []


def test_a_run_that_fails_is_a_failed_span_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with pytest.raises(TransportError), run_traced("migrate", {}):
            raise TransportError("the target is away")
    (run,) = spans(collector)
    assert run.status.code == Status.STATUS_CODE_ERROR
    assert run.status.message == "TransportError: the target is away"
    assert [event.name for event in run.events] == ["exception"]


def test_a_run_that_fails_over_a_name_that_is_no_utf_8_costs_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with pytest.raises(TransportError), run_traced("migrate", {}):
            raise TransportError("caf\udce9 is away")
    (run,) = spans(collector)
    assert run.status.message == r"TransportError: caf\udce9 is away"
    told = {each.key: each.value.string_value for each in run.events[0].attributes}
    assert told["exception.message"] == r"caf\udce9 is away"


def test_a_setting_that_the_sdk_passes_over_is_not_told_as_traces_that_can_not_be_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "often")
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with run_traced("migrate", {}):
            logging.getLogger("opentelemetry.exporter").warning("Connection refused")
    of_setting, of_batch = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert of_setting == "--traces: Couldn't recognize sampler often."
    assert of_batch.endswith("the run goes on: Connection refused"), (
        "the first word on settings hides none on batches"
    )


def test_a_limit_that_the_sdk_does_not_take_is_one_clear_line() -> None:
    environment = os.environ | {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-1"}
    ended = subprocess.run(
        [sys.executable, "-c", "from tasks.stores import tracing"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    *_, said = ended.stderr.splitlines()
    assert said.startswith("tasks.oci.errors.ConfigurationError: --traces: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be")


def test_what_the_sdk_says_in_a_thread_of_its_own_is_told_as_the_run_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is set around the flow, Prefect knows on whose page a warning belongs."""
    of_run: ContextVar[str | None] = ContextVar("of_run", default=None)
    told_in: list[str | None] = []
    monkeypatch.setattr(tracing.logger, "warning", lambda *_: told_in.append(of_run.get()))
    of_run.set("this run")
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with run_traced("migrate", {}):
            said = logging.getLogger("opentelemetry.exporter").warning
            sender = threading.Thread(target=said, args=("Connection refused",))
            sender.start()
            sender.join()
    assert told_in == ["this run"]
