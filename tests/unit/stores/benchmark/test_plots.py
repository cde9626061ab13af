import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tasks.benchmark_values.facts import Phase
from tasks.benchmark_values.summary import summarize
from tasks.stores.benchmark.plot_trend import Moment, draw_trend
from tasks.stores.benchmark.plots import Named, draw_comparison, draw_results
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
    drawn = draw_comparison(RUN, Named("other", RUN.summaries), tmp_path)
    assert drawn == ["comparison.png", "comparison-multi.png"]
    assert {"run (solid) and other (dashed)", "cold pulls", "warm pulls"} <= words(tmp_path / "comparison.svg")
    assert {"run", "other", "s3fs 2MiBx8 warm"} <= words(tmp_path / "comparison-multi.svg")


def test_names_with_dollars_are_no_formulas(tmp_path: Path) -> None:
    name = r"my$\path$"
    made = [
        measured(1.0, path=name, case=case, phase=phase)
        for case in ("16MiB", "2MiBx8")
        for phase in (Phase.COLD, Phase.WARM)
    ]
    run = Named(name, summarize(made))
    draw_results(run, tmp_path)
    draw_comparison(run, run, tmp_path)
    rates = {f"{name} [use_cache={name}] 16MiB warm": 1e6}
    draw_trend([Moment("2026-01-01T00:00:00+00:00", rates), Moment("2026-01-02T00:00:00+00:00", rates)], tmp_path)
    assert {name, f"Pulling one blob: {name}"} <= words(tmp_path / "throughput.svg")
    assert {*rates} <= words(tmp_path / "trend.svg")
    assert {name, f"{name} 2MiBx8 warm"} <= words(tmp_path / "comparison-multi.svg")


def test_of_two_runs_only_what_both_pulled_in_the_same_way_is_drawn(tmp_path: Path) -> None:
    warm = Named("warm", [each for each in RUN.summaries if each.key.phase is Phase.WARM])
    draw_comparison(warm, RUN, tmp_path)
    shown = words(tmp_path / "comparison.svg")
    assert "warm pulls" in shown
    assert "cold pulls" not in shown


def test_of_two_runs_with_nothing_in_common_nothing_is_drawn(tmp_path: Path) -> None:
    several = Named("several", [each for each in RUN.summaries if each.is_multi])
    single = Named("single", [each for each in RUN.summaries if not each.is_multi])
    assert draw_comparison(several, single, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("phase", [Phase.WARM, Phase.COLD])
def test_a_file_with_one_phase_only_is_drawn(tmp_path: Path, phase: Phase) -> None:
    named = Named("aws.tsv", summarize([measured(1.0, phase=phase), measured(2.0, case="16MiB", phase=phase)]))
    assert draw_results(named, tmp_path) == ["throughput.png"]


def test_a_pull_that_took_no_time_by_its_clock_can_be_drawn(tmp_path: Path) -> None:
    """As `time` of a short pull may print it into a data file: 0m0.000s."""
    assert "throughput.png" in draw_results(Named("run", summarize([measured(0.0), measured(0.0)])), tmp_path)
