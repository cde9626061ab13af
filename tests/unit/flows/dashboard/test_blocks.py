"""A block and the parameters beside it are one configuration, and checked as one."""

import pytest

from flows.dashboard import blocks
from flows.dashboard.block_types import LayoutSource
from tasks.oci.errors import ConfigurationError
from tasks.stores.bucket.s3_address import BucketAccess


def test_who_pays_by_a_block_can_not_leave_the_requests_unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command and the form refuse the two together, where both are said there."""
    block = LayoutSource(source="s3://bucket", request_payer=True)
    monkeypatch.setattr(blocks, "_load", lambda *_: block)
    assert blocks.resolved_source("block:b", BucketAccess()) == (
        "s3://bucket",
        BucketAccess(request_payer=True, login=block.login),
    )
    with pytest.raises(ConfigurationError, match="SOURCE: by the block b the requester pays"):
        blocks.resolved_source("block:b", BucketAccess(anonymous=True))
