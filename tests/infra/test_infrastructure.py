"""What is in `infra/` is accepted by the tools that would read it: each is run for real, and shown to refuse."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import yaml

from flows.course.stopping import LAST_RESORT_SECONDS, REPORTED_A_SECOND
from flows.server.server_process import server_environment
from infra.operations.desk import RUN_ENDS_WITHIN_SECONDS, RUNS_AT_ONCE
from infra.real_parts import find_tool
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.report_rows import totals_json
from tasks.operations.reports.run_metrics import RunMoment, run_metrics
from tasks.stores.state.lock_holder import EXPIRY_SECONDS
from tasks.stores.state.state_directory import default_state_root
from tests.support.real_parts import Cli, skipped_where_unavailable

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DOCKERFILES = sorted(INFRA.glob("Dockerfile*"))
MANIFESTS = sorted((INFRA / "kubernetes").glob("*.yaml"))
UNITS = sorted(path for path in (INFRA / "systemd").iterdir() if path.suffix in {".service", ".timer"})
KUBERNETES = "1.31"
SECRETS = {"POSTGRES_PASSWORD": "one", "S3_ACCESS_KEY": "two", "S3_SECRET_KEY": "three"}


def names(path: Path) -> str:
    return path.name


# --- versions

NAMED = [INFRA / "compose.yaml", *MANIFESTS, *DOCKERFILES, *ROOT.glob("deployments/**/*.yaml")]


@pytest.mark.parametrize(
    ("named", "at_least"),
    [(r"(?:prefecthq/prefect:|prefect-version: )(\d[\d.]*)", 5), (r"layoutlift(?:-s3fs)?:(\d[\d.]*)", 8)],
    ids=["prefect", "layoutlift"],
)
def test_every_file_names_the_version_that_there_is(named: str, at_least: int) -> None:
    """A server of another version than the clients' would be noticed by its users only."""
    project = (ROOT / "pyproject.toml").read_text() + (ROOT / "requirements" / "runtime.txt").read_text()
    pattern = r'^version = "(.*)"$' if "s3fs" in named else r"^prefect==(\S+)"
    found = [version for path in NAMED for version in re.findall(named, path.read_text())]
    assert len(found) >= at_least
    assert set(found) == {re.search(pattern, project, re.MULTILINE)[1]}


# --- images


