"""The clock of a store is asked seldom, and never said to be later than it is."""

import time
from dataclasses import dataclass

import pytest

from tasks.stores.store_clock import ASKED_ANEW_SECONDS, StoreClock


@dataclass
class Clocks:
    """The store's clock, and the two of this machine: whatever sleeps, the store goes on."""

    store: float = 1000.0
    boot: float = 50.0
    wall: float = 5000.0
    takes: float = 0.0
    asked: int = 0
    fails: bool = False

    def ask(self) -> float:
        """As a write, and a look at what it was dated with: whole seconds, as buckets say them."""
        self.asked += 1
        if self.fails:
            raise OSError("the store is away")
        said = float(int(self.store))
        self.pass_(self.takes)
        return said

    def pass_(self, seconds: float, *, boot: bool = True, wall: bool = True) -> None:
        self.store += seconds
        self.boot += seconds if boot else 0.0
        self.wall += seconds if wall else 0.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    of = {
        time.CLOCK_BOOTTIME: lambda: made.boot,
        time.CLOCK_REALTIME: lambda: made.wall,
    }
    monkeypatch.setattr(time, "clock_gettime", lambda which: of[which]())
    return made


def test_between_two_questions_ours_goes_on(clocks: Clocks) -> None:
    clock = StoreClock(clocks.ask)
    said = []
    for _ in range(30):
        said.append(clock.now())
        clocks.pass_(1.0)
    assert clocks.asked == 1
    assert said == sorted(said)
    assert said[-1] >= 1000.0 + 28


def test_it_is_asked_anew_after_a_while(clocks: Clocks) -> None:
    clock = StoreClock(clocks.ask)
    clock.now()
    clocks.pass_(ASKED_ANEW_SECONDS)
    assert (clock.now(), clocks.asked) == (1000.0 + ASKED_ANEW_SECONDS, 2)


@pytest.mark.parametrize("ours_goes", [1.0, 1.0005, 0.9995])
def test_it_is_never_ahead_of_what_the_store_says_nor_goes_back(clocks: Clocks, ours_goes: float) -> None:
    """Also where our clock goes faster by as much as one may that is being set right."""
    clocks.takes, clock, last = 0.3, StoreClock(clocks.ask), 0.0
    for _ in range(2000):
        said = clock.now()
        assert last <= said <= int(clocks.store)
        last = said
        clocks.pass_(0.1)
        clocks.boot += 0.1 * (ours_goes - 1)


@pytest.mark.parametrize("sees", [{"wall": False}, {"boot": False}])
def test_a_sleep_is_seen_by_either_clock(clocks: Clocks, sees: dict[str, bool]) -> None:
    """A machine that sleeps counts it; one that was stopped from outside may have its time set afterwards alone."""
    clock = StoreClock(clocks.ask)
    clock.now()
    clocks.pass_(1e6, **sees)
    assert (clock.now(), clocks.asked) == (1000.0 + 1e6, 2)


def test_an_answer_over_which_the_machine_slept_holds_only_once(clocks: Clocks) -> None:
    clocks.takes = 1e6
    clock = StoreClock(clocks.ask)
    assert clock.now() == 1000.0
    clocks.takes = 0.0
    assert clock.now() == 1000.0 + 1e6


def test_what_could_not_be_asked_is_asked_at_the_next_time(clocks: Clocks) -> None:
    clocks.fails = True
    clock = StoreClock(clocks.ask)
    with pytest.raises(OSError, match="away"):
        clock.now()
    clocks.fails = False
    assert clock.now() == 1000.0
