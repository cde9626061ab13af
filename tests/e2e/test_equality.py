"""A run names the moment when both sides were equal, or says why it can't."""

from pathlib import Path

from infra.real_parts import Registry
from tests.support.command import Ended, Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import Change, FaultProxy, Upstream
from tests.support.layouts import LayoutBuilder


def moment(ended: Ended) -> tuple[str | None, str | None]:
    return ended.report["run"]["equal_at"], ended.report["run"]["not_equal_because"]


def test_migrations_and_verifications_of_a_quiet_source_name_it(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 2), f"{docker_registry.host}/{prefix}"
    for run in (layoutlift.migrate, layoutlift.migrate, layoutlift.verify):
        ended = run(source, target)
        at, reason = moment(ended)
        assert reason is None
        assert at is not None
        assert ended.report["run"]["started"] <= at <= ended.report["run"]["finished"]
        assert f"both sides were equal at {at}" in ended.stdout
    part = layoutlift.verify(source, target, "--include", "**:v0")
    assert f"  what was chosen was equal on both sides at {moment(part)[0]}" in part.stdout.splitlines()
    again = layoutlift.migrate(source, target, "--since-last")
    assert moment(again) == (None, "with --since-last, the target was not asked for layouts that were unchanged")
    assert "not known to be equal: with --since-last" in again.stdout


def test_a_writer_in_mid_run_takes_it_away_and_the_next_run_names_it(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source = tree(tmp_path / "s", 1, 1)

    def write_late(answer: Upstream) -> Upstream:
        LayoutBuilder(source / "late").write()
        return answer

    proxy = FaultProxy(docker_registry.host)
    try:
        proxy.when("PUT", ".*/manifests/v0", Change(write_late))
        at, reason = moment(layoutlift.migrate(source, f"{proxy.host}/{prefix}"))
        assert at is None
        assert reason == "the source was written to during the run: 1 layout, 'late' among them"
        assert moment(layoutlift.migrate(source, f"{proxy.host}/{prefix}"))[0] is not None
    finally:
        proxy.stop()


def test_a_tag_that_differs_takes_it_away(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 2), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target, "--include", "**:v0")
    at, reason = moment(layoutlift.verify(source, target, code=1))
    assert (at, reason) == (None, "1 of 2 tags are not equal")