@pytest.fixture
def hadolint() -> Cli:
    return Cli(Path(sys.executable).with_name("hadolint"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=names)
def test_an_image_has_no_complaint(hadolint: Cli, path: Path) -> None:
    assert hadolint.run("--failure-threshold", "info", path).stdout == ""


def test_a_bad_image_would_be_noticed(hadolint: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian:latest\nRUN apt-get install -y s3fs\n")
    outcome = hadolint.run(bad)
    assert outcome.returncode != 0
    assert {"DL3007", "DL3008"} <= set(re.findall(r"DL\d+", outcome.stdout))


def test_the_image_is_not_root_and_what_it_copies_is_there() -> None:
    text = (INFRA / "Dockerfile").read_text()
    assert re.search(r"^USER (\S+)", text, re.MULTILINE)[1] == "10001:10001"
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY") and "--from" not in line]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in (ROOT / path for line in copied for path in line):
        assert source.exists(), source
        assert any(f"!{part}" in ignored for part in (source.name, str(source.relative_to(ROOT))))


COMMANDS = {"infra/Dockerfile": 4, "Makefile": 6}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_installed_or_built_with_what_no_lock_names_by_its_hash(name: str) -> None:
    """Pip fetches the newest setuptools to build a package with, unless it is told not to."""
    lines = (ROOT / name).read_text().replace("\\\n", "").splitlines()
    variables = dict(re.findall(r"^(HASHED|LOCKED) := (.*)$", "\n".join(lines), re.MULTILINE))
    text = "\n".join(line for line in lines if ":=" not in line)  # what variables stand for is not run there
    for variable in ("LOCKED", "HASHED"):
        text = text.replace(f"$({variable})", variables.get(variable, ""))
    found = re.findall(r"(?:pip (?:install|wheel)|\$\(PIP\)|\$\(UV\)) [^&;'\n]*", text)
    assert len(found) == COMMANDS[name]
    for command in found:
        hashed = "--require-hashes" in command and "--only-binary :all:" in command  # and nothing is built on the way
        assert hashed or "--no-index" in command, command
        assert not re.search(r" \.\s*$", command) or "--no-build-isolation" in command, command


def test_the_lock_for_building_is_of_what_the_package_asks_for() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert (ROOT / "requirements" / "build.in").read_text().splitlines() == asked


def test_the_image_runs_prefect_for_workers_and_the_command_for_everybody_else(tmp_path: Path) -> None:
    for name in ("layoutlift", "prefect"):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        stub.chmod(0o755)
    for arguments, started in [
        (["migrate", "a b", "c"], "layoutlift migrate a b c"),
        (["prefect", "flow-run", "execute"], "prefect flow-run execute"),  # what workers tell a container
        ([], "layoutlift"),
    ]:
        command = [INFRA / "entrypoint.sh", *arguments]
        path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        assert subprocess.run(command, env=path, capture_output=True, text=True, check=True).stdout.strip() == started
    image = (INFRA / "Dockerfile").read_text()
    assert re.search(r'^ENTRYPOINT \["(\S+)"\]$', image, re.MULTILINE)[1] == "entrypoint.sh"


def test_volumes_are_mounted_over_folders_of_the_user_of_the_image() -> None:
    image = (INFRA / "Dockerfile").read_text()
    made = re.search(r"install --directory --owner=layoutlift .*?((?: /\S+)+)$", image, re.MULTILINE)
    compose = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]["worker"]["volumes"]
    pool = yaml.safe_load((ROOT / "deployments" / "pools" / "docker.yaml").read_text())
    mounted = compose + pool["definitions"]["work_pool"]["job_variables"]["volumes"]
    named = {each.split(":")[1] for each in mounted if not each.startswith(("/", "."))}
    assert len(named) == 2
    assert named <= set(made[1].split())


# --- compose


@pytest.fixture(scope="module")
def compose() -> Cli:
    """compose-go, the library inside `docker compose`, which needs no engine: it prints what it has understood.

    Its command takes no variables from anywhere, so they are filled in before.
    """
    with skipped_where_unavailable():
        return Cli(find_tool("compose-go"))


def filled_in(text: str, folder: Path) -> Path:
    """The compose file with its variables replaced, beside what it refers to."""
    for name, value in SECRETS.items():
        text = text.replace(f"${{{name}:?set it}}", value)
    path = folder / "compose.yaml"
    path.write_text(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text))
    shutil.copy(INFRA / "prefect.env", folder)
    return path


