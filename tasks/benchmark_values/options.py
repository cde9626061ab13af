"""All that a user can say of a benchmark, as values of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.benchmark_values.cases import Case
    from tasks.benchmark_values.paths import PathSpec


class ContentKind(StrEnum):
    """What the files hold: random bytes as base64 text, as the article had them, or the bytes themselves."""

    TEXT = "text"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOptions:
    """All that a user can say of a benchmark."""

    location: str | None
    """`s3://bucket[/prefix]`; None is a SeaweedFS server of our own."""
    cases: tuple[Case, ...]
    paths: tuple[PathSpec, ...]
    all_needed: bool = False
    """Whether a path that can't be measured here is an error, because it was asked for by name."""
    repeats: int = 3
    pause: float = 1.3
    content: ContentKind = ContentKind.TEXT
    endpoint_url: str | None = None
    registry: str | None = None
    plain_http: bool = False
    keep_page_cache: bool = False
    allowed_loss: float = 0.3
    out: str | None = None
    dat_file: str | None = None
    """Where the article's data file is wanted, too."""
    state: str | None = None
    uncounted: bool = False
    """Whether the extra pulls that count requests are left out."""
    resume: bool = False
    """Whether `out` holds what an interrupted run measured, which is not measured again."""
