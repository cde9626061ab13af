"""Spans of a run, sent by OpenTelemetry's OTLP exporter; OTEL_* variables say where to, and how many.

A program that has set OpenTelemetry up already, as `opentelemetry-instrument` does, keeps its provider.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.stores.hidden_secrets import without_secrets

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError as missing:
    raise ConfigurationError("--traces: install layoutlift[telemetry]") from missing
except ValueError as error:  # some of the OTEL_* variables are read here
    raise ConfigurationError(f"--traces: {error}") from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context import Context

    Attributes = Mapping[str, str | int | list[str]]

logger = logging.getLogger(__name__)

NAME = "layoutlift"
FLUSH_WITHIN = 5.0
"""Seconds that the end of a run waits for a collector that does not answer."""


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """See `tasks.operations.running.traced_work.Span`."""

    span: trace.Span

    def note(self, attributes: Attributes, problem: str | None = None) -> None:
        """See `Span.note`."""
        self.span.set_attributes(_sendable(attributes))
        if problem is not None:
            self.span.set_status(trace.Status(trace.StatusCode.ERROR, _text(problem)))


@dataclass(frozen=True, slots=True)
class RunTracer:
    """See `tasks.operations.running.traced_work.Tracer`; all spans are children of the run's, in any thread."""

    tracer: trace.Tracer
    parent: Context

    @contextmanager
    def span(self, name: str, attributes: Attributes) -> Iterator[OpenSpan]:
        """See `Tracer.span`."""
        with self.tracer.start_as_current_span(
            f"{NAME}.{name}", self.parent, trace.SpanKind.INTERNAL, _sendable(attributes)
        ) as span:
            yield OpenSpan(span)


@contextmanager
def run_traced(kind: str, attributes: Attributes) -> Iterator[RunTracer]:
    """The span of a run around the block; what the block raises makes it one that failed.

    It is no thread's current one: a run that begins early is begun in one thread and ended in another.

    Raises:
        ConfigurationError: what the OTEL_* variables say makes no sense.
    """
    provider = trace.get_tracer_provider()
    own = None if isinstance(provider, TracerProvider) else _own_provider()
    tracer = (own or provider).get_tracer(NAME)
    try:
        span = tracer.start_span(
            f"{NAME}.{kind}", attributes=_sendable(attributes), record_exception=False, set_status_on_exception=False
        )
        with span, _failed(span):
            yield RunTracer(tracer, trace.set_span_in_context(span))
    finally:
        if own is not None:
            _shut_down(own)


@contextmanager
def _failed(span: trace.Span) -> Iterator[None]:
    """Have a span be one that failed where the block raises something."""
    try:
        yield
    except Exception as error:
        whole = _text("".join(format_exception(error)))
        span.record_exception(error, {"exception.message": _text(str(error)), "exception.stacktrace": whole})
        span.set_status(trace.Status(trace.StatusCode.ERROR, _text(f"{type(error).__name__}: {error}")))
        raise


def _shut_down(provider: TracerProvider) -> None:
    """Send what is left, for so long as that may take; the SDK itself waits for each batch and heeds no timeout."""
    sender = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
    sender.start()
    sender.join(FLUSH_WITHIN)


def _sendable(attributes: Attributes) -> dict[str, str | int | list[str]]:
    """As OTLP takes it: one name that is no UTF-8 would cost all spans that travel with it."""
    return {name: _sendable_value(value) for name, value in attributes.items()}


def _sendable_value(value: str | int | list[str]) -> str | int | list[str]:
    if isinstance(value, list):
        return [_text(each) for each in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _ToldOnce(logging.Handler):
    """Says in our words what the SDK says of its settings, and once what it says of batches that it can not send.

    The latter in a thread of its own, which has no part in the run: what is logged there would not be on its page.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._context = copy_context()
        self.is_set_up = False
        self._is_told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on what is said of settings, and the first record after that; nothing of the run depends on either."""
        said = without_secrets(" ".join(record.getMessage().split()))
        if not self.is_set_up:
            logger.warning("--traces: %s", said)
        elif not self._is_told:
            self._is_told = True
            self._context.run(
                logger.warning,
                "traces can't be sent to OTEL_EXPORTER_OTLP_ENDPOINT, and the run goes on: %s",
                said,
            )


def _own_provider() -> TracerProvider:
    of_sdk, told = logging.getLogger("opentelemetry"), _ToldOnce()
    of_sdk.handlers, of_sdk.propagate = [told], False
    try:
        name = os.environ.get(OTEL_SERVICE_NAME, NAME)
        provider = TracerProvider(resource=Resource.create({"service.name": name}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise ConfigurationError(f"--traces: {error}") from error
    told.is_set_up = True
    return provider
