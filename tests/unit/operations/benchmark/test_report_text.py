import pytest

from tasks.benchmark_values.facts import Failure, Phase, UsedPath
from tasks.operations.benchmark.history import Comparison, Entry, Regression
from tasks.operations.benchmark.report_text import markdown_report, problem_lines, terminal_table
from tests.support.benchmark_facts import about, measured, results

FAILURE = Failure(path="s3fs", case="8MiB", phase=Phase.COLD, repeat=2, code="digest_mismatch", message="wrong bytes")


def test_a_failure_is_named_and_has_no_figure() -> None:
    made = results(measured(1.0, path="goofys"), failures=(FAILURE,), about=about())
    report = markdown_report(made, Comparison(), ())
    assert "wrong bytes" in report
    assert "| s3fs |" not in report
    assert list(problem_lines(made, ())) == ["failed: s3fs 8MiB cold 2: wrong bytes (digest_mismatch)"]


def test_noise_regressions_and_what_was_left_out_are_said() -> None:
    left_out = UsedPath(name="geesefs", left_out="geesefs is not installed")
    made = results(measured(1.0), measured(2.0), measured(9.0), about=about(paths=(left_out,)))
    report = markdown_report(made, Comparison((Regression("s3fs 8MiB warm", 1.0, 2.0),)), ["throughput.png"])
    assert "- 1 result is noisy: " in report
    assert "slower than before" in report
    assert "geesefs is not installed" in report
    assert "Programs: oras" in report
    assert "![throughput](throughput.png)" in report


def test_the_table_lists_the_fastest_of_each_case_first() -> None:
    made = results(measured(2.0), measured(1.0, path="goofys"), measured(1.0, case="16MiB"))
    rows = [line.split()[:2] for line in terminal_table(made)]
    assert rows == [["case", "path"], ["8MiB", "goofys"], ["8MiB", "s3fs"], ["16MiB", "s3fs"]]


def test_the_report_begins_with_the_rates_of_each_path_by_size() -> None:
    cold = [measured(wall, case="2GiB", phase=Phase.COLD) for wall in (1.0, 1.0, 2.0)]
    made = results(
        *(
            measured(8.0, case="16MiBx8"),
            *cold,
            measured(1.0),
            measured(0.5, path="a_b"),
            measured(2.0, phase=Phase.PUSH),
        ),
        about=about(),
    )
    table = [line for line in markdown_report(made, Comparison(), ()).splitlines() if line.startswith("|")]
    assert table[:5] == [
        "| | 8MiB | 2GiB | 16MiBx8 |",
        "|---|---|---|---|",
        "| a\\_b, warm | 16.0 | - | - |",
        "| s3fs, cold | - | 2,048* | - |",
        "| s3fs, warm | 8.0 | - | 16.0 |",
    ]
    assert table[5].startswith("| case |")


def test_where_nothing_was_pulled_there_is_no_table_of_rates() -> None:
    made = results(measured(1.0, phase=Phase.PUSH), failures=(FAILURE,), about=about())
    assert "by the median" not in markdown_report(made, Comparison(), ())


@pytest.mark.parametrize(
    ("walls", "compared", "said"),
    [
        ([1.0, 1.0, 1.0], 1, "nothing is slower than allowed; 1 result was compared with earlier runs"),
        ([1.0, 1.0, 1.0], 0, "nothing was compared with earlier runs: both must have pulled the same 3 times"),
        ([1.0], 0, "1 result is of one pull, which says nothing of noise"),
        ([1.0, 1.0], 0, "1 result is noisy"),
    ],
)
def test_the_report_claims_nothing_that_was_not_compared_or_measured_often_enough(
    walls: list[float], compared: int, said: str
) -> None:
    made = results(*map(measured, walls), measured(1.0, phase=Phase.PUSH), about=about())
    earlier = Entry(run="r0", started="2026-01-01", settings=(), rates={})
    report = markdown_report(made, Comparison((), (earlier, earlier), compared), ())
    assert said in report
    assert "nothing noisy" not in report
