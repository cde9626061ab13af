from contextlib import ExitStack

import pytest

from tasks.oci.errors import RegressionError, SourceError
from tasks.stores.benchmark.leaving import release_with


class Unremovable:
    def release(self) -> None:
        raise SourceError("it stays")


def test_what_stays_is_said_without_hiding_why_the_run_ended(caplog: pytest.LogCaptureFixture) -> None:
    def end(why: Exception | None) -> None:
        with ExitStack() as stack:
            release_with(stack, Unremovable())
            if why is not None:
                raise why

    with pytest.raises(SourceError, match="it stays"):
        end(None)
    assert caplog.messages == []
    with pytest.raises(RegressionError, match="slower"):
        end(RegressionError("slower"))
    assert caplog.messages == ["it stays"]
