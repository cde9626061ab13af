from tasks.benchmark_values.facts import Failure, Phase, UsedPath
from tasks.operations.benchmark.history import Regression
from tasks.operations.benchmark.report_text import markdown_report, problem_lines, terminal_table
from tests.support.benchmark_facts import about, measured, results

FAILURE = Failure(path="s3fs", case="8MiB", phase=Phase.COLD, repeat=2, code="digest_mismatch", message="wrong bytes")


def test_a_failure_is_named_and_has_no_figure() -> None:
    made = results(measured(1.0, path="goofys"), failures=(FAILURE,), about=about())
    report = markdown_report(made, (), (), 0)
    assert "wrong bytes" in report
    assert "| s3fs |" not in report
    assert list(problem_lines(made, ())) == ["failed: s3fs 8MiB cold 2: wrong bytes (digest_mismatch)"]


def test_noise_regressions_and_what_was_left_out_are_said() -> None:
    left_out = UsedPath(name="geesefs", left_out="geesefs is not installed")
    made = results(measured(1.0), measured(2.0), measured(9.0), about=about(paths=(left_out,)))
    report = markdown_report(made, [Regression("s3fs 8MiB warm", 1.0, 2.0)], ["throughput.png"], 3)
    assert "1 results are noisy" in report
    assert "slower than before" in report
    assert "geesefs is not installed" in report
    assert "![throughput](throughput.png)" in report


def test_the_table_lists_the_fastest_of_each_case_first() -> None:
    made = results(measured(2.0), measured(1.0, path="goofys"), measured(1.0, case="16MiB"))
    rows = [line.split()[:2] for line in terminal_table(made)]
    assert rows == [["case", "path"], ["8MiB", "goofys"], ["8MiB", "s3fs"], ["16MiB", "s3fs"]]