def test_compose_takes_the_file(compose: Cli, tmp_path: Path) -> None:
    path = filled_in((INFRA / "compose.yaml").read_text(), tmp_path)
    project = json.loads(compose("-format", "json", path, cwd=tmp_path))
    assert set(project["services"]) >= {"server", "worker", "postgres", "redis", "registry", "seaweedfs"}
    for name, service in project["services"].items():
        assert re.fullmatch(r"[^:]+:[^:]*\d[^:]*", service["image"]), f"{name} has no version"
        assert all(port.get("host_ip") == "127.0.0.1" for port in service.get("ports", [])), name
    database = project["services"]["server"]["environment"]["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    assert database == "postgresql+asyncpg://prefect:one@postgres:5432/prefect"
    origins = project["services"]["server"]["environment"]["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
    assert origins == "http://127.0.0.1:4200,http://localhost:4200"
    (settings,) = project["services"]["worker"]["env_file"]
    assert Path(settings["path"]).name == "prefect.env"


def test_no_secret_has_a_default(compose: Cli) -> None:
    outcome = compose.run(INFRA / "compose.yaml")
    assert outcome.returncode != 0
    assert set(re.findall(r"required variable (\w+)", outcome.stderr)) == set(SECRETS)


def test_a_bad_compose_file_would_be_noticed(compose: Cli, tmp_path: Path) -> None:
    content = yaml.safe_load((INFRA / "compose.yaml").read_text())
    content["services"]["worker"]["volums"] = []
    path = filled_in(yaml.safe_dump(content, width=1_000), tmp_path)
    assert "volums" in compose.run(path, cwd=tmp_path).stderr


# --- Kubernetes


def objects(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def pods(path: Path) -> Iterator[dict[str, Any]]:
    for each in objects(path):
        spec = each.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            yield template["spec"]


@pytest.mark.parametrize("path", MANIFESTS, ids=names)
def test_a_manifest_keeps_to_the_schema(path: Path) -> None:
    for each in objects(path):
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_a_bad_manifest_would_be_noticed() -> None:
    (job,) = objects(INFRA / "kubernetes" / "cronjob.yaml")
    job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=names)
def test_pods_name_what_exists_and_secrets_only_by_reference(path: Path) -> None:
    for pod in pods(path):
        volumes = {volume["name"] for volume in pod["volumes"]}
        containers = [*pod.get("initContainers", []), *pod["containers"]]
        for container in containers:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            for variable in container.get("env", []):
                assert not re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY", variable["name"]), variable
            assert re.search(r":\d", container["image"].rpartition("/")[2])
        (main,) = pod["containers"]
        assert main["securityContext"]["allowPrivilegeEscalation"] is False
        assert main["securityContext"]["readOnlyRootFilesystem"] is True


def workers() -> Iterator[tuple[str, dict[str, str], set[str]]]:
    """Each worker that runs in a container: its name, its environment, and where its volumes are mounted."""
    service = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]["worker"]
    yield "compose", service["environment"], {each.split(":")[1] for each in service["volumes"]}
    (worker,) = next(pods(INFRA / "kubernetes" / "worker.yaml"))["containers"]
    (claimed,) = [each["name"] for each in workers_volumes() if "persistentVolumeClaim" in each]
    environment = {each["name"]: each["value"] for each in worker["env"]}
    mounted = {each["mountPath"] for each in worker["volumeMounts"] if each["name"] == claimed}
    yield "kubernetes", environment, mounted
    pool = yaml.safe_load((ROOT / "deployments" / "pools" / "docker.yaml").read_text())
    variables = pool["definitions"]["work_pool"]["job_variables"]
    yield "docker", variables["env"], {each.split(":")[1] for each in variables["volumes"] if each[0] != "/"}


def workers_volumes() -> list[dict[str, Any]]:
    return next(pods(INFRA / "kubernetes" / "worker.yaml"))["volumes"]


@pytest.mark.parametrize(("environment", "mounted"), [pytest.param(*how, id=name) for name, *how in workers()])
def test_a_worker_keeps_its_state_where_it_outlives_the_container(
    environment: dict[str, str], mounted: set[str]
) -> None:
    """Flows have parameters in place of the variables of options, as LAYOUTLIFT_STATE is one: those say nothing."""
    assert str(default_state_root(environment).parent) in mounted
    assert not [name for name in environment if name.startswith("LAYOUTLIFT_")]


@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.name.startswith("cronjob")], ids=names)
def test_the_command_takes_the_arguments_of_a_cronjob(path: Path) -> None:
    """As far as the source, which is not here."""
    (pod,) = pods(path)
    arguments = [each.replace("s3://layoutlift-state/nightly", "/nowhere") for each in pod["containers"][0]["args"]]
    program = Path(sys.executable).with_name("layoutlift")
    outcome = subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    options = {each.partition("=")[0] for each in arguments if each.startswith("--")}
    assert all(option in outcome.stdout for option in options)


def sidecar() -> dict[str, Any]:
    (pod,) = pods(INFRA / "kubernetes" / "cronjob-s3fs.yaml")
    (found,) = pod["initContainers"]
    return found


def test_s3fs_finds_the_folder_that_it_mounts_over(tmp_path: Path) -> None:
    stub = tmp_path / "s3fs"
    stub.write_text('#!/bin/sh\ntest -d "$3" && echo "$@"\n')
    stub.chmod(0o755)
    bucket, mountpoint, *options = sidecar()["args"]
    command = [*sidecar()["command"], bucket, f"{tmp_path}{mountpoint}", *options]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    started = subprocess.run(command, env=path, capture_output=True, text=True, check=True).stdout.split()
    assert started == ["-f", bucket, f"{tmp_path}{mountpoint}", *options]


def test_s3fs_ends_by_its_signal_alone_which_comes_after_the_run() -> None:
    """Kubernetes runs the preStop hook of a sidecar when the pod begins to end, and the run still reads then."""
    assert "lifecycle" not in sidecar()
    assert re.search(r"\bexec s3fs -f\b", sidecar()["command"][2]), "the signal reaches the first process alone"


