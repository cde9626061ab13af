import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tasks.benchmark_values.facts import Phase
from tasks.operations.benchmark.summaries import summarize
from tasks.stores.benchmark.plots import COLOURS, KNOWN, Moment, Named, draw_comparison, draw_results, draw_trend
from tests.support.benchmark_facts import measured

MADE = [
    measured(wall * (1 + index), path=path, case=case, phase=phase)
    for index, path in enumerate(("s3fs", "goofys", "mine"))
    for case in ("8MiB", "16MiB", "2MiBx8")
    for phase in (Phase.COLD, Phase.WARM, Phase.PUSH)
    for wall in (0.1, 0.2, 0.15)
]
RUN = Named("run", summarize(MADE))


def words(path: Path) -> set[str]:
    """The texts of a picture, which are kept as text."""
    return {"".join(node.itertext()).strip() for node in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")}


def test_every_plot_is_there_both_ways_labelled_and_small(tmp_path: Path) -> None:
    drawn = draw_results(RUN, tmp_path)
    assert drawn == ["throughput.png", "cold-warm.png", "single-multi.png"]
    for name in drawn:
        width, height = struct.unpack(">II", (tmp_path / name).read_bytes()[16:24])
        assert width > 500
        assert height > 200
        assert (tmp_path / name).with_suffix(".svg").stat().st_size < 200_000
    throughput = words(tmp_path / "throughput.svg")
    assert {"throughput (MiB/s)", "size of the blob", "cold pulls", "warm pulls"} <= throughput
    assert {"8 MiB", "16 MiB", "s3fs", "goofys", "mine"} <= throughput
    assert {"cold", "warm", "s3fs 16 MiB"} <= words(tmp_path / "cold-warm.svg")
    assert {"one blob", "several", "goofys 2MiBx8"} <= words(tmp_path / "single-multi.svg")


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    draw_results(RUN, tmp_path / "a")
    draw_results(RUN, tmp_path / "b")
    assert (tmp_path / "a" / "throughput.svg").read_bytes() == (tmp_path / "b" / "throughput.svg").read_bytes()


def test_two_runs_are_drawn_beside_each_other(tmp_path: Path) -> None:
    assert draw_comparison(RUN, Named("other", RUN.summaries), tmp_path) == ["comparison.png"]
    assert "run (solid) and other (dashed)" in words(tmp_path / "comparison.svg")


def test_a_trend_needs_two_runs(tmp_path: Path) -> None:
    first = Moment("2026-01-01T00:00:00", {"s3fs 8MiB warm": 1e6, "s3fs 16MiB warm": 2e6})
    assert draw_trend([first], tmp_path) == []
    second = Moment("2026-01-08T00:00:00", {"s3fs 16MiB warm": 3e6, "goofys 8MiB warm": 1e6})
    assert draw_trend([first, second], tmp_path) == ["trend.png"]
    shown = words(tmp_path / "trend.svg")
    assert {"s3fs 16MiB warm", "goofys 8MiB warm"} <= shown
    assert "s3fs 8MiB warm" not in shown


def test_the_dates_of_a_long_trend_have_room(tmp_path: Path) -> None:
    days = [f"2026-01-{day:02d}" for day in range(1, 32)]
    draw_trend([Moment(f"{day}T04:00:00", {"s3fs 8MiB warm": 1e6}) for day in days], tmp_path)
    told = {day for day in days if any(day in text for text in words(tmp_path / "trend.svg"))}
    assert days[0] in told
    assert 3 <= len(told) <= 7


def test_colours_differ_in_lightness_too() -> None:
    """Whoever sees no colour at all tells most of them apart by their lightness, and all by their markers."""

    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert len({round(lightness(colour) / 8) for colour in COLOURS}) >= len(COLOURS) - 2
    assert len(set(KNOWN)) == len(KNOWN)


@pytest.mark.parametrize("phase", [Phase.WARM, Phase.COLD])
def test_a_file_with_one_phase_only_is_drawn(tmp_path: Path, phase: Phase) -> None:
    named = Named("aws.tsv", summarize([measured(1.0, phase=phase), measured(2.0, case="16MiB", phase=phase)]))
    assert draw_results(named, tmp_path) == ["throughput.png"]
