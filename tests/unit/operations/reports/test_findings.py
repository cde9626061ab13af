from tasks.operations.reports.findings import NO_LAYOUTS, harmful_first
from tasks.ports import Finding


def test_findings_that_keep_a_run_from_being_complete_come_first() -> None:
    strays = [Finding(path, "not_a_layout", "files") for path in ("a", "b")]
    assert harmful_first([*strays, NO_LAYOUTS]) == [NO_LAYOUTS, *strays]
