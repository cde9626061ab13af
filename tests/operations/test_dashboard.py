"""What somebody at the dashboard sees of a deployment and its run, in a real browser.

`pytest -m operations tests/operations/test_dashboard.py --screenshots docs/images` makes the pages' pictures anew.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError  # noqa: A004 - Playwright's own

from flows.forms.scale_parameters import ScaledMigrateParameters, TaskRunner
from infra.real_parts import Registry, SeaweedFS, wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.choosing.newest import NewestBy
from tasks.operations.reports.results import Depth
from tasks.operations.work.planning import OnConflict, Untagged
from tests.support.buckets import upload
from tests.support.dashboard import Browser, browsing
from tests.support.layouts import LayoutBuilder
from tests.support.real_parts import skipped_where_unavailable

ROOT = Path(__file__).parents[2]
REPOSITORIES, TAGS = 10, 30
SLOW, SIZE = "80k", 200_000
CHOICES = {
    "order_by": "created",
    "untagged": "none",
    "on_conflict": "refuse",
    "depth": "manifest",
    "registry_kind": "auto",
    "task_runner": "threads",
}
CHOICES_OFFERED = (NewestBy, Untagged, Depth, OnConflict, RegistryKind, TaskRunner)
pytestmark = [pytest.mark.operations, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Deployed:
    """A server with a worker and the deployments."""

    url: str
    deployment: str
    state: Path

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def begin(self, **parameters: Any) -> str:
        return ask(self.api, f"deployments/{self.deployment}/create_flow_run", {"parameters": parameters})["id"]

    def artifacts(self, run: str) -> dict[str, str]:
        """The ids of a run's artifacts by key."""
        found = ask(self.api, "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return {artifact["key"] or artifact["type"]: artifact["id"] for artifact in found}

    def choices(self) -> set[tuple[str, ...]]:
        """What the form's lists hold: they do not open in a headless browser."""
        (found,) = ask(self.api, "deployments/filter", {"deployments": {"id": {"any_": [self.deployment]}}})
        definitions = found["parameter_openapi_schema"]["definitions"].values()
        return {tuple(each["enum"]) for each in definitions if "enum" in each}

    def has_ended(self, run: str) -> bool:
        (found,) = ask(self.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return found["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


SAVE = """
import json, sys
from flows.dashboard.block_types import LayoutSource, RegistryTarget
source, target = json.load(sys.stdin)
LayoutSource(**source).save("team-a", overwrite=True)
RegistryTarget(**target).save("harbor", overwrite=True)
"""


@pytest.fixture(scope="module")
def deployed(
    prefect_environment: dict[str, str],
    seaweedfs: SeaweedFS,
    private_registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployed]:
    port = json.loads((Path(prefect_environment["PREFECT_HOME"]) / "server.json").read_bytes())["port"]
    url = f"http://127.0.0.1:{port}"
    home = tmp_path_factory.mktemp("worker")
    client = os.environ | {"PREFECT_API_URL": f"{url}/api", "PREFECT_HOME": str(home / "client")}
    username, password = private_registry.login
    source = {
        "source": damaged_bucket(seaweedfs, tmp_path_factory.mktemp("tree")),
        "endpoint_url": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "region": seaweedfs.region,
    }
    target = {"registry": private_registry.host, "username": username, "password": password, "plain_http": True}
    saved: dict[str, Any] = {"env": client, "cwd": ROOT, "timeout": 120, "text": True}
    state = home / "state"
    with PrefectWorker(home, api=f"{url}/api", pool="layoutlift", environment={"XDG_STATE_HOME": str(state)}):
        subprocess.run([sys.executable, "-c", SAVE], check=True, input=json.dumps([source, target]), **saved)
        deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
        subprocess.run([Path(sys.executable).with_name("prefect"), *deploy], check=True, capture_output=True, **saved)
        named = {"flows": {"name": {"any_": ["migrate"]}}, "deployments": {"name": {"any_": ["nightly"]}}}
        (deployment,) = ask(f"{url}/api", "deployments/filter", named)
        yield Deployed(url, deployment["id"], state)


def damaged_bucket(s3: SeaweedFS, tree: Path) -> str:
    """A bucket of many tags, of which one has a layer with other bytes than its digest says."""
    for number in range(REPOSITORIES):
        layout = LayoutBuilder(tree / f"app-{number}")
        for tag in ("v1", "v2", "v3"):
            layout.image(tag, layers=[os.urandom(SIZE)])
        layout.write()
    damaged = next(path for path in (tree / "app-7").glob("blobs/sha256/*") if path.stat().st_size == SIZE)
    damaged.write_bytes(bytes(SIZE))
    bucket = s3.create_bucket("dashboard")
    upload(s3, tree, bucket)
    return f"s3://{bucket}"


@pytest.fixture
def browser(deployed: Deployed, request: pytest.FixtureRequest) -> Iterator[Browser]:
    pictures = request.config.getoption("--screenshots")
    with skipped_where_unavailable(), browsing(deployed.url, Path(pictures) if pictures else None) as browser:
        yield browser


def test_the_form_explains_each_parameter(deployed: Deployed, browser: Browser) -> None:
    browser.visit(f"deployments/deployment/{deployed.deployment}/run")
    for name, field in ScaledMigrateParameters.model_fields.items():
        browser.shows(name, str(field.description))
    browser.picture("deployment-form", 760)
    filled_in = [field.input_value() for field in browser.page.locator("input, textarea").all()]
    assert {"/mnt/bucket", "registry.example:5000", "8"} <= set(filled_in), "the deployment's values, and defaults"
    assert browser.chosen() == list(CHOICES.values()), "an enumeration is a choice, with its default"
    assert {tuple(choice) for choice in CHOICES_OFFERED} <= deployed.choices()
    assert browser.complaints == []


def test_a_run_shows_how_far_it_is_and_what_came_of_it(deployed: Deployed, browser: Browser) -> None:
    run = deployed.begin(source="block:team-a", target="block:harbor", jobs=2, limit_rate=SLOW)
    browser.visit(f"runs/flow-run/{run}")
    browser.shows("block:team-a → block:harbor", f"{TAGS} tags in")
    browser.picture("run")

    def tags_done() -> int:
        browser.page.reload()
        browser.open_tab("Artifacts")
        return browser.number(rf"(\d+) of {TAGS} tags")

    first = tags_done()
    wait_until(lambda: first < tags_done() < TAGS, what="the progress moves", deadline_seconds=120)
    browser.picture("artifacts")
    wait_until(lambda: deployed.has_ended(run), what="the run ends", deadline_seconds=300)
    artifacts = deployed.artifacts(run)
    browser.visit(f"artifacts/artifact/{artifacts['migrate-summary']}")
    browser.shows("s3://dashboard", "copied", "5.5 MiB sent in 30 blobs")
    browser.picture("summary", unlike_yours=deployed.state)
    browser.visit(f"artifacts/artifact/{artifacts['migrate-problems']}")
    browser.shows("app-7", "digest_mismatch", "The bytes were altered: restore the blob from a backup")
    browser.picture("problems", 560)
    browser.visit(f"artifacts/artifact/{artifacts['migrate-timeline']}")
    plot = browser.page.locator("img[src^='data:image/png']")
    plot.wait_for(state="visible")
    assert plot.evaluate("image => image.naturalWidth") > 0, "the picture can be drawn"
    browser.picture("timeline", 760)
    assert browser.complaints == []


def test_what_is_missing_or_goes_wrong_is_noticed(deployed: Deployed, browser: Browser) -> None:
    browser.visit(f"deployments/deployment/{deployed.deployment}/run")
    browser.shows("Parameters")
    with pytest.raises(TimeoutError):
        browser.page.get_by_text("What nobody wrote into the form").wait_for(state="visible", timeout=1_000)
    with browser.page.expect_event("pageerror"):
        browser.page.evaluate("() => { console.error('ours'); setTimeout(() => { throw new Error('thrown') }) }")
    assert browser.complaints == ["ours", "thrown"]
