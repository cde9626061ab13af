"""The deployments fit the flows, and the check that says so notices when they do not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.check import DEPLOYMENTS, problems


@pytest.fixture
def changed(tmp_path):
    """Writes the real file with something changed in its first deployment, and returns its path."""

    def write(**changes) -> Path:
        content = yaml.safe_load(DEPLOYMENTS.read_text())
        content["deployments"][0] |= changes
        path = tmp_path / "prefect.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_the_command_finds_nothing_wrong():
    outcome = subprocess.run(
        [sys.executable, "-m", "deployments.check"],
        cwd=DEPLOYMENTS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (outcome.returncode, outcome.stdout) == (0, ""), outcome.stderr


@pytest.mark.parametrize("pool", ["docker", "kubernetes"])
def test_the_variants_for_other_pools_fit_too(pool):
    assert list(problems(DEPLOYMENTS.parent / "pools" / f"{pool}.yaml")) == []


@pytest.mark.parametrize("name", ["prefect.yaml", "pools/docker.yaml", "pools/kubernetes.yaml"])
def test_a_run_s_page_shows_what_we_log_whatever_is_in_the_worker_s_environment(name):
    content = yaml.safe_load((DEPLOYMENTS.parent / name).read_text())

    for deployment in content["deployments"]:
        environment = deployment["work_pool"]["job_variables"]["env"]
        assert environment["PREFECT_LOGGING_EXTRA_LOGGERS"] == "tasks,flows"


def test_the_command_fails_where_something_is_wrong(changed):
    path = changed(entrypoint="flows.no_such_module.migrate")

    outcome = subprocess.run(
        [sys.executable, "-m", "deployments.check", str(path)],
        cwd=DEPLOYMENTS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 1
    assert "flows.no_such_module.migrate can't be loaded" in outcome.stdout


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"entrypoint": "flows/migrate.py:migrate"}, "is a file"),
        ({"entrypoint": "flows.migrate.nothing"}, "can't be loaded"),
        ({"parameters": {"source": "/mnt/bucket"}}, "'target' is a required property"),
        ({"parameters": {"source": "/s", "target": "t", "jobz": 4}}, "no parameter jobz"),
        ({"parameters": {"source": "/s", "target": "t", "jobs": 0}}, "parameters.jobs: 0 is less than the minimum"),
        ({"parameters": {"source": "/s", "target": "t", "depth": "deep"}}, "parameters.depth: 'deep'"),
        ({"parameters": {"source": "/s", "target": "t", "password": "p"}}, "no parameter password"),
        ({"schedules": [{"slug": "a", "cron": "0 2 * * *", "active": True}]}, "schedule a must be off"),
        ({"schedules": [{"slug": "a", "cron": "0 2 * * *"}]}, "schedule a must be off"),
        ({"schedules": [{"slug": "a", "cron": "now", "active": False}]}, "schedule a is none that Prefect takes"),
        (
            {"schedules": [{"slug": "a", "cron": "0 2 * * *", "active": False, "parameters": {"jobs": 0}}]},
            "parameters.jobs: 0 is less than the minimum",
        ),
    ],
)
def test_what_does_not_fit_is_named(changed, changes, expected):
    found = list(problems(changed(**changes)))

    assert len(found) == 1
    assert expected in found[0]


def test_the_machine_of_the_deployer_is_not_written_down(tmp_path):
    content = yaml.safe_load(DEPLOYMENTS.read_text())
    del content["pull"]
    path = tmp_path / "prefect.yaml"
    path.write_text(yaml.safe_dump(content))

    assert [problem.partition(":")[0] for problem in problems(path)] == ["pull"]


def test_a_name_is_given_once(tmp_path):
    content = yaml.safe_load(DEPLOYMENTS.read_text())
    content["deployments"].append(content["deployments"][0])
    path = tmp_path / "prefect.yaml"
    path.write_text(yaml.safe_dump(content))

    assert list(problems(path)) == ["migrate/nightly: there are two of this name"]


@pytest.mark.parametrize("pool", ["docker", "kubernetes"])
def test_a_sharded_run_in_a_pool_has_its_parts_done_by_a_deployment_of_the_same_pool(pool: str) -> None:
    file = yaml.safe_load((DEPLOYMENTS.parent / "pools" / f"{pool}.yaml").read_text())
    names = {
        f"{each['entrypoint'].split('.')[1].replace('_', '-')}/{each['name']}": each for each in file["deployments"]
    }
    sharded = {name: each for name, each in names.items() if "shards" in each["parameters"]}
    assert set(sharded) == {f"migrate/sharded-{pool}", f"verify/sharded-{pool}"}
    for each in sharded.values():
        shard = names[each["parameters"]["shard_deployment"]]
        assert shard["work_pool"] == each["work_pool"]
        assert shard["entrypoint"].startswith(f"{each['entrypoint'].rpartition('.')[0]}_shard.")


@pytest.mark.parametrize("pool", ["docker", "kubernetes"])
def test_the_runs_of_a_pair_have_one_ledger_and_one_lock_in_whatever_pod_or_container_they_are(pool: str) -> None:
    file = yaml.safe_load((DEPLOYMENTS.parent / "pools" / f"{pool}.yaml").read_text())
    parameters = [each["parameters"].get("settings", each["parameters"]) for each in file["deployments"]]
    (state,) = {each.get("state") for each in parameters}
    assert str(state).startswith("s3://"), "neither jobs nor machines share a folder"
    assert len({(each["source"], each["target"]) for each in parameters}) == 1


@pytest.mark.parametrize("pool", ["docker", "kubernetes"])
def test_what_schedules_missed_does_not_begin_at_once_and_a_sharded_run_has_room_for_its_parts(pool: str) -> None:
    path = DEPLOYMENTS.parent / "pools" / f"{pool}.yaml"
    said = rf"^#   .*(?:--limit|set-concurrency-limit layoutlift-{pool}) (\d+)"
    (limit,) = re.findall(said, path.read_text(), re.MULTILINE)
    deployments = yaml.safe_load(path.read_text())["deployments"]
    assert int(limit) > max(each["parameters"].get("shards", 0) for each in deployments), "the run itself holds one"
