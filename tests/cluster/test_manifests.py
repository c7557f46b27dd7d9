"""The files in cluster/ are valid for their own tools, and every node has a token."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CLUSTER / name).read_text())
    return content


@pytest.mark.parametrize("name", ["ray-up.yaml", "ray-up-hosts.yaml"])
def test_ray_up_accepts_its_file_and_gives_every_node_the_token(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = load(name)
    validate_config(prepare_config(load(name)))
    for role in ("head", "worker"):
        (start,) = [line for line in config[f"{role}_start_ray_commands"] if "ray start" in line]
        assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/hexsearch-token" in start
    assert config["file_mounts"]["~/hexsearch-token"]


def test_on_aws_the_head_is_no_spot_node_and_takes_no_trials() -> None:
    config = load("ray-up.yaml")
    head = config["available_node_types"][config["head_node_type"]]
    assert "InstanceMarketOptions" not in head["node_config"]
    assert head["resources"]["CPU"] == 0


def test_machines_of_ones_own_are_all_started() -> None:
    config = load("ray-up-hosts.yaml")
    workers = len(config["provider"]["worker_ips"])
    assert config["min_workers"] == config["max_workers"] == workers
    (start,) = [line for line in config["head_start_ray_commands"] if "ray start" in line]
    assert "RAY_enable_autoscaler_v2=0" in start  # 2 would start one too few


def test_every_container_of_the_rayjob_has_token_storage_and_image() -> None:
    job = load("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    assert len(groups) == 2
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        environment = {entry["name"]: entry for entry in container["env"]}
        assert environment["RAY_AUTH_MODE"]["value"] == "token"
        assert environment["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["key"] == "token"
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert container["image"]
    assert "--address auto" in job["spec"]["entrypoint"]


# Fields of ray.io/v1 RayJob and RayCluster that the manifest may use (KubeRay 1.4, ray-operator/
# apis/ray/v1); a misspelt one is dropped by the API server without a word.
KNOWN = {
    "spec": {
        "entrypoint",
        "backoffLimit",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "submissionMode",
        "rayClusterSpec",
        "activeDeadlineSeconds",
        "runtimeEnvYAML",
        "submitterPodTemplate",
        "suspend",
    },
    "cluster": {
        "rayVersion",
        "headGroupSpec",
        "workerGroupSpecs",
        "enableInTreeAutoscaling",
        "autoscalerOptions",
    },
    "head": {"rayStartParams", "template", "serviceType", "enableIngress", "headService"},
    "worker": {
        "groupName",
        "replicas",
        "minReplicas",
        "maxReplicas",
        "rayStartParams",
        "template",
        "numOfHosts",
        "idleTimeoutSeconds",
        "scaleStrategy",
        "suspend",
    },
}


def test_the_rayjob_uses_fields_that_kuberay_knows() -> None:
    job = load("rayjob.yaml")
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]
    assert set(spec) <= KNOWN["spec"] and set(cluster) <= KNOWN["cluster"]
    assert set(cluster["headGroupSpec"]) <= KNOWN["head"]
    for group in cluster["workerGroupSpecs"]:
        assert set(group) <= KNOWN["worker"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
    # KubeRay refuses a time to live without shutting down.
    assert spec["shutdownAfterJobFinishes"] or not spec["ttlSecondsAfterFinished"]


def test_the_slurm_script_is_bash() -> None:
    checked = subprocess.run(["bash", "-n", str(CLUSTER / "slurm.sh")], capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, b"")
