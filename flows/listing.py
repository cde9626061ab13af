"""What `layoutlift ls` prints."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tasks.endpoints import open_source
from tasks.oci.errors import LayoutliftError
from tasks.operations.enumeration import enumerate_repository
from tasks.operations.reporting import printable
from tasks.operations.run_log import HARMLESS_FINDINGS, NO_LAYOUTS
from tasks.operations.selection import Selection
from tasks.ports import Finding
from tasks.stores.s3_address import BucketAccess, is_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.list_parameters import ListParameters
    from tasks.operations.results import RepositoryInventory, TagEntry
    from tasks.ports import Source

SCHEMA = 1
BUCKET_READERS = 8
"""Indexes read at once from a bucket, where each costs a way there and back and no seek."""


def list_source(parameters: ListParameters, *, as_json: bool) -> bool:
    """Print all repositories with their tags; whether everything could be read.

    Raises:
        ConfigurationError: the source is not there.
    """
    selection = Selection.parse(parameters.include, parameters.exclude)
    repositories: list[RepositoryInventory] = []
    findings: list[Finding] = []
    access = BucketAccess(parameters.endpoint_url, parameters.request_payer)
    readers = BUCKET_READERS if is_bucket(parameters.source) else 1
    for found in _inventories(open_source(parameters.source, access=access), readers):
        if isinstance(found, Finding):
            findings.append(found)
            continue
        findings += found.findings
        findings += [Finding(found.path, refused.code, refused.message) for refused in found.refused]
        if as_json or not repositories:
            repositories.append(found)
        if not as_json:
            _print_repository(found, selection)
    if not repositories and not findings:
        findings.append(NO_LAYOUTS)
    if as_json:
        click.echo(json.dumps(_document(parameters.source, repositories, findings, selection), indent=1))
    else:
        for finding in findings:
            click.echo(printable(f"! {finding.path}: {finding.message} ({finding.code})"), err=True)
    return all(finding.code in HARMLESS_FINDINGS for finding in findings)


def _inventories(store: Source, readers: int) -> Iterator[RepositoryInventory | Finding]:
    """All layouts in order, as many read at once as there are readers."""
    read = partial(_inventory, store)
    if readers == 1:
        yield from map(read, store.list_layouts())
        return
    with ThreadPoolExecutor(readers, thread_name_prefix="ls") as pool:
        ahead: deque[Future[RepositoryInventory | Finding]] = deque()
        for found in store.list_layouts():
            ahead.append(pool.submit(read, found))
            if len(ahead) > readers:
                yield ahead.popleft().result()
        for reading in ahead:
            yield reading.result()


def _inventory(store: Source, found: str | Finding) -> RepositoryInventory | Finding:
    if isinstance(found, Finding):
        return found
    try:
        return enumerate_repository(store, found)
    except LayoutliftError as error:
        return Finding(found, error.code, str(error))


def _print_repository(inventory: RepositoryInventory, selection: Selection) -> None:
    for entry in inventory.tags:
        if selection.matches(inventory.path, entry.tag):
            click.echo(f"{printable(inventory.path)}:{entry.tag}\t{entry.descriptor.digest}")


def _document(
    source: str, repositories: list[RepositoryInventory], findings: list[Finding], selection: Selection
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "source": source,
        "repositories": [
            {
                "repository": inventory.path,
                "etag": inventory.etag,
                "tags": [_tag(e) for e in inventory.tags if selection.matches(inventory.path, e.tag)],
                "untagged": [_untagged(entry) for entry in inventory.untagged],
            }
            for inventory in repositories
        ],
        "findings": [{"path": f.path, "code": f.code, "message": f.message} for f in findings],
    }


def _tag(entry: TagEntry) -> dict[str, Any]:
    found = entry.descriptor
    return {"tag": entry.tag, "digest": found.digest, "media_type": found.media_type, "size": found.size}


def _untagged(entry: TagEntry) -> dict[str, Any]:
    return {"digest": entry.descriptor.digest, "media_type": entry.descriptor.media_type, "kind": entry.kind}
