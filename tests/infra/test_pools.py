"""What the deployments of a work pool need beside them is made as their file says."""

import json
from pathlib import Path

import prefect
import yaml

from infra.real_parts import find_tool
from tests.support.real_parts import Cli, skipped_where_unavailable

POOLS = Path(__file__).parents[2] / "deployments" / "pools"
PREFECT_KILLS_AFTER_SECONDS = 30
METADATA = Path(prefect.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json"
"""Prefect's own templates, which `prefect work-pool get-default-base-job-template` prints."""


def test_kubernetes_jobs_have_the_login_where_the_deployments_look_for_it_and_time_to_end(tmp_path: Path) -> None:
    with skipped_where_unavailable():
        jq = Cli(find_tool("jq"))
    template = json.loads(METADATA.read_text())["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    (tmp_path / "template.json").write_text(json.dumps(template))
    changed = json.loads(jq("-f", POOLS / "kubernetes-job.jq", tmp_path / "template.json"))
    pod = changed["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    (volume,), (container,) = pod.pop("volumes"), pod["containers"]
    (mount,) = container.pop("volumeMounts")
    assert volume["secret"]["items"] == [{"key": ".dockerconfigjson", "path": "config.json"}]
    assert volume["name"] == mount["name"]
    deployments = yaml.safe_load((POOLS / "kubernetes.yaml").read_text())["deployments"]
    found = {each["work_pool"]["job_variables"]["env"]["DOCKER_CONFIG"] for each in deployments}
    assert found == {mount["mountPath"]}
    assert container.pop("envFrom") == [{"secretRef": {"name": "bucket-keys", "optional": True}}]
    assert pod.pop("terminationGracePeriodSeconds") > PREFECT_KILLS_AFTER_SECONDS
    assert changed == template, "all else is Prefect's"
