import pytest

from tasks.benchmark_values.cases import (
    MIB,
    MULTIS,
    QUICK_MULTIS,
    QUICK_SINGLES,
    SINGLES,
    Case,
    parse_case,
    parse_cases,
)
from tasks.oci.errors import ConfigurationError


@pytest.mark.parametrize(
    ("label", "size", "count"),
    [("8MiB", 8 * MIB, 1), ("2GiB", 2048 * MIB, 1), ("64MiBx16", 64 * MIB, 16), ("2MB", 2_000_000, 1), ("7", 7, 1)],
)
def test_labels_are_those_of_the_article_and_of_head(label: str, size: int, count: int) -> None:
    assert parse_case(label) == Case(label, size, count)


@pytest.mark.parametrize(
    ("label", "clear"),
    [("8M", "8MiB"), ("1G", "1GiB"), ("512K", "512KiB"), ("16Mx8", "16MiBx8"), ("1Kx2", "1KiBx2")],
)
def test_a_letter_alone_is_what_head_takes_it_for_and_its_label_says_so(label: str, clear: str) -> None:
    assert parse_case(label) == parse_case(clear)
    assert parse_case(label).label == clear


def test_one_size_in_two_spellings_is_measured_once() -> None:
    assert [case.label for case in parse_cases(["8M 8MiB 8MB"], ["1Kx2 1KiBx2"])] == ["8MiB", "8MB", "1KiBx2"]


@pytest.mark.parametrize(
    "label",
    ["8m", "8k", "8Mi", "8MMiB", "", "0MiB", "8 MiB", "8mib", "8MiBx", "8MiBx0", "-8MiB", "x8", "8TiB", "1.5MiB"],
)
def test_what_is_no_label_is_named(label: str) -> None:
    with pytest.raises(ConfigurationError, match="64MiB"):
        parse_case(label)


def test_the_default_matrix_is_the_articles() -> None:
    cases = parse_cases(SINGLES, MULTIS)
    assert [case.label for case in cases] == [
        *("8MiB", "16MiB", "32MiB", "64MiB", "128MiB", "256MiB", "512MiB", "1GiB", "2GiB"),
        *("16MiBx8", "64MiBx8", "64MiBx16"),
    ]


def test_the_quick_matrix_has_no_more_than_64_mib_and_a_multi_of_a_singles_total() -> None:
    cases = parse_cases(QUICK_SINGLES, QUICK_MULTIS)
    assert max(case.total for case in cases) == 64 * MIB
    assert {case.total for case in cases if case.is_multi} <= {case.total for case in cases if not case.is_multi}


def test_a_list_may_be_one_text_and_each_case_is_measured_once() -> None:
    assert [case.label for case in parse_cases(["8MiB, 16MiB", "8MiB"], ["1MiBx2 1MiBx3"])] == [
        "8MiB",
        "16MiB",
        "1MiBx2",
        "1MiBx3",
    ]


@pytest.mark.parametrize(("sizes", "multis"), [(["8MiBx2"], []), ([], ["8MiB"]), ([], [])])
def test_a_label_in_the_wrong_list_and_no_label_at_all_are_refused(sizes: list[str], multis: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        parse_cases(sizes, multis)
