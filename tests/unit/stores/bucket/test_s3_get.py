"""The short way to objects is left where it leads nowhere, and only there."""

import pytest

from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.bucket.s3_get import REFUSALS, plain_get
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import CONTENT, content

pytestmark = pytest.mark.usefixtures("environment")


@pytest.mark.parametrize(("status", "is_kept"), [(502, True), (503, True), (429, True), (403, False), (301, False)])
def test_a_store_that_fails_for_a_moment_keeps_the_short_way_to_objects_and_one_that_refuses_it_does_not(
    script: ScriptedRegistry, status: int, is_kept: bool
) -> None:
    """An outage would else cost the rest of the run twice the processor."""
    get = plain_get(make_client(BucketAccess(script.url)), "bucket")
    assert get is not None
    script.expect("GET", "/bucket/key", *[Reply(status)] * REFUSALS)
    assert [get("key", {}) for _ in range(REFUSALS)] == [None] * REFUSALS
    script.always("GET", "/bucket/key", content(CONTENT))
    assert (get("key", {}) is not None) is is_kept
    assert len(script.requests) == REFUSALS + is_kept