def test_what_s3fs_reads_ahead_is_in_a_volume_that_the_pod_has_asked_room_for() -> None:
    (pod,) = pods(INFRA / "kubernetes" / "cronjob-s3fs.yaml")
    mounts = {each["mountPath"]: each["name"] for each in sidecar()["volumeMounts"]}
    assert next(each for each in pod["volumes"] if each["name"] == mounts["/tmp"])["emptyDir"] == {}
    kept_free = int(re.search(r"ensure_diskfree=(\d+)", ",".join(sidecar()["args"]))[1])
    asked = sidecar()["resources"]["requests"]["ephemeral-storage"]
    assert int(asked.removesuffix("Gi")) * 1024 > kept_free


@pytest.mark.parametrize("path", MANIFESTS, ids=names)
def test_a_secret_that_only_its_owner_may_read_is_in_no_pod_that_lets_a_group(path: Path) -> None:
    """Kubernetes adds a group's right to read to every file of a secret in a pod with fsGroup."""
    for pod in pods(path):
        modes = [volume["secret"].get("defaultMode") for volume in pod["volumes"] if "secret" in volume]
        assert "fsGroup" not in pod["securityContext"] or modes == [None] * len(modes)


def test_s3fs_refuses_a_password_that_a_group_may_read(tmp_path: Path) -> None:
    """This is what the pod above has to do without fsGroup for."""
    password = tmp_path / "passwd-s3fs"
    password.write_text("key:secret")
    password.chmod(0o440)
    (tmp_path / "mount").mkdir()
    options = f"passwd_file={password},url=http://127.0.0.1:9"
    said = options_of("s3fs", "bucket", str(tmp_path / "mount"), "-f", "-o", options)
    assert "should not have group permissions" in said


# --- systemd


@pytest.fixture
def systemd_root(tmp_path: Path) -> Path:
    """A root with the units and, by name only, the programs that they start."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for path in UNITS:
        text = path.read_text()
        (units / path.name).write_text(text)
        for program in re.findall(r"^Exec\w+=-?(/\S+)", text, re.MULTILINE):
            stub = tmp_path / program.lstrip("/")
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.touch(mode=0o755)
    for name in ("network-online.target", "multi-user.target", "timers.target", "sysinit.target", "basic.target"):
        (units / name).write_text("[Unit]\nDescription=stands for the system's own\n")
    return tmp_path


def verified(root: Path, *units: str) -> str:
    with skipped_where_unavailable():
        analyze = find_tool("systemd-analyze")
    paths = [str(root / "etc" / "systemd" / "system" / unit) for unit in units]
    command = [analyze, "verify", "--man=no", "--recursive-errors=one", "--root", root, *paths]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    return outcome.stderr + ("" if outcome.returncode == 0 else f"status {outcome.returncode}")


@pytest.mark.parametrize("unit", UNITS, ids=names)
def test_systemd_takes_a_unit(systemd_root: Path, unit: Path) -> None:
    assert verified(systemd_root, unit.name) == ""


def test_a_bad_unit_would_be_noticed(systemd_root: Path) -> None:
    unit = systemd_root / "etc" / "systemd" / "system" / "layoutlift-worker.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restrat=always\nExecReload=relative"))
    said = verified(systemd_root, unit.name)
    assert "Restrat" in said


def test_systemd_takes_what_the_page_on_operations_adds_to_a_unit_to_tell_of_its_failure(systemd_root: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    added = re.findall(r"`(/etc/systemd/system/\S+)`:\n\n```ini\n(.*?)```", page, re.DOTALL)
    assert len(added) == 2
    for path, text in added:
        place = systemd_root / path.lstrip("/")
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    assert verified(systemd_root, "layoutlift-migrate.service", "tell-of@.service") == ""
    place.write_text(place.read_text().replace("OnFailure", "OnFailures"))
    assert "OnFailures" in verified(systemd_root, "layoutlift-migrate.service")


def setting(unit: str, name: str) -> list[str]:
    """The words of a setting of one of our units, continued lines included."""
    text = (INFRA / "systemd" / unit).read_text().replace("\\\n", " ")
    return [word for value in re.findall(rf"^{name}=(.*)", text, re.MULTILINE) for word in value.split()]


def test_the_server_answers_no_pages_but_its_own_dashboard() -> None:
    (origins,) = [each for each in setting("layoutlift-server.service", "Environment") if "_CORS_" in each]
    assert origins.endswith("_ALLOWED_ORIGINS=http://127.0.0.1:4200,http://localhost:4200")


def test_each_server_keeps_its_history_for_as_long_and_writes_it_down_together(tmp_path: Path) -> None:
    ours = {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "P30D",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }
    assert_each_server_has(tmp_path, ours)


def test_each_server_tells_of_what_was_awaited_in_vain_while_it_was_down(tmp_path: Path) -> None:
    assert_each_server_has(tmp_path, {"PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P30D"})


def assert_each_server_has(tmp_path: Path, ours: dict[str, str]) -> None:
    """The local server, that of systemd, and the two processes of the one in containers."""
    unit = dict(each.split("=", 1) for each in setting("layoutlift-server.service", "Environment"))
    compose = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]
    parts = [compose[name]["environment"] for name in ("server", "server-services")]
    for environment in (unit, server_environment(tmp_path, 4200), *parts):
        assert {name: environment.get(name) for name in ours} == ours


def test_what_is_bound_to_a_mount_is_started_when_that_is_back() -> None:
    bound = {unit.name: setting(unit.name, "BindsTo") for unit in UNITS if setting(unit.name, "BindsTo")}
    assert bound == {"layoutlift-worker.service": ["layoutlift-s3fs.service"]}
    for unit, mounts in bound.items():
        assert set(mounts) <= set(setting(unit, "WantedBy"))


def test_a_mount_that_is_not_made_fails_what_requires_it() -> None:
    """A unit that a condition skips is none of `Requires=`'s failures (systemd.unit(5))."""
    required = {name for unit in UNITS for name in (*setting(unit.name, "Requires"), *setting(unit.name, "BindsTo"))}
    assert required == {"layoutlift-s3fs.service"}
    texts = [(INFRA / "systemd" / name).read_text() for name in required]
    assert not any(re.search(r"^Condition", text, re.MULTILINE) for text in texts)


