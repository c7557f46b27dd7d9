"""A real `ray up` over ssh onto two hosts in network namespaces, and a study on both."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.ledger import read_ledger
from tests.cluster.test_two_hosts import HEAD, OTHER, RAY, ROOT, ray_status, start, wait_until
from tests.cluster.test_two_hosts import hosts as hosts
from tests.data.games import random_games

pytestmark = pytest.mark.slow
SSHD = "/usr/sbin/sshd"
# Where Ray leaves its copy of the file and of the key on a head node: in this user's home folder.
LEFT = [Path.home() / name for name in ("ray_bootstrap_config.yaml", "ray_bootstrap_key.pem")]


@pytest.fixture
def key(hosts: tuple[str, str], tmp_path: Path) -> Iterator[Path]:
    """The key that opens an ssh server on each host."""
    wanted = (SSHD, "ssh", "ssh-keygen", "rsync")
    missing = [name for name in wanted if shutil.which(name) is None]
    if missing or any(path.exists() for path in LEFT):
        pytest.skip(f"wants {', '.join(missing) or 'a home folder without files of ray up'}")
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
        )
    config = tmp_path / "sshd_config"
    config.write_text(
        f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/key.pub\nStrictModes no\n"
        "UsePAM no\nPermitRootLogin yes\nPidFile none\nMaxStartups 100\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    servers = [start(host, dict(os.environ), SSHD, "-D", "-f", config) for host in hosts]
    try:
        yield tmp_path / "key"
    finally:
        for server in servers:
            server.kill()
            server.wait()
        for path in LEFT:
            path.unlink(missing_ok=True)


def for_these_hosts(key: Path, folder: Path) -> dict[str, Any]:
    """cluster/ray-up-hosts.yaml with addresses and paths filled in, and nothing to install."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "cluster" / "ray-up-hosts.yaml").read_text())
    config["cluster_name"] = folder.name
    config["provider"] |= {"head_ip": HEAD, "worker_ips": [OTHER]}
    config["min_workers"] = config["max_workers"] = 1
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(key)}
    there = folder / "token-there"
    config["file_mounts"] = {str(there): str(folder / "token")}
    config["setup_commands"] = []
    for role, address, more in (
        ("head", HEAD, f"--include-dashboard=false --temp-dir=/tmp/{folder.name}"),
        ("worker", OTHER, ""),
    ):
        name = f"{role}_start_ray_commands"
        (line,) = [line for line in config[name] if "ray start" in line]
        ray = " ".join([*RAY, "start", "--num-cpus=1", f"--node-ip-address={address}", more])
        line = line.replace("~/hexsearch-token", str(there)).replace("ray start", ray)
        config[name] = [line]  # `ray stop` would end every Ray of this machine
    return config


def test_ray_up_makes_a_cluster_of_ones_own_hosts_that_runs_a_study(
    hosts: tuple[str, str], key: Path, tmp_path: Path
) -> None:
    games = tmp_path / "random.trmph"
    games.write_text("\n".join(format_trmph(game) for game in random_games(300, size=5)) + "\n")
    folder = tmp_path / f"up-{os.getpid()}"
    folder.mkdir()
    (folder / "token").write_text(secrets.token_hex(32))
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(for_these_hosts(key, folder)))
    environment = {
        **{name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"},
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
    }
    try:
        up = start(hosts[0], environment, *RAY, "up", "-y", "--no-config-cache", file)
        assert up.wait(300) == 0
        wait_until(lambda: "0.0/2.0 CPU" in ray_status(hosts[0], environment).stdout)
        driver = start(
            hosts[0], environment, sys.executable, ROOT / "run_search.py", "launch",
            ROOT / "search_spaces" / "smoke.yaml", "--games", games, "--results", tmp_path,
            "--name", "up", "--no-doctor", "--address", f"{HEAD}:6379",
            "--set", "data.board_size=5",
        )  # fmt: skip
        assert driver.wait(300) == 0
        records = read_ledger(tmp_path / "up" / "ledger.jsonl")
        assert records[-1]["event"] == "finished"
        # A trial that was paused at a rung and went on later is told more than once.
        assert len({record["trial"] for record in records if record["event"] == "told"}) == 5
        stranger = ray_status(hosts[1], {**environment, "RAY_AUTH_MODE": "disabled"})
        assert stranger.returncode != 0
    finally:
        shutil.rmtree(f"/tmp/{folder.name}", ignore_errors=True)
