"""A real Slurm of two nodes on this machine, each node in a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = str(Path(sys.executable).parent)
ON_PATH = f"export PATH={BIN}:$PATH"
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "ip", "nsenter")
_CONF = """\
ClusterName=hexsearch
SlurmctldHost={host}({controller})
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
SlurmdTimeout=20
KillWait=10
MpiDefault=none
GresTypes=gpu
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def run(*command: object, check: bool = True) -> str:
    """What a command prints."""
    done = subprocess.run(list(map(str, command)), check=check, capture_output=True, text=True)
    return done.stdout


def wait_until(condition: Callable[[], bool], patience_s: float = 1800.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "Slurm did not get there in time"
        time.sleep(0.5)


@dataclass(frozen=True)
class Slurm:
    """A running Slurm. `nodes`: names of its nodes, the first of which runs the batch script."""

    folder: Path
    nodes: tuple[str, str]

    def submit(
        self,
        *arguments: object,
        options: tuple[str, ...] = (),
        package: Path = ROOT,
        setup: str = ON_PATH,
    ) -> int:
        """Send `cluster/slurm.sh` with arguments to the queue; the number of the job.

        Args:
            package: the folder that holds the hexsearch of the job.
            setup: commands of the job that make `python` the one of these tests, which it is not
                where they are submitted.
        """
        search = os.environ["PATH"].split(os.pathsep)
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(each for each in search if each != BIN),
            "PYTHONPATH": str(package),
            "HEXSEARCH_SETUP": setup,
        }
        done = subprocess.run(
            [
                *("sbatch", "--parsable", "--nodes=2", f"--output={self.folder}/job-%j.log"),
                *(f"--chdir={self.folder}", *options, str(ROOT / "cluster" / "slurm.sh")),
                *map(str, arguments),
            ],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        return int(done.stdout)

    def state(self, job: int) -> str:
        """RUNNING, COMPLETED and so on."""
        shown = run("scontrol", "show", "job", job, "--oneliner")
        return next(p.partition("=")[2] for p in shown.split() if p.startswith("JobState="))

    def has_ended(self, job: int) -> bool:
        """Whether a job neither waits nor runs."""
        return self.state(job) in {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL"}

    def wait(self, job: int) -> str:
        """The state in which a job ends."""
        wait_until(lambda: self.has_ended(job))
        return self.state(job)

    def log(self, job: int) -> str:
        """What a job has printed."""
        path = self.folder / f"job-{job}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@contextmanager
def slurm_of_two_nodes(folder: Path, cpus: int = 1, gpus: int = 0) -> Iterator[Slurm]:
    """Start munge, a controller and two nodes, and end them afterwards.

    Skips the test where Slurm is not installed or namespaces cannot be made.

    Args:
        cpus: number of CPUs of a node, at most those of this machine.
        gpus: number of GPUs that a node offers. They are device files without a device behind.
    """
    missing = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            f"wants root and {', '.join(missing) or 'nothing else'}; see scripts/test-cluster"
        )
    tag = f"{os.getpid() % 10_000}"
    network = os.getpid() % 200 + 20
    bridge, nodes = f"hexbr{tag}", (f"hexn{tag}a", f"hexn{tag}b")
    before = {name: os.environ.get(name) for name in ("SLURM_CONF", "PATH")}
    os.environ["PATH"] = _path()
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _make_network(bridge, nodes, f"10.79.{network}")
        _write_conf(folder, nodes, f"10.79.{network}", cpus, gpus)
        daemons = _start_daemons(folder, nodes)
        wait_until(lambda: run("sinfo", "-h", "-o", "%t %D", check=False).strip() == "idle 2", 60)
        yield Slurm(folder, nodes)
    finally:
        for job in run("squeue", "-h", "-o", "%i", check=False).split():
            run("scancel", job, check=False)
        for daemon in reversed(daemons):
            daemon.kill()
            daemon.wait()
        for node in nodes:
            for process in run("ip", "netns", "pids", node, check=False).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), 9)
            run("ip", "netns", "del", node, check=False)
        run("ip", "link", "del", bridge, check=False)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _make_network(bridge: str, nodes: tuple[str, str], network: str) -> None:
    try:
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "addr", "add", f"{network}.254/24", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        for number, node in enumerate(nodes, start=1):
            run("ip", "netns", "add", node)
            run(*f"ip link add {node} type veth peer name eth0 netns {node}".split())
            run("ip", "link", "set", node, "master", bridge, "up")
            run("ip", "-n", node, "addr", "add", f"{network}.{number}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                run("ip", "-n", node, "link", "set", device, "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")


def _write_conf(folder: Path, nodes: tuple[str, str], network: str, cpus: int, gpus: int) -> None:
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    lines = [
        f"NodeName={node} NodeHostname={host} NodeAddr={network}.{number} Port=16818 "
        f"CPUs={cpus} RealMemory=4000 {f'Gres=gpu:{gpus} ' if gpus else ''}State=UNKNOWN"
        for number, node in enumerate(nodes, start=1)
    ]
    conf = _CONF.format(
        host=host,
        controller=f"{network}.254",
        folder=folder,
        port=16817,
        nodes="\n".join(lines),
    )
    (folder / "slurm.conf").write_text(conf, encoding="utf-8")
    if gpus:
        _write_devices(folder, gpus)


def _write_devices(folder: Path, gpus: int) -> None:
    """Offer device files as GPUs, which both nodes share since nothing opens them."""
    for number in range(gpus):
        os.mknod(folder / f"nvidia{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    conf = f"AutoDetect=off\nName=gpu File={folder}/nvidia[0-{gpus - 1}]\n"
    (folder / "gres.conf").write_text(conf, encoding="utf-8")


def _start_daemons(folder: Path, nodes: tuple[str, str]) -> list[subprocess.Popen[bytes]]:
    """In the foreground, so that each can be ended by its process."""
    commands = [
        [
            *("munged", "--foreground", "--force", f"--key-file={folder}/munge.key"),
            *(f"--socket={folder}/munge.sock", f"--pid-file={folder}/munge.pid"),
            *(f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"),
        ],
        ["slurmctld", "-D", "-c"],
        # Only the network is the node's own: slurmd wants the control groups of the machine.
        *(["nsenter", f"--net=/run/netns/{node}", "slurmd", "-D", "-N", node] for node in nodes),
    ]
    daemons = []
    for command in commands:
        daemons.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        if command[0] == "munged":
            wait_until((folder / "munge.sock").exists, 30)
    return daemons
