"""Shards on a work pool, as the run sees them that waits for them."""

from typing import TYPE_CHECKING, cast

from flows.pool_work import work_on_pool
from flows.scale_parameters import ScaledMigrateParameters
from flows.scaling import Gathering

if TYPE_CHECKING:
    from tasks.runs import Run


def test_where_nothing_was_selected_nothing_is_begun_whatever_the_rate() -> None:
    given = ScaledMigrateParameters(source="/bucket", target="h", shards=2, limit_rate="1M", max_requests=50)
    work_on_pool(given, Gathering(cast("Run", None)), [])
