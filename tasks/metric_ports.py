"""What a run tells monitoring systems: see `tasks.ports`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class MetricKind(StrEnum):
    """How a monitoring system has to read the values."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `values` by the value of its label, or by the empty string where it has none."""

    name: str
    help: str
    kind: MetricKind
    values: Mapping[str, float]
    label: str | None = None
