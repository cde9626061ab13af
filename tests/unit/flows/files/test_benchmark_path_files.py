import re
from pathlib import Path

import pytest

from flows.files.benchmark_path_files import PathModel, load_paths
from flows.forms.benchmark_parameters import BenchmarkParameters
from tasks.benchmark_values.paths import Origin
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.catalogue import CATALOGUE

FILE = """
paths:
  s3fs-cached:
    like: s3fs
    options: ["use_cache={cache}"]
  gcsfuse:
    origin: pushed
    mount: [gcsfuse, --foreground, --only-dir, "{prefix}", "{bucket}", "{mountpoint}"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "paths.yaml"
    path.write_text(text)
    return path


def test_a_path_can_be_like_another_with_other_options(tmp_path: Path) -> None:
    found = load_paths(written(tmp_path, FILE), CATALOGUE)
    assert found["s3fs-cached"].mount == CATALOGUE["s3fs"].mount
    assert found["s3fs-cached"].options == ("use_cache={cache}",)
    assert found["gcsfuse"].origin is Origin.PUSHED
    assert found["gcsfuse"].unmount == ("fusermount3", "-u", "{mountpoint}")
    parameters = BenchmarkParameters(paths_file=str(tmp_path / "paths.yaml"), paths=["s3fs-cached", "gcsfuse"])
    assert [path.name for path in parameters.to_options().paths] == ["s3fs-cached", "gcsfuse"]


def test_the_page_shows_a_file_that_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "benchmark.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert set(load_paths(written(tmp_path, shown), CATALOGUE)) == {"s3fs-cached", "gcsfuse"}
    told = page.partition("Further fields are ")[2].partition("\n")[0]
    named = {*re.findall(r"`(\w+)`", told), *re.findall(r"(\w+): ", shown)}
    assert named >= PathModel.model_fields.keys() - {"option", "own_credentials"}


def test_a_pull_of_ones_own_is_neither_prepared_nor_named_as_the_one_in_whose_place_it_is(tmp_path: Path) -> None:
    text = """
paths:
  crane: {like: registry, pull: [crane, export, "{registry}:{tag}", "{out}/a.tar"]}
  told: {like: native, pull: [mine, "{prefix}", "{out}"], version: [mine, version]}
  mounted: {like: s3fs, mount: [other, "{prefix}", "{mountpoint}"]}
  options: {like: s3fs, options: [a=b]}
"""
    found = load_paths(written(tmp_path, text), CATALOGUE)
    said = {name: (spec.waits, spec.warm_up, spec.version) for name, spec in found.items()}
    assert said == {
        "crane": (False, (), ()),
        "told": (False, ("mine", "version"), ("mine", "version")),
        "mounted": (False, ("oras", "version"), ()),
        "options": (False, ("oras", "version"), ("s3fs", "--version")),
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("paths: {x: {like: nothing}}", "nothing"),
        ("paths: {x: {mount: [a]}}", "origin"),
        ("paths:\n  x:\n    origin: elsewhere", "paths.yaml:3"),
        ("paths:\n  x:\n    like: s3fs\n    moumt: [a]", "paths.yaml:4"),
        ("paths: {}", "paths"),
        ("paths: {x: {like: registry, bucket: other}}", "x: bucket: it reads from no bucket"),
        ("paths: {x: {like: native, options: [a]}}", "x: options: it has no mount"),
        ('paths: {x: {origin: pushed, mount: [m, "{bucket}", "{mountpoint}"]}}', "x: mount: has no {prefix}"),
        ('paths: {x: {like: mount-s3, mount: [m, "{bucket}", "{mountpoint}"]}}', "x: mount: has no {prefix}"),
        ('paths: {x: {like: native, pull: [c, "s3://{bucket}", "{out}"]}}', "x: pull: has no {prefix}"),
        ("paths: {x: {like: rclone, options: [s3-secret-access-key=hidden]}}", "would put a secret into the results"),
        ("paths: {x: {origin: pushed}}", "x: pull: has no {prefix}"),
        ('paths: {x: {origin: directory, mount: [m, "{directory}"]}}', "x: mount: has no {mountpoint}"),
        ("paths: {../x: {like: s3fs}}", "'../x': can't be called so"),
        ("paths: {'': {like: s3fs}}", "'': can't be called so"),
        ("paths: {uploaded: {like: s3fs}}", "'uploaded': can't be called so"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_paths(written(tmp_path, text), CATALOGUE)