@pytest.mark.parametrize("unit", ["layoutlift-s3fs.service", "layoutlift-goofys.service"])
def test_a_mount_counts_as_started_when_it_is_mounted(unit: str) -> None:
    assert "mountpoint -q /mnt/bucket" in " ".join(setting(unit, "ExecStartPost"))


def test_the_dashboard_is_unpacked_where_the_server_may_write() -> None:
    unit = "layoutlift-server.service"
    assert setting(unit, "ProtectSystem") == ["strict"]
    environment = dict(each.split("=", 1) for each in setting(unit, "Environment"))
    (own,) = setting(unit, "StateDirectory")
    for name in ("PREFECT_HOME", "PREFECT_UI_STATIC_DIRECTORY"):
        assert Path(environment[name]).is_relative_to(f"/var/lib/{own}"), name


@pytest.mark.parametrize("unit", ["layoutlift-server.service", "layoutlift-worker.service"])
def test_prefect_finds_no_folder_of_another_user_where_it_makes_its_temporary_ones(unit: str) -> None:
    """A worker does not start where `/tmp/runner_storage` is somebody else's."""
    assert setting(unit, "PrivateTmp") == ["true"]


def test_one_run_that_takes_too_much_memory_ends_neither_the_others_nor_their_worker() -> None:
    """Left to itself, systemd stops a unit of which the kernel has killed one process."""
    assert setting("layoutlift-worker.service", "OOMPolicy") == ["continue"]


RUN = "trap 'sleep 0.2; echo in order; exit' TERM; echo begun; while :; do sleep 0.02; done"
"""A flow run, as far as its worker's end matters to it."""


