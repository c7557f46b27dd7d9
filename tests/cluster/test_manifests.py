"""The files in cluster/ are valid for their own tools, and every node has a token."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexsearch.cli.main import main
from scripts.check_rayjob import faults, read_definition

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


def test_every_container_of_the_rayjob_has_storage_image_and_no_rights_of_root() -> None:
    job = load("rayjob.yaml")
    spec = job["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    assert len(groups) == 2
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["fsGroup"]
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert container["image"]


def test_the_rayjob_names_the_ray_that_the_image_has() -> None:
    """KubeRay asks pods for their health in the way of this version."""
    version = load("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ray=={version}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_kuberay_makes_the_token_of_the_rayjob() -> None:
    """A token that only Ray's containers knew would lock out the submitter and the operator."""
    job = load("rayjob.yaml")
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert "RAY_AUTH" not in (CLUSTER / "rayjob.yaml").read_text()


def test_the_rayjob_may_be_tried_again_since_its_command_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = load("rayjob.yaml")
    assert job["spec"]["backoffLimit"] > 0
    program, *command = shlex.split(job["spec"]["entrypoint"])
    assert program == "hexsearch" and "--or-resume" in command and "--name" in command
    arguments = [str(tmp_path) if each == "/studies" else each for each in command]
    assert main([*arguments, "--dry-run"]) == 0  # every option and setting of it is known
    assert capsys.readouterr().out


CRD = {
    "metadata": {"name": "rayjobs.ray.io"},
    "spec": {
        "group": "ray.io",
        "names": {"kind": "RayJob"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "required": ["entrypoint"],
                                "properties": {
                                    "entrypoint": {"type": "string"},
                                    "port": {
                                        "anyOf": [{"type": "integer"}, {"type": "string"}],
                                        "x-kubernetes-int-or-string": True,
                                    },
                                    "labels": {
                                        "type": "object",
                                        "additionalProperties": {"type": "string"},
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"entrypoint": "x", "port": 1, "labels": {"any": "name"}}, None),
        ({"entrypoint": "x", "port": "http"}, None),
        ({"entrypoint": "x", "backofLimit": 1}, "'backofLimit' was unexpected"),
        ({"entrypoint": ["x"]}, "$.spec.entrypoint: ['x'] is not of type 'string'"),
        ({"entrypoint": "x", "port": []}, "$.spec.port: "),
        ({"entrypoint": "x", "labels": {"any": 1}}, "$.spec.labels.any: 1 is not of type"),
        ({}, "'entrypoint' is a required property"),
    ],
)
def test_a_manifest_is_held_to_its_definition_without_unknown_fields(
    spec: dict[str, Any], fault: str | None
) -> None:
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "x"},
        "spec": spec,
    }
    found = list(faults(CRD, manifest))
    if fault is None:
        assert found == []
    else:
        assert len(found) == 1 and fault in found[0]


def test_the_rayjob_fits_the_definition_that_kuberay_publishes() -> None:
    given = os.environ.get("HEXSEARCH_RAYJOB_CRD")
    if not given:
        pytest.skip("HEXSEARCH_RAYJOB_CRD names no ray.io_rayjobs.yaml of KubeRay")
    assert list(faults(read_definition(Path(given)), load("rayjob.yaml"))) == []


def test_the_slurm_script_is_bash() -> None:
    checked = subprocess.run(["bash", "-n", str(CLUSTER / "slurm.sh")], capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize("setup", ["false", "exit 0", "true; false; true"])
def test_a_slurm_job_whose_setup_fails_says_so(setup: str) -> None:
    done = subprocess.run(
        ["bash", str(CLUSTER / "slurm.sh"), "launch", "smoke"],
        env={**os.environ, "HEXSEARCH_SETUP": setup},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"error: HEXSEARCH_SETUP failed or ended the job: {setup}\n"
