"""What may stand in the fields of forms and options: each check returns what it was given, or says what is wrong."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from flows.forms.quantities import seconds
from flows.forms.told_to_pydantic import told_to_pydantic
from tasks.oci.reference import TargetAddress
from tasks.operations.choosing.content_part import ContentPart
from tasks.operations.choosing.selection import Renames, Selection
from tasks.operations.reports.results import Depth
from tasks.stores.bucket.s3_address import check_endpoint_url
from tasks.stores.source_checks import check_here, check_place

if TYPE_CHECKING:
    from pydantic import ValidationInfo


def check_address(text: str) -> str:
    """Return what is an address; refuse what is none before Prefect stores it: somebody may put a password there.

    Raises:
        ValueError: the text is no address.
    """
    with told_to_pydantic():
        TargetAddress.parse(text)
    return text


def check_storage(text: str) -> str:
    """As `check_address`, for what names a directory or bucket.

    Raises:
        ValueError: the text names something else.
    """
    with told_to_pydantic():
        check_place(text)
    return text


def check_endpoint(url: str | None) -> str | None:
    """As `check_address`, for the endpoint of an S3 server, where there is one."""
    return check_endpoint_url(url) if url else None


def check_source_name(name: str | None) -> str | None:
    """Return what a source is to be known by, where it is given: it stands in messages, and in the names of folders.

    Raises:
        ValueError: nobody could read it.
    """
    if name is not None and (not name.isprintable() or not name.strip()):
        raise ValueError("it must be in printable characters, and not be blank")
    return name


def check_age(text: str | None) -> str | None:
    """Return what is an age, where one is given.

    Raises:
        ValueError: it is none, or so short or long that it can't be meant.
    """
    if text is not None and not 0 < seconds(text) < inf:
        raise ValueError("it must be an age, such as 6h or 90d")
    return text


def check_pattern(text: str) -> str:
    """As `check_address`, for a pattern of `include` or `exclude`.

    Raises:
        ValueError: it can't be used.
    """
    with told_to_pydantic():
        Selection.parse([text])
    return text


def check_content_part(text: str | None, info: ValidationInfo) -> str | None:
    """As `check_address`, for a part of all content, which is read back at one depth alone.

    Raises:
        ValueError: it is no part, or content is not read back.
    """
    if text is None:
        return None
    if info.data.get("depth") is not Depth.CONTENT:
        raise ValueError("it is a setting of --depth content")
    with told_to_pydantic():
        ContentPart.parse(text)
    return text


def check_renames(texts: list[str]) -> list[str]:
    """As `check_address`, for all values of `rename`.

    Raises:
        ValueError: one is no rename, or two are of the same path.
    """
    with told_to_pydantic():
        Renames.parse(texts)
    return texts


def check_local(path: str | None, kind: str = "folder") -> str | None:
    """As `check_address`, for a file or folder of this machine, where there is one.

    Raises:
        ValueError: it is a URL, or begins with a home that no shell put in.
    """
    with told_to_pydantic():
        check_here(path or "", kind)
    return path


def check_file(path: str | None, instead: str = "/dev/stdout is standard output") -> str | None:
    """Return what names a file to write, where there is one; `instead` says what prints it.

    Raises:
        ValueError: it is a hyphen, which other programs take for standard output, or no file of this machine.
    """
    if path == "-":
        raise ValueError(f"it would be a file of that name; {instead}")
    return check_local(path, "file")
