"""Understands the variables by which the scripts of the ORAS project's article were told what to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.forms.benchmark_parameters import LOCAL
from tasks.benchmark_values.cases import MULTIS, SINGLES, parted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LISTS = {"SINGLE_LIST": ("sizes", SINGLES), "MULTI_LIST": ("multis", MULTIS)}
_SWITCHES = {"S3FS_TEST": "s3fs", "GOOFYS_TEST": "goofys"}
_BUCKETS = {"S3FS_S3_BUCKET": "s3fs", "GOOFYS_S3_BUCKET": "goofys"}
_ON = "true"


def with_article_variables(
    given: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """What a user gave, filled up from the variables; and the names of those that counted.

    What an option says wins over a variable, path by path; `--quick` is an option about both lists. An empty variable
    is none, as in the scripts, and of the two lists the one that is not set is the scripts' own. `S3FS_TDIR` and
    `GOOFYS_TDIR`, the folders of the mounts, have no meaning here: mounts get folders of their own.
    """
    told = {name: value for name, value in environment.items() if value}
    counted = [*_texts(given, told), *_lists(given, told), *_switches(given, told), *_buckets(given, told)]
    result = dict(given)
    for _, field, value in counted:
        result[field] = [*result[field], *value] if isinstance(value, list) else value
    if any(name in _LISTS for name, _, _ in counted) and not (given["sizes"] or given["multis"]):
        result |= {field: result[field] or list(default) for field, default in _LISTS.values()}
    return result, [name for name, _, _ in counted]


def _texts(given: Mapping[str, Any], told: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Variable, field and value of each that is one text."""
    if given["location"] is None and (bucket := told.get("S3_BUCKET")):
        yield "S3_BUCKET", "location", bucket if bucket.startswith("s3://") else f"s3://{bucket}"
    if given["dat_file"] is None and (path := told.get("DAT_FILE")):
        yield "DAT_FILE", "dat_file", path


def _lists(given: Mapping[str, Any], told: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    for name, (field, _) in _LISTS.items():
        if name in told and not given[field] and not given["quick"]:
            yield name, field, [told[name]]


def _switches(given: Mapping[str, Any], told: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    decided = {*parted(given["paths"]), *parted(given["without"])}
    for name, path in _SWITCHES.items():
        if told.get(name, _ON) != _ON and path not in decided:
            yield name, "without", [path]


def _buckets(given: Mapping[str, Any], told: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    decided = {pair.partition("=")[0] for pair in (*given["path_bucket"], *given["path_mount"])}
    for name, path in _BUCKETS.items():
        if name in told and path not in decided and given["location"] != LOCAL:
            yield name, "path_bucket", [f"{path}={told[name]}"]
