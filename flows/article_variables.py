"""Understands the variables by which the scripts of the ORAS project's article were told what to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SWITCHES = {"S3FS_TEST": "s3fs", "GOOFYS_TEST": "goofys"}
_BUCKETS = {"S3FS_S3_BUCKET": "s3fs", "GOOFYS_S3_BUCKET": "goofys"}
_ON = "true"


def with_article_variables(
    given: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """What a user gave, filled up from the variables; and the names of those that counted.

    An option that was given wins over its variable. `S3FS_TDIR` and `GOOFYS_TDIR`, the folders of the mounts, have
    no meaning here: mounts get folders of their own.
    """
    result, counted = dict(given), []
    for name, field, value in _found(environment):
        if isinstance(result.get(field), tuple | list) and field in {"without", "path_bucket"}:
            result[field] = [*result[field], value]
        elif result.get(field) in (None, (), []):
            result[field] = value
        else:
            continue
        counted.append(name)
    return result, counted


def _found(environment: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """Variable, field and value of each that is set."""
    found: list[tuple[str, str, Any]] = []
    if bucket := environment.get("S3_BUCKET"):
        found.append(("S3_BUCKET", "location", bucket if bucket.startswith("s3://") else f"s3://{bucket}"))
    for name, field in (("SINGLE_LIST", "sizes"), ("MULTI_LIST", "multis")):
        if environment.get(name):
            found.append((name, field, [environment[name]]))
    if environment.get("DAT_FILE"):
        found.append(("DAT_FILE", "dat_file", environment["DAT_FILE"]))
    found += [(n, "without", path) for n, path in _SWITCHES.items() if environment.get(n, _ON) != _ON]
    return found + [
        (n, "path_bucket", f"{path}={environment[n]}") for n, path in _BUCKETS.items() if environment.get(n)
    ]
