"""Parts are done by whoever is idle, and belong to whoever asked for them."""

import threading
from contextvars import ContextVar

from tasks.operations.work.spare_hands import SpareHands

of_run: ContextVar[str | None] = ContextVar("of_run", default=None)


def test_what_another_hand_does_is_done_in_the_caller_s_context() -> None:
    """By what is set around the flow, Prefect knows on whose page a warning belongs."""
    hands, both = SpareHands(2), threading.Barrier(2, timeout=10)

    def act(_: int) -> tuple[str, str | None]:
        both.wait()  # so that one of the two is a helper's
        return threading.current_thread().name, of_run.get()

    of_run.set("this run")
    done = hands.map(act, [1, 2])
    hands.close()
    assert len({name for name, _ in done}) == 2
    assert {seen for _, seen in done} == {"this run"}
