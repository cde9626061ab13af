"""Metrics in Prometheus's text format, in a file for node_exporter's textfile collector to pick up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tasks.ports import MetricKind
from tasks.stores.state.state_errors import as_state_error
from tasks.stores.whole_files import is_special, whole_or_not_at_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from prometheus_client import Metric as Family

    from tasks.ports import Metric


class MetricsFile:
    """The file at `path`; every value in it carries `labels`."""

    def __init__(self, path: Path, labels: Mapping[str, str]) -> None:
        self._path = path
        self._labels = {name: _as_utf8(value) for name, value in labels.items()}

    def write(self, metrics: Iterable[Metric]) -> None:
        """Replace the file, so that a reader finds the former values or these, and never a part.

        Raises:
            StateError: it can't be written.
        """
        registry = CollectorRegistry()
        registry.register(_Fixed([self._family(metric) for metric in metrics]))
        told = as_state_error(f"the metrics {self._path}", "can't be written")
        with told, whole_or_not_at_all(self._path) as out:
            out.write(generate_latest(registry))

    def value(self, name: str) -> float | None:
        """A value that an earlier run of the same labels left; None where there is none that can be read."""
        try:
            if is_special(self._path):  # to read it may take for ever
                return None
            families = list(text_string_to_metric_families(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
        samples = (sample for family in families for sample in family.samples)
        return next((s.value for s in samples if s.name == name and s.labels == self._labels), None)

    def _family(self, metric: Metric) -> Family:
        kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
        names = [*self._labels, *([metric.label] if metric.label else [])]
        family = kind(metric.name, metric.help, labels=names)
        for value, number in metric.values.items():
            family.add_metric([*self._labels.values(), *([value] if metric.label else [])], number)
        return family


def _as_utf8(text: str) -> str:
    """Paths may hold bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Fixed(Collector):
    """Hands prometheus_client values that are counted elsewhere."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        return iter(self._families)
