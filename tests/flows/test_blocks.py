"""Sources and targets named by blocks of a real Prefect server: used with their secrets, which show up nowhere."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infra.real_parts import Registry, SeaweedFS
from infra.real_parts.prefect_worker import ask
from tests.support.buckets import upload
from tests.support.command import Layoutlift
from tests.support.layouts import REF_NAME, LayoutBuilder
from tests.support.prefect_history import PrefectHistory

SAVE = """
import json, sys
from flows.dashboard.block_types import LayoutSource, RegistryTarget
kinds = {"source": LayoutSource, "target": RegistryTarget}
for name, (kind, right, wrong) in json.load(sys.stdin).items():
    block = kinds[kind](**right)
    for field, value in wrong.items():
        setattr(block, field, value)  # as an older version, or somebody at the API, may have written it
    block.save(name, overwrite=True)
"""
TWICE = """
import sys
from flows.migrate import migrate
from tasks.oci.errors import AuthenticationError
migrate(source="block:one-bucket", target="block:one-registry")
try:
    migrate(source="block:one-bucket", target=sys.argv[1], plain_http=True)
except AuthenticationError:
    print("refused")
"""
RESOLVE = """
from flows.dashboard.blocks import resolved_source, resolved_target
from tasks.oci.errors import ConfigurationError
from tasks.endpoints import TargetOptions
from tasks.stores.bucket.s3_address import BucketAccess
for resolve in (
    lambda: resolved_source("block:nothing", BucketAccess()),
    lambda: resolved_target(TargetOptions(target="block:a-bucket")),
    lambda: resolved_target(TargetOptions(target="block:half-a-login")),
    lambda: resolved_target(TargetOptions(target="block:no-address")),
):
    try:
        resolve()
    except ConfigurationError as error:
        print(str(error).replace("\\n", " "))
"""
PAGE = Path(__file__).parents[2] / "docs/operations.md"
POLICY = """
version: 1
policies: [{name: all, repositories: "**", order_by: name, tags: [{match: "v*", keep_last: 1}]}]
limits: {max_percent: 100}
"""
CLEAN_UP = """
import sys
from flows.cleanup import cleanup
state = cleanup(
    source="block:one-bucket", policy=sys.argv[1], gate="block:one-registry", auto_apply=True, state=sys.argv[2],
    i_am_the_only_writer=True, return_state=True,
)
print(state.name, state.message)
"""


@pytest.fixture(scope="session")
def client(prefect_environment: dict[str, str]) -> dict[str, str]:
    """The environment of a Python that uses the server, as a worker's is: no credentials in it."""
    cleared = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAYOUTLIFT_TARGET"))
    }
    api = f"{PrefectHistory.of(prefect_environment).url}/api"
    return cleared | prefect_environment | {"PREFECT_API_URL": api, "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows"}


