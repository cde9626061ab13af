"""Monitoring systems are told of a run where that was asked for: by a metrics file, and by OpenTelemetry traces."""

import gzip
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from infra.real_parts import Registry
from tasks.stores.local_parts.ports import free_port
from tests.support.collectors import Receiver, receiving
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder

RUN_LABELS = {"flow", "source", "target"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two repositories with two tags each, and a third whose only layer is altered."""
    for name in ("a", "b", "broken"):
        layout = LayoutBuilder(tmp_path / "source" / name)
        for tag in ("v1", "v2") if name != "broken" else ("v1",):
            layout.image(tag, layers=[f"{name} {tag}".encode()])
        layout.write()
    return tmp_path / "source"


def alter_the_broken_layer(source: Path) -> None:
    blobs = sorted((source / "broken" / "blobs" / "sha256").iterdir())
    (layer,) = (path for path in blobs if path.read_bytes() == b"broken v1")
    layer.write_bytes(b"BROKEN v1")


def values(path: Path, **labels: str) -> dict[str, float]:
    """The file's values by name, those with a label of their own as `name{label}`."""
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            assert labels.items() <= sample.labels.items(), sample
            own = "".join(f"{{{v}}}" for k, v in sample.labels.items() if k not in RUN_LABELS)
            found[sample.name + own] = sample.value
    return found


def test_the_metrics_of_a_run_are_those_of_its_report(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    file, target = tmp_path / "layoutlift.prom", f"{docker_registry.host}/{prefix}"
    labels = {"flow": "migrate", "source": str(source), "target": target}
    ended = layoutlift.migrate(source, target, "--metrics", file)
    first = values(file, **labels)
    assert first["layoutlift_tags_total{copied}"] == ended.totals["copied"] == 5
    assert first["layoutlift_blobs_total{pushed}"] == ended.totals["blobs_pushed"] > 0
    assert first["layoutlift_pushed_bytes_total"] == ended.totals["bytes_pushed"]
    assert first["layoutlift_requests_total"] == ended.totals["requests"]
    assert first["layoutlift_tags_expected"] == 5
    assert (first["layoutlift_run_running"], first["layoutlift_run_complete"]) == (0, 1)
    success = first["layoutlift_last_success_timestamp_seconds"]
    assert first["layoutlift_run_started_timestamp_seconds"] <= success

    alter_the_broken_layer(source)
    layoutlift.migrate(source, f"{docker_registry.host}/{prefix}-other", "--metrics", tmp_path / "other", code=1)
    other = values(tmp_path / "other")
    assert (other["layoutlift_run_complete"], other["layoutlift_problems_total"]) == (0, 1)
    assert "layoutlift_last_success_timestamp_seconds" not in other


def test_a_failed_run_keeps_the_time_of_the_last_success(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    """What an alarm on "no success for a day" looks at."""
    file, target = tmp_path / "layoutlift.prom", f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target, "--metrics", file)
    before = values(file)
    (source / "broken" / "index.json").write_text("{")
    layoutlift.migrate(source, target, environment={"LAYOUTLIFT_METRICS": str(file)}, code=1)
    after = values(file)
    assert (after["layoutlift_run_complete"], after["layoutlift_broken_layouts_total"]) == (0, 1)
    name = "layoutlift_last_success_timestamp_seconds"
    assert after[name] == before[name] < after["layoutlift_run_updated_timestamp_seconds"]
    assert not list(tmp_path.glob("layoutlift.prom.*")), "nothing is left beside the file"


def test_metrics_that_cannot_be_written_are_a_mistake_before_the_run(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    ended = layoutlift.migrate(source, target, "--metrics", tmp_path / "nowhere" / "file", code=2)
    assert "--metrics" in ended.stderr
    assert layoutlift.plan(source, target).totals["to_copy"] == 5


def spans(receiver: Receiver) -> list[Span]:
    requests = []
    for body in receiver.bodies:
        request = ExportTraceServiceRequest()
        request.ParseFromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        requests.append(request)
    return [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(span: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in span.attributes}


@pytest.mark.parametrize("by_flow", [False, True], ids=["standalone", "flow"])
def test_a_run_is_a_trace_with_a_span_for_each_graph(
    layoutlift: Layoutlift,
    docker_registry: Registry,
    prefix: str,
    source: Path,
    prefect_environment: dict[str, str],
    by_flow: bool,
) -> None:
    alter_the_broken_layer(source)
    if by_flow:
        layoutlift.environment, layoutlift.standalone = prefect_environment, False
    target = f"{docker_registry.host}/{prefix}"
    with receiving() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        ended = layoutlift.migrate(source, target, "--traces", environment=environment, code=1)
    assert "traces" not in ended.stderr
    assert set(collector.paths) == {"/v1/traces"}
    found = [span for span in spans(collector) if span.name.startswith("layoutlift.")]
    (root,) = (span for span in found if span.name == "layoutlift.migrate")
    assert attributes(root)["layoutlift.target"] == target
    assert root.status.code == Status.STATUS_CODE_ERROR
    units = [span for span in found if span.name == "layoutlift.unit"]
    assert {span.parent_span_id for span in units} == {root.span_id}
    assert {span.trace_id for span in units} == {root.trace_id}
    assert len(units) == 5
    (failed,) = (span for span in units if span.status.code == Status.STATUS_CODE_ERROR)
    assert attributes(failed)["layoutlift.repository"] == "broken"
    assert "digest_mismatch" in failed.status.message


def test_without_the_option_nothing_is_sent_or_imported(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    with receiving() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "PYTHONVERBOSE": "1"}
        ended = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}", environment=environment)
    assert collector.bodies == []
    assert "import 'tasks.runs'" in ended.stderr, "the list of imports is there"
    assert "import 'opentelemetry" not in ended.stderr
    assert "import 'prometheus_client" not in ended.stderr


def test_a_collector_that_does_not_answer_costs_seconds_not_the_run(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    ended = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}", "--traces", environment=environment)
    assert ended.totals["copied"] == 5
    assert ended.seconds < 60


def test_no_secret_is_among_metrics_and_traces(
    layoutlift: Layoutlift, private_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    username, password = private_registry.login or ("", "")
    target = f"{private_registry.host}/{prefix}"
    options = ("--username", username, "--password-stdin", "--metrics", tmp_path / "metrics", "--traces")
    with receiving() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        layoutlift.migrate(source, target, *options, stdin=f"{password}\n", environment=environment)
    assert len(spans(collector)) > 5
    told = b"".join(collector.bodies) + (tmp_path / "metrics").read_bytes()
    assert password.encode() not in told
    assert str(source).encode() in told