def end_runs_of(worker: subprocess.Popen[str]) -> None:
    """What the unit does before its worker is told to end; what it says would be in the journal."""
    unit = (INFRA / "systemd" / "layoutlift-worker.service").read_text()
    (stop,) = re.findall(r"^ExecStop=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
    environment = os.environ | {"MAINPID": str(worker.pid)}
    ended = subprocess.run(["sh", "-c", stop], env=environment, check=True, timeout=10, capture_output=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")


def test_the_stop_of_a_worker_without_a_run_says_nothing_of_it() -> None:
    with subprocess.Popen(["sleep", "60"], text=True) as worker:
        try:
            end_runs_of(worker)
        finally:
            worker.kill()


def test_runs_at_work_end_in_order_before_their_worker_is_stopped() -> None:
    with subprocess.Popen(["sh", "-c", f'sh -c "{RUN}" & wait'], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "begun\n"
        end_runs_of(worker)
        assert worker.stdout.read() == "in order\n"


RUN_AND_WORKER = f"""\
trap 'kill -9 $! && echo killed; exit 5' TERM
sh -c "{RUN}" &
wait; exit 5
"""


WORKER_WITH_MORE_TO_DO = f"""\
trap 'kill -9 $!; exit' TERM
sh -c "{RUN}" & wait
sleep 60 & wait
"""


def test_the_stop_of_a_worker_waits_for_no_run_that_it_takes_up_meanwhile() -> None:
    """It goes on asking for work, and what it begins then is told of no end."""
    with subprocess.Popen(["sh", "-c", WORKER_WITH_MORE_TO_DO], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "begun\n"
        try:
            end_runs_of(worker)
            assert worker.stdout.readline() == "in order\n"
        finally:
            worker.terminate()


def test_the_image_ends_runs_in_order_before_their_worker(tmp_path: Path) -> None:
    stub = tmp_path / "prefect"
    stub.write_text(f"#!/bin/sh\n{RUN_AND_WORKER}")
    stub.chmod(0o755)
    told: list[str] = []
    for command in ([stub], [INFRA / "entrypoint.sh", "prefect", "worker", "start"]):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
            assert started.stdout.readline() == "begun\n"
            started.terminate()
            told.append(started.stdout.read())
    assert told[0] == "killed\n", "the stub does what a worker does"
    assert told[1] == "in order\n"
    assert started.returncode == 5, "what a worker ends with is what its container ends with"


@pytest.mark.parametrize(
    ("behavior", "told"), [("reschedule", "killed"), ("relinquish", "killed"), ("crash", "in order")]
)
def test_the_image_leaves_the_end_of_an_evicted_run_to_what_executes_it(
    tmp_path: Path, behavior: str, told: str
) -> None:
    """Of a run that has ended before, Prefect says that it crashed, and does not have it done again."""
    stub = tmp_path / "prefect"
    stub.write_text(f"#!/bin/sh\n{RUN_AND_WORKER}")
    stub.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": behavior}
    command = [INFRA / "entrypoint.sh", "prefect", "flow-run", "execute"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout.readline() == "begun\n"
        started.terminate()
        assert started.stdout.read() == f"{told}\n"
    assert started.returncode == 5


@pytest.mark.parametrize("code", [0, 3])
def test_a_run_s_container_ends_as_the_run_does(tmp_path: Path, code: int) -> None:
    stub = tmp_path / "prefect"
    stub.write_text(f"#!/bin/sh\nexit {code}\n")
    stub.chmod(0o755)
    command = [INFRA / "entrypoint.sh", "prefect", "flow-run", "execute"]
    assert subprocess.run(command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False).returncode == code


def test_who_stops_a_run_waits_until_it_has_ended_and_told_of_all_its_tags() -> None:
    compose = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]["worker"]
    specs = [spec for path in MANIFESTS for spec in pods(path)]
    units = [setting(f"layoutlift-{name}.service", "TimeoutStopSec") for name in ("worker", "migrate")]
    waits = [int(compose["stop_grace_period"].removesuffix("s")), *(int(seconds) for (seconds,) in units)]
    waits += [spec["terminationGracePeriodSeconds"] for spec in specs]
    assert len(waits) == 7
    assert min(waits) >= RUN_ENDS_WITHIN_SECONDS > LAST_RESORT_SECONDS + 5_000_000 / REPORTED_A_SECOND
    (worker,) = next(pods(INFRA / "kubernetes" / "worker.yaml"))["containers"]
    assert "command" not in worker, "in Kubernetes, that takes the place of the image's entrypoint"
    assert "entrypoint" not in compose


@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.name.startswith("cronjob")], ids=names)
def test_what_a_drained_node_ended_is_begun_again_when_its_lock_has_ended(path: Path) -> None:
    (job,) = [each["spec"]["jobTemplate"]["spec"] for each in objects(path) if each["kind"] == "CronJob"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    (lift,) = job["template"]["spec"]["containers"]
    (minutes,) = [each.partition("=")[2] for each in lift["args"] if each.startswith("--lock-timeout=")]
    assert int(minutes.removesuffix("m")) * 60 > EXPIRY_SECONDS


def test_no_worker_begins_more_runs_at_once_than_a_server_on_sqlite_bears() -> None:
    """All that schedules missed while no worker ran is late when one is back, and a worker takes up all of it."""
    assert "**With SQLite, have at most ten flow runs at work at once.**" in (ROOT / "docs/operations.md").read_text()
    assert RUNS_AT_ONCE == 10
    (pod,) = next(pods(INFRA / "kubernetes" / "worker.yaml"))["containers"]
    page = (ROOT / "docs" / "prefect.md").read_text()
    commands = [
        setting("layoutlift-worker.service", "ExecStart"),
        yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]["worker"]["command"],
        pod["args"],
        *(line.split() for line in re.findall(r"^prefect worker start .*", page, re.MULTILINE)),
    ]
    assert len(commands) == 4
    for command in commands:
        assert dict(pairwise(command))["--limit"] == str(RUNS_AT_ONCE)


def test_a_worker_that_waits_for_its_server_is_not_ended_by_kubernetes_with_the_runs_that_go_on_meanwhile() -> None:
    """Its health check fails when nothing has answered for five minutes; it ends by itself after twelve requests."""
    (worker,) = next(pods(INFRA / "kubernetes" / "worker.yaml"))["containers"]
    retries = next(int(each["value"]) for each in worker["env"] if each["name"] == "PREFECT_CLIENT_MAX_RETRIES")
    gives_up_after = 12 * sum(1.2 * 2**number for number in range(1, retries + 1))  # Prefect adds a fifth at most
    probe = worker["livenessProbe"]
    assert probe["periodSeconds"] * probe.get("failureThreshold", 3) > gives_up_after


def options_of(program: str, *arguments: str) -> str:
    with skipped_where_unavailable():
        outcome = subprocess.run([find_tool(program), *arguments], capture_output=True, text=True, check=False)
    return outcome.stdout + outcome.stderr


def test_s3fs_knows_each_option_that_unit_and_pod_give_it() -> None:
    known = options_of("s3fs", "--help")
    given = (INFRA / "systemd" / "layoutlift-s3fs.service").read_text()
    given += (INFRA / "kubernetes" / "cronjob-s3fs.yaml").read_text()
    lines = re.findall(r"^\s*(?:-o |- )(\S+=\S+,\S+|\S*ro,\S+)", given, re.MULTILINE)
    options = {each.partition("=")[0] for line in lines for each in line.split(",")}
    assert {"passwd_file", "url", "stat_cache_expire", "retries"} <= options
    of_fuse = {"ro", "allow_other"}
    assert {option for option in options - of_fuse if not re.search(rf"\b{option}\b", known)} == set()


def test_goofys_knows_each_option_that_its_unit_gives_it() -> None:
    known = options_of("goofys", "--help")
    given = re.findall(r"--[a-z-]+", re.search(r"ExecStart=.*?\n(?! )", GOOFYS.read_text(), re.DOTALL)[0])
    assert len(given) > 4
    assert [option for option in given if option not in known] == []


GOOFYS = INFRA / "systemd" / "layoutlift-goofys.service"


def test_mounts_remember_what_they_list_as_briefly_as_the_page_on_mounts_wants_it() -> None:
    page = (ROOT / "docs" / "mounts.md").read_text()
    mounts = [INFRA / "systemd" / "layoutlift-s3fs.service", INFRA / "kubernetes" / "cronjob-s3fs.yaml", GOOFYS]
    seconds = [re.findall(r"(?:stat_cache_expire=|--\w+-cache-ttl )(\d+)", path.read_text()) for path in mounts]
    assert set(re.findall(r"stat_cache_expire=(\d+)|--stat-cache-ttl (\d+)s", page)) == {("1", ""), ("", "1")}
    assert seconds == [["1"], ["1"], ["1", "1"]]
    texts = [page, *(path.read_text() for path in mounts)]
    kept_free = [re.findall(r"ensure_diskfree=(\d+)", text) for text in texts]
    assert kept_free == [["2048"], ["2048"], ["2048"], []]


def test_the_comments_of_a_unit_speak_of_the_options_that_it_has() -> None:
    text = (INFRA / "systemd" / "layoutlift-s3fs.service").read_text()
    comments, commands = (re.findall(rf"^{start}.*", text, re.MULTILINE) for start in ("#", "[^#]"))
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", " ".join(comments))) - {"passwd_file"}
    assert {name for name in named if name not in "".join(commands)} == set()


# --- monitoring


def metric_names() -> set[str]:
    progress = Progress()
    moments = (RunMoment(1.0, 2.0, complete, 1.5) for complete in (None, True, False))
    totals = totals_json(progress.totals, 0)
    return {metric.name for moment in moments for metric in run_metrics(totals, progress, moment)}


def selectors(expression: str) -> set[str]:
    """The names of the metrics in a PromQL expression, which the parser has to accept."""
    bare = expression.replace("$__rate_interval", "1m")
    promql_parser.parse(bare)
    return set(re.findall(r"\blayoutlift_\w+", bare))


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((INFRA / "monitoring" / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) >= 10
    assert set().union(*map(selectors, asked)) <= metric_names()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", " ".join(asked))) - {"__rate_interval"}
    assert used <= variables


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    rules = yaml.safe_load((INFRA / "monitoring" / "prometheus-rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert set().union(*(selectors(rule["expr"]) for rule in alerts)) <= metric_names()
    assert all(rule["annotations"]["summary"] for rule in alerts)


def test_the_rules_tell_of_a_schedule_that_fails_each_night_whatever_it_fails_for() -> None:
    """Each night the time of the begin is another one; and a bucket that is not mounted has no tag with a problem."""
    rules = yaml.safe_load((INFRA / "monitoring" / "prometheus-rules.yaml").read_text())
    alerts = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    never = alerts["LayoutliftNeverSucceeded"]
    assert never["for"] == "26h"
    assert "time()" not in never["expr"]
    counted = {"layoutlift_problems_total", "layoutlift_broken_layouts_total"}
    assert counted <= selectors(alerts["LayoutliftProblems"]["expr"])


def test_each_of_the_rules_for_no_success_waits_as_long_as_its_flows_are_apart() -> None:
    """Verifications are weekly: a day's patience with them told of silence on six days of seven.

    A cut-over has no schedule: nothing waits for the next one, nor for the first after a rehearsal that failed.
    """
    rules = yaml.safe_load((INFRA / "monitoring" / "prometheus-rules.yaml").read_text())
    alerts = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    waits = {
        "LayoutliftNoSuccess": ('flow!~"verify|cutover"', "26 * 3600"),
        "LayoutliftNoVerification": ('flow="verify"', "8 * 24 * 3600"),
    }
    for alert, (flows, seconds) in waits.items():
        assert f"{{{flows}}}" in alerts[alert]
        assert alerts[alert].strip().endswith(f"> {seconds}")
    assert 'layoutlift_run_started_timestamp_seconds{flow!="cutover"}' in alerts["LayoutliftNeverSucceeded"]
    dashboard = json.loads((INFRA / "monitoring" / "grafana-dashboard.json").read_text())
    panel = dashboard["panels"][0]["fieldConfig"]
    nightly, weekly = [None, 26 * 3600, 48 * 3600], [None, 8 * 24 * 3600, 15 * 24 * 3600]
    flows = {"migrate": nightly, "migrate --since-last": nightly, "verify": weekly, "cutover": [None]}
    assert {flow: steps_of(panel, f"{flow} /bucket → registry.example") for flow in flows} == flows
    assert steps_of(panel, "migrate /verify → verify.example") == nightly


def test_problems_of_a_cut_over_are_told_for_a_day() -> None:
    """After a rehearsal no other run may follow: the alert stayed until somebody removed the file of its metrics."""
    rules = yaml.safe_load((INFRA / "monitoring" / "prometheus-rules.yaml").read_text())
    alerts = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    told, _, no_more = alerts["LayoutliftProblems"].partition("unless on (flow, source, target)")
    assert "layoutlift_problems_total" in told
    ended = 'time() - layoutlift_run_updated_timestamp_seconds{flow="cutover"} > 24 * 3600'
    assert no_more.strip() == f"({ended})"


def steps_of(panel: dict[str, Any], series: str) -> list[int | None]:
    """From which values on a series has another colour in a panel."""
    special = [
        value["value"]
        for override in panel["overrides"]
        for value in override["properties"]
        if re.search(override["matcher"]["options"].strip("/"), series)
    ]
    assert len(special) <= 1
    thresholds = special[0] if special else panel["defaults"]["thresholds"]
    return [step["value"] for step in thresholds["steps"]]


@pytest.mark.parametrize("expression", ["sum(layoutlift_tags_total", "rate(layoutlift_tags_total)", "1 +"])
def test_a_bad_expression_would_be_noticed(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        selectors(expression)