@pytest.fixture
def bucket(seaweedfs: SeaweedFS, prefix: str, tmp_path: Path) -> str:
    layout = LayoutBuilder(tmp_path / "tree" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    name = seaweedfs.create_bucket(f"blocks-{prefix}")
    upload(seaweedfs, tmp_path / "tree", name)
    return f"s3://{name}"


def source_fields(s3: SeaweedFS, source: str) -> dict[str, object]:
    return {
        "source": source,
        "endpoint_url": s3.endpoint,
        "aws_access_key_id": s3.access_key,
        "aws_secret_access_key": s3.secret_key,
        "region": s3.region,
    }


def target_fields(registry: Registry, prefix: str) -> dict[str, object]:
    username, password = registry.login
    return {"registry": f"{registry.host}/{prefix}", "username": username, "password": password, "plain_http": True}


@pytest.fixture
def blocks(
    client: dict[str, str], seaweedfs: SeaweedFS, bucket: str, private_registry: Registry, prefix: str
) -> None:
    """A bucket and a registry."""
    source, target = source_fields(seaweedfs, bucket), target_fields(private_registry, prefix)
    save(client, {"one-bucket": ["source", source, {}], "one-registry": ["target", target, {}]})


@pytest.fixture(scope="session")
def wrong_blocks(client: dict[str, str], seaweedfs: SeaweedFS, private_registry: Registry) -> None:
    """Blocks that can't be used, and two that can."""
    source = source_fields(seaweedfs, f"s3://{seaweedfs.create_bucket('wrong-blocks')}")
    target = target_fields(private_registry, "wrong-blocks")
    save(
        client,
        {
            "a-bucket": ["source", source, {}],
            "a-registry": ["target", target, {}],
            "altered-key": ["source", source | {"aws_secret_access_key": "wrong-4f1c"}, {}],
            "half-a-login": ["target", target, {"username": None}],
            "no-address": ["target", target, {"registry": "me:hunter2@registry.example"}],
        },
    )


def save(client: dict[str, str], blocks: dict[str, object]) -> None:
    subprocess.run(
        [sys.executable, "-c", SAVE], env=client, input=json.dumps(blocks), text=True, check=True, timeout=120
    )


def places(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """The files and what is in them; those of a server's database come and go."""
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        with suppress(FileNotFoundError):
            yield path, path.read_bytes()


@pytest.mark.usefixtures("blocks")
def test_a_run_uses_the_secrets_of_blocks_and_leaves_them_nowhere(
    lifted: Layoutlift,
    prefect_environment: dict[str, str],
    seaweedfs: SeaweedFS,
    private_registry: Registry,
) -> None:
    report = ("--report", str(lifted.home / "report.json"))
    ended = lifted("migrate", "block:one-bucket", "block:one-registry", *report)
    assert ended.totals["copied"] == 1
    history = PrefectHistory.of(prefect_environment)
    run = history.the_run("block:one-bucket → block:one-registry")
    assert run["state_type"] == "COMPLETED"
    assert (run["parameters"]["source"], run["parameters"]["target"]) == ("block:one-bucket", "block:one-registry")
    proof = lifted("verify", "block:one-bucket", "block:one-registry", "--depth", "content", *report)
    assert [row["verified"] for row in proof.report["tags"]] == ["content"]

    password = private_registry.login[1]
    basic = base64.b64encode(":".join(private_registry.login).encode()).decode()
    kept = list(places(Path(prefect_environment["PREFECT_HOME"]), lifted.home))
    kept.append((Path("output"), (ended.stdout + ended.stderr).encode()))
    assert any(b"block:one-bucket" in content for _, content in kept), "what is searched has the run in it"
    for secret in (password, basic, seaweedfs.secret_key, base64.b64encode(seaweedfs.secret_key.encode()).decode()):
        assert [path for path, content in kept if secret.encode() in content] == []


def test_blocks_are_made_as_the_page_on_operations_says(client: dict[str, str]) -> None:
    page = PAGE.read_text()
    (register,) = re.findall(r"^\.venv/bin/(prefect block register .*)$", page, re.MULTILINE)
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    environment = client | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", register], env=environment, check=True, capture_output=True, timeout=120)
    given = "password, key, secret = 'opensesame', 'AKIA1', 'hush'\n"
    subprocess.run([sys.executable, "-c", given + snippet], env=client, check=True, timeout=120)
    found = ask(client["PREFECT_API_URL"], "block_documents/filter", {})
    made = {(each["block_type"]["slug"], each["name"]): each["data"] for each in found}
    assert made["layoutlift-target", "harbor"]["registry"] == "registry.example/team-a"
    assert made["layoutlift-source", "team-a"]["source"] == "s3://team-a"
    assert "opensesame" not in str(made)


@pytest.mark.usefixtures("blocks")
def test_a_cleanup_and_its_gate_use_the_secrets_of_blocks(
    lifted: Layoutlift, client: dict[str, str], seaweedfs: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "more" / "old")
    for tag in ("v1", "v2"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    upload(seaweedfs, tmp_path / "more", bucket.removeprefix("s3://"))
    assert lifted("migrate", "block:one-bucket", "block:one-registry").code == 0

    policy, plans = tmp_path / "policy.yaml", tmp_path / "plans"
    policy.write_text(POLICY)
    environment = client | {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", CLEAN_UP, str(policy), str(plans)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert ended.stdout.startswith("Completed 1 repository changed"), ended.stdout + ended.stderr
    key = {"Bucket": bucket.removeprefix("s3://"), "Key": "old/index.json"}
    index = json.loads(seaweedfs.client().get_object(**key)["Body"].read())
    assert [entry["annotations"][REF_NAME] for entry in index["manifests"]] == ["v2"]
    kept = [*places(plans, tmp_path / "state"), (Path("output"), (ended.stdout + ended.stderr).encode())]
    assert [path for path, content in kept if seaweedfs.secret_key.encode() in content] == []


@pytest.mark.usefixtures("blocks")
def test_a_later_run_of_the_same_process_has_none_of_the_blocks_secrets(
    client: dict[str, str], private_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    environment = client | {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", TWICE, f"{private_registry.host}/{prefix}-2"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.splitlines()[-1:] == ["refused"], ended.stdout + ended.stderr


@pytest.mark.usefixtures("wrong_blocks")
def test_a_block_that_can_not_be_used_is_named(client: dict[str, str]) -> None:
    command = [sys.executable, "-c", RESOLVE]
    ended = subprocess.run(command, env=client, capture_output=True, text=True, timeout=120, check=True)
    missing, misplaced, halved, unaddressed = ended.stdout.splitlines()
    assert missing.startswith("SOURCE: the Prefect server has no block layoutlift-source/nothing")
    assert misplaced.startswith("TARGET: the block a-bucket is a layoutlift-source, and a layoutlift-")
    assert halved.startswith("TARGET: the block layoutlift-target/half-a-login can't be used: ")
    assert unaddressed.startswith("TARGET: the block layoutlift-target/no-address can't be used: regis")
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.usefixtures("wrong_blocks")
@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("block:a-bucket", "block:no-address", "TARGET: the block layoutlift-target/no-address can't be used: regis"),
        ("block:altered-key", "block:a-registry", "SignatureDoesNotMatch"),
    ],
)
def test_a_block_that_can_not_be_used_is_one_clear_line_of_the_command(
    lifted: Layoutlift, source: str, target: str, said: str
) -> None:
    ended = lifted("migrate", source, target, code=2)
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("layoutlift:")]
    assert said in line
    assert "hunter2" not in ended.stderr
