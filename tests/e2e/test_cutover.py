"""The day of the cut-over: files only when both sides are equal and nobody writes, and every line of them is true."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import DistributionStorage


def test_every_old_reference_is_replaced_by_one_with_its_digest(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 2), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    files = [tmp_path / name for name in ("map.csv", "map.json", "back.csv")]
    line = ("--plain-http", "--output", files[0], "--output", files[1], "--way-back", files[2])
    ended = layoutlift("cutover", source, target, "--frozen-for", "1s", *line)
    assert "were equal at 20" in ended.stdout
    assert re.search(r"^cutover .* → ", ended.stdout, re.MULTILINE), "what the summary is of"
    rows = list(csv.DictReader(files[0].open()))
    assert len(rows) == 4
    listed = {tag["digest"]: r["repository"] for r in layoutlift.listed(source)["repositories"] for tag in r["tags"]}
    for row in rows:
        repository = listed[row["digest"]]
        tag = row["old"].rpartition(":")[2]
        assert row["old"] == f"{source}/{repository}:{tag}"
        assert row["new"] == f"{target}/{repository}:{tag}@{row['digest']}"
    written = json.loads(files[1].read_bytes())
    assert written["references"] == rows
    assert written["equal_at"].startswith("20")
    assert [(r["new"], r["old"]) for r in csv.DictReader(files[2].open())] == [(r["new"], r["old"]) for r in rows]


def test_nothing_is_written_while_the_sides_differ_and_the_report_says_so(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 2), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target, "--include", "**:v0")
    line = ("--plain-http", "--output", tmp_path / "map.csv", "--json")
    ended = layoutlift("cutover", source, target, *line, code=1)
    assert not (tmp_path / "map.csv").exists()
    assert ended.stderr.endswith("; no file was written\n")
    assert json.loads(ended.stdout)["run"]["equal_at"] is None
    layoutlift.migrate(source, target)
    metrics = tmp_path / "cutover.prom"
    ended = layoutlift("cutover", source, target, *line, "--metrics", metrics)
    assert '{flow="cutover",' in metrics.read_text(), "a collector takes no series twice, and a verification has one"
    assert json.loads(ended.stdout)["run"]["equal_at"], "standard output is one document, whatever is said besides"
    assert "map.csv written" in ended.stderr


def test_a_list_is_never_written_into_the_source(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    for option in ("--output", "--way-back"):
        place = source / "map.csv"
        ended = layoutlift("cutover", source, target, "--plain-http", option, place, code=2)
        assert ended.stderr.startswith(f"layoutlift: {option} {place}: it is in the source")
        assert not place.exists()


def test_nothing_is_written_when_somebody_still_writes(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    report = layoutlift.home / "report.json"
    report.unlink()
    line = (source, target, "--frozen-for", "6s", "--plain-http", "--output", tmp_path / "map.csv")
    with layoutlift.running("cutover", *line) as process:
        wait_until(report.exists, what="the verification has ended")
        shutil.rmtree(source / "app-0")
        layout = LayoutBuilder(source / "app-0")
        layout.image("v9", layers=[b"late"])
        layout.write()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    assert "still written to: app-0" in stderr
    assert not (tmp_path / "map.csv").exists()


def test_a_file_that_could_not_be_written_is_told_before_the_work(layoutlift: Layoutlift, tmp_path: Path) -> None:
    for name in ("map.txt", "missing/map.csv"):
        line = (tmp_path / "s", "127.0.0.1:1", "--plain-http", "--output", tmp_path / name)
        ended = layoutlift("cutover", *line, code=2)
        assert str(tmp_path / name) in ended.stderr
    assert "--frozen-for: a duration" in layoutlift("cutover", tmp_path, "r", "--frozen-for", "soon", code=2).stderr


def test_users_name_their_references_as_they_do(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    template = ("--old-reference", "oci:{repository}:{tag}", "--output", tmp_path / "map.json")
    layoutlift("cutover", source, target, "--plain-http", *template)
    (row,) = json.loads((tmp_path / "map.json").read_bytes())["references"]
    assert row["old"] == "oci:app-0:v0"


def test_an_old_reference_never_stands_for_two_new_ones(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    """Whoever goes by such a list would deploy either of them."""
    source, target = tree(tmp_path / "s", 2, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    template = ("--plain-http", "--old-reference", "old.example/app:{tag}", "--output", tmp_path / "map.csv")
    ended = layoutlift("cutover", source, target, *template, code=2)
    assert "the one name old.example/app:v0" in ended.stderr
    assert not (tmp_path / "map.csv").exists()
    layoutlift("cutover", source, target, *template, "--include", "app-0")
    assert len((tmp_path / "map.csv").read_text().splitlines()) == 2


def test_nothing_is_written_where_a_mount_within_the_source_went_away(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    shutil.rmtree(source / "app-1")
    (source / "app-1").mkdir()
    line = ("--plain-http", "--output", tmp_path / "map.csv")
    ended = layoutlift("cutover", source, target, *line, code=3)
    assert "the folder 'app-1' is empty, and an earlier run found layouts there" in ended.stderr
    assert not (tmp_path / "map.csv").exists()
    (source / "app-1").rmdir()
    layoutlift("cutover", source, target, *line)
    assert (tmp_path / "map.csv").exists()


@pytest.fixture
def listed(docker_registry: Registry, tmp_path: Path, prefix: str) -> Path:
    """A file of two sources whose repositories have the same names."""
    target, file = f"{docker_registry.host}/{prefix}", tmp_path / "migration.yaml"
    sources = [tree(tmp_path / name, 1, 1) for name in ("one", "two")]
    mappings = "".join(f"- {{source: {source}, target: {target}/{source.name}}}\n" for source in sources)
    file.write_text(f"version: 1\ndefaults: {{plain_http: true}}\nmappings:\n{mappings}")
    return file


def test_all_sources_of_a_file_are_cut_over_together(
    layoutlift: Layoutlift, docker_registry: Registry, listed: Path, tmp_path: Path, prefix: str
) -> None:
    layoutlift("migrate", "-c", listed, "--standalone")
    line = ("-c", listed, "--output", tmp_path / "map.json", "--output", tmp_path / "map.csv")
    told = json.loads(layoutlift("cutover", *line, "--frozen-for", "1s", "--json").stdout)
    assert [mapping["exit_code"] for mapping in told["mappings"]] == [0, 0]
    target, written = f"{docker_registry.host}/{prefix}", json.loads((tmp_path / "map.json").read_bytes())
    assert [(row["old"], row["new"].partition("@")[0]) for row in written["references"]] == [
        (f"{tmp_path}/{name}/app-0:v0", f"{target}/{name}/app-0:v0") for name in ("one", "two")
    ]
    assert list(csv.DictReader((tmp_path / "map.csv").open())) == written["references"]
    assert written["mappings"] == [
        {
            "source": report["run"]["source"],
            "target": report["run"]["target"],
            "chosen": "all",
            "equal_at": report["run"]["equal_at"],
        }
        for report in told["reports"]
    ]


def test_each_tag_has_one_row_where_mappings_choose_it_twice(
    layoutlift: Layoutlift, listed: Path, tmp_path: Path
) -> None:
    again = listed.read_text().splitlines()[-1].replace("}", ", include: ['app-*']}")
    listed.write_text(f"{listed.read_text()}{again}\n")
    layoutlift("migrate", "-c", listed, "--standalone")
    layoutlift("cutover", "-c", listed, "--output", tmp_path / "map.csv", "--way-back", tmp_path / "back.csv")
    assert len((tmp_path / "map.csv").read_text().splitlines()) == 3, "a heading and two tags"


def test_two_sources_with_the_same_at_one_target_have_no_way_back(
    layoutlift: Layoutlift, listed: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "two")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    listed.write_text(listed.read_text().replace("/two}", "/one}"))
    layoutlift("migrate", "-c", listed, "--standalone")
    lists = ("--output", tmp_path / "map.csv", "--way-back", tmp_path / "back.csv")
    ended = layoutlift("cutover", "-c", listed, *lists, code=2)
    assert f"stand for {tmp_path}/one/app-0:v0 and {tmp_path}/two/app-0:v0" in ended.stderr
    assert not (tmp_path / "map.csv").exists()
    layoutlift("cutover", "-c", listed, "--output", tmp_path / "map.csv")


def test_where_one_of_them_differs_none_is_written(
    layoutlift: Layoutlift, docker_registry: Registry, listed: Path, tmp_path: Path, prefix: str
) -> None:
    layoutlift("migrate", "-c", listed, "--standalone")
    DistributionStorage(docker_registry, f"{prefix}/two/app-0").remove_tag("v0")
    line = ("-c", listed, "--output", tmp_path / "map.json")
    ended = layoutlift("cutover", *line, code=1)
    assert re.findall("^cutover .*/(one|two) → ", ended.stdout, re.MULTILINE) == ["one", "two"]
    assert f"{tmp_path}/two → {docker_registry.host}/{prefix}/two\n" in ended.stderr
    told = json.loads(layoutlift("cutover", *line, "--json", code=1).stdout)
    assert [mapping["exit_code"] for mapping in told["mappings"]] == [1, 1], "they are proved together"
    assert not (tmp_path / "map.json").exists()


def test_a_write_to_a_source_that_was_verified_before_another_is_noticed(
    layoutlift: Layoutlift, listed: Path, tmp_path: Path
) -> None:
    """Its own verification has ended by then: it is watched until all have."""
    layoutlift("migrate", "-c", listed, "--standalone")
    line = ("-c", listed, "--frozen-for", "6s", "--output", tmp_path / "map.csv")
    with layoutlift.running_plainly("cutover", *line) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("all tags are verified"):
                break
        layout = LayoutBuilder(tmp_path / "one" / "late")
        layout.image("v9", layers=[b"late"])
        layout.write()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    assert f"{tmp_path}/one is still written to: late" in stderr
    assert not (tmp_path / "map.csv").exists()


def test_one_source_that_goes_to_two_targets_is_proved_and_has_no_list(
    layoutlift: Layoutlift, listed: Path, tmp_path: Path
) -> None:
    listed.write_text(listed.read_text().replace(f"{tmp_path}/two,", f"{tmp_path}/one,"))
    layoutlift("migrate", "-c", listed, "--standalone")
    layoutlift("cutover", "-c", listed)
    ended = layoutlift("cutover", "-c", listed, "--output", tmp_path / "map.csv", code=2)
    assert f"the one name {tmp_path}/one/app-0:v0" in ended.stderr
    assert not (tmp_path / "map.csv").exists()
