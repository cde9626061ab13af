import csv
import io
import json
from dataclasses import asdict
from typing import Any

import pytest

from tasks.benchmark_values.facts import Failure, Phase
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.data_files import csv_text, dat_text, json_lines, parse
from tasks.operations.benchmark.history import Regression
from tests.support.benchmark_facts import about, measured, results

SCRIPT_WROTE = """#type\tsizelabel\trealtime\tusertime\tsystime\t
s3fs3\t8MiB\t0m0.488s\t0m0.042s\t0m0.027s
s3fs3\t8MiB\t1m2.500s\t0m0.040s\t0m0.020s
aws-cli-s3\t64MiBx16\t0m8.657s\t0m5.487s\t0m6.008s
"""
PUBLISHED = """goofys3-2GiB\t14025\t8318\t4059
goofys3_16MiBx8\t283\t305\t46

# NOTE: the averages hide the actual performance
"""


def test_the_articles_raw_file_is_read() -> None:
    read = parse(SCRIPT_WROTE, "orastime.dat")
    assert [(m.path, m.case, m.repeat, m.cost.wall) for m in read.measurements] == [
        ("s3fs", "8MiB", 1, 0.488),
        ("s3fs", "8MiB", 2, 62.5),
        ("aws-cli", "64MiBx16", 1, 8.657),
    ]
    assert {m.phase for m in read.measurements} == {Phase.WARM}
    assert read.measurements[2].cost.user == 5.487


def test_the_articles_published_averages_are_read() -> None:
    read = parse(PUBLISHED, "aws.tsv")
    assert [(m.path, m.case, m.cost.wall, m.total) for m in read.measurements] == [
        ("goofys", "2GiB", 14.025, 2 * 1024**3),
        ("goofys", "16MiBx8", 0.283, 128 * 1024**2),
    ]


def test_what_is_written_for_the_article_is_read_again() -> None:
    made = results(measured(61.25, path="aws-cli"), measured(0.5, phase=Phase.COLD), measured(3.0, phase=Phase.PUSH))
    text = dat_text(made, {"aws-cli": "aws-cli-s3"})
    assert text.splitlines() == [
        "#type\tsizelabel\trealtime\tusertime\tsystime\t",
        "aws-cli-s3\t8MiB\t1m1.250s\t0m0.500s\t0m0.250s",
        "s3fs-cold\t8MiB\t0m0.500s\t0m0.500s\t0m0.250s",
    ]
    read = parse(text, "ours.dat")
    assert [(m.path, m.phase, m.cost.wall) for m in read.measurements] == [
        ("aws-cli", Phase.WARM, 61.25),
        ("s3fs", Phase.COLD, 0.5),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "s3fs 8MiB 0m1s",
        "s3fs\t8MiB\t1.0\t1.0\t1.0",
        "s3fs\t8\t0m1s",
        "s3fs\tbig\t0m1s\t0m1s\t0m1s",
        "s3fs-8MiB\tnan\t1\t1",
    ],
)
def test_a_line_of_another_form_is_named(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.dat:2"):
        parse(f"#type\n{line}\n", "x.dat")


def test_json_lines_hold_every_fact_and_are_read_again() -> None:
    failure = Failure(path="s3fs", case="8MiB", phase=Phase.COLD, repeat=2, code="digest_mismatch", message="wrong")
    one = measured(1.0, first_byte=0.1, s3_requests={"GET": 3}, s3_sent=5, fuse_peak=9)
    made = results(one, failures=(failure,), about=about(), warnings=("not counted",), ended=("8MiB",))
    slower = Regression("s3fs 8MiB warm", now=1.0, before=2.0)
    text = json_lines(made, [slower])
    assert parse(text, "run") == made
    assert json.loads(text.splitlines()[-1]) == {"kind": "regression", **asdict(slower)}


@pytest.mark.parametrize("line", ["{", '{"kind": "measurement"}', '{"kind": "about"}', "{}"])
def test_a_line_that_is_no_result_is_named(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"y\.jsonl:1"):
        parse("{" + line[1:] + "\n", "y.jsonl")


@pytest.mark.parametrize("wrong", [{"wall": "1"}, {"wall": float("nan")}, {"size": 0}, {"user": None}])
def test_a_figure_that_is_none_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"y\.jsonl:1"):
        parse(json.dumps(measured(1.0).to_json() | wrong) + "\n", "y.jsonl")


def test_csv_has_a_column_for_each_method_of_requests() -> None:
    text = csv_text(results(measured(1.0, s3_requests={"GET": 3}), measured(2.0)))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["wall"], row["s3_get"], row["path"]) for row in rows] == [("1.0", "3", "s3fs"), ("2.0", "", "s3fs")]
