"""Checks every node of a cluster before the first trial: version, storage, torch for its GPUs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hexsearch import __version__
from hexsearch.backend.storage import Result, Storage, patiently
from hexsearch.errors import StorageError

_ANSWER_S = 90.0  # time limit; a node's first task starts a process and imports modules
_WAITS_S = (0.5, 1.0, 2.0)  # between tries of a request
_REMEDY = (
    "put --results on a folder that all nodes share, or set run.trial_files to a URL (s3://...)"
)


@dataclass(frozen=True)
class Node:
    """One machine of a cluster.

    Attributes:
        name: name and address for messages.
        identity: Ray's id of the node.
        gpus: number of GPUs that Ray counts there.
    """

    name: str
    identity: str
    gpus: int


def living_nodes() -> list[Node]:
    """The nodes that Ray can reach now, in a stable order."""
    found = [
        Node(
            f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            node["NodeID"],
            int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return sorted(found, key=lambda node: (node.name, node.identity))


def require_usable_nodes(folder: Path, url: str | None, on_gpus: bool) -> None:
    """Check that every node can store trials where the driver and other nodes can read them.

    It must have the driver's version and, for trials on its GPUs, torch with CUDA. Each node reads
    a file of the driver, and writes, renames and reads back its own file. Then the driver reads the
    file of each node. A single machine with a local folder needs no check.

    Args:
        folder: folder of the study. Files of the check are removed.
        url: `run.trial_files`, if trials store their files there.
        on_gpus: whether trials train on GPUs.
    Raises:
        StorageError: a node cannot; one line for each such node.
    """
    nodes = living_nodes()
    if url is None and len(nodes) == 1:
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    storage = Storage(url) if url else Storage.of_path(folder)
    check = f".check-{uuid.uuid4().hex}"
    try:
        _soon(lambda: storage.write(f"{check}/driver", check.encode()))
        problems = _ask(nodes, storage, check, on_gpus)
    finally:
        with suppress(StorageError):
            storage.delete_folder(check)
        for path in made:  # the check leaves no folders behind
            with suppress(OSError):
                path.rmdir()
    if problems:
        raise StorageError(problems)


def _ask(nodes: list[Node], storage: Storage, check: str, on_gpus: bool) -> list[str]:
    """Ask all nodes. Returns one line for each node that cannot run the study."""
    questions = {
        ray.remote(examine_node)
        .options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.identity, soft=False),
        )
        .remote(storage.url, check, node.identity): node
        for node in nodes
    }
    answered, _ = ray.wait(list(questions), num_returns=len(questions), timeout=_ANSWER_S)
    problems = []
    for question, node in questions.items():
        if question not in answered:
            problem = f"did not answer within {_ANSWER_S:g} s; remove it from the cluster"
        else:
            problem = _judge(question, node, storage, check, on_gpus)
        if problem:
            problems.append(f"node {node.name}: {problem}")
    return problems


def _judge(question: Any, node: Node, storage: Storage, check: str, on_gpus: bool) -> str:
    """The fault of a node that has answered; empty if there is none."""
    try:
        answer = ray.get(question)
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[-1]
        return f"cannot run hexsearch: {why}; install hexsearch {__version__} there"
    if answer["hexsearch"] != __version__:
        return (
            f"has hexsearch {answer['hexsearch']}, but the driver has {__version__}; install the "
            "same version"
        )
    if on_gpus and node.gpus and not answer["cuda"]:
        return (
            f"has {node.gpus} GPU(s), but its torch is a build without CUDA; install a CUDA build "
            "there, or set run.gpus_per_trial to 0"
        )
    problem: str = answer["problem"]
    if not problem and _soon(lambda: storage.read(f"{check}/{node.identity}")) != check.encode():
        problem = "the driver cannot read the file that it wrote"
    return f"{problem}; {_REMEDY}" if problem else ""


def _soon(action: Callable[[], Result]) -> Result:
    """The result of a request for a small file, which is repeated for some seconds if it fails.

    The client of S3 repeats a request that is answered by 503, but not if the answer is longer than
    the file (pyarrow 26 reads into a buffer of the file's size).

    Raises:
        StorageError: the last try has failed.
    """
    return patiently(action, _WAITS_S)


def examine_node(url: str, check: str, identity: str) -> dict[str, Any]:
    """Runs on a node: read the driver's file, then write, move and read back another file.

    Whether torch finds the GPUs is not asked: this process has none, and would remember that when a
    trial that has one gets it.
    """
    import torch  # seconds that `launch --help` should not take

    storage, name = Storage(url), f"{check}/{identity}"
    problem = ""
    try:
        if _soon(lambda: storage.read(f"{check}/driver")) != check.encode():
            problem = f"{url} is not the driver's folder: the file of the driver is missing there"
        else:
            _soon(lambda: storage.write(name, check.encode()))
            if _soon(lambda: storage.read(name)) != check.encode():
                problem = f"{url}: a file that was written reads back differently"
    except StorageError as error:
        problem = str(error)
    has_cuda = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
    return {"hexsearch": __version__, "problem": problem, "cuda": has_cuda}
