"""A frozen trunk from a checkpoint: heads are trained on it, and it does not change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from hexsearch.config.data import DataConfig
from hexsearch.config.section import as_yaml, build
from hexsearch.config.trial import EncoderConfig, TrialConfig
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.model.many_heads import ManyHeads
from hexsearch.training.checkpoint import find_checkpoint
from hexsearch.training.heads import Mode
from hexsearch.training.stored_trial import read_stored_trial

# Sections of a trial that are taken from the trunk's checkpoint.
_FROM_THE_TRUNK = ("trunk", "encoder", "policy_head")


@dataclass(frozen=True)
class FrozenTrunk:
    """Trunk and policy head of a checkpoint.

    Attributes:
        content_hash: hexadecimal hash of the file.
        config, data, archive_hash, positions_seen: configuration, games and length of its training.
        weights: weights of the network that was evaluated: the averaged ones if there are any.
    """

    path: Path
    content_hash: str
    config: TrialConfig
    data: DataConfig
    archive_hash: str
    positions_seen: int
    weights: dict[str, Tensor]

    def beneath(self, config: TrialConfig) -> TrialConfig:
        """A trial in which trunk, encoder and policy head are those of the checkpoint.

        Auxiliary heads are left out, since they only serve to train a trunk.

        Raises:
            ConfigError: the trial's value head needs another number of features.
        """
        raw = config.model_dump(mode="json")
        own = self.config.model_dump(mode="json")
        taken = {name: own[name] for name in _FROM_THE_TRUNK}
        where = f"trial on the trunk of {self.path}"
        return build(TrialConfig, {**raw, **taken, "auxiliary": {}}, where)

    def replaced(self, config: TrialConfig) -> list[str]:
        """Names of the sections that `beneath` would change in a trial."""
        return [
            name for name in _FROM_THE_TRUNK if getattr(config, name) != getattr(self.config, name)
        ]

    def require_fit(self, config: TrialConfig, board_size: int) -> None:
        """Check that a trial has the trunk's board size, trunk, encoder and policy head.

        Raises:
            ConfigError: one of them differs.
        """
        problems = []
        if board_size != self.data.board_size:
            problems.append(
                f"{self.path}: this trunk was trained on {self.data.board_size}x"
                f"{self.data.board_size} boards, but data.board_size is {board_size}; take a trunk "
                "of that size"
            )
        other = self.replaced(config)
        if other:
            problems.append(
                f"{self.path}: the trial's {', '.join(other)} differ from the frozen trunk's"
            )
        if problems:
            raise ConfigError(problems)

    def load_into(self, network: ManyHeads) -> None:
        """Give a network this trunk and policy head, and freeze them.

        Raises:
            CheckpointError: the weights do not fit the configuration in the checkpoint.
        """
        _load_shared(network, self.weights, self.path)
        network.freeze_shared()


@dataclass(frozen=True)
class SharedTrunk:
    """How the heads of a trial use their trunk.

    Attributes:
        mode: whether the heads train the trunk; see hexsearch.training.step.
        frozen: trunk of a checkpoint that is not trained; None trains a new trunk.
    """

    mode: Mode = "joint"
    frozen: FrozenTrunk | None = None


OWN_TRUNK = SharedTrunk()  # a new trunk that is trained, as in every trial with one head


def read_frozen_trunk(path: Path, content_hash: str | None = None) -> FrozenTrunk:
    """The trunk of a `model.pt` or `checkpoint.pt`.

    Args:
        content_hash: hash that the file must have; None allows any file.
    Raises:
        CheckpointError: the checkpoint is missing, damaged, from another encoder, has another
            hash, or holds a whole network.
    """
    stored = read_stored_trial(path)
    stored_hash = _content_hash(path)
    if content_hash is not None and stored_hash != content_hash:
        raise CheckpointError(
            f"{path}: is not the checkpoint with which the comparison began: its hash is "
            f"{stored_hash}, not {content_hash}; restore that file"
        )
    if stored.config.network is not None:
        raise CheckpointError(
            f"{path}: holds {stored.config.network.name}, a whole network, which has no trunk that "
            "value heads could share"
        )
    return FrozenTrunk(
        path=path,
        content_hash=stored_hash,
        config=stored.config,
        data=stored.data,
        archive_hash=stored.state["archive"],
        positions_seen=stored.state["positions_seen"],
        weights=stored.answering_weights,
    )


def begin_with(network: ManyHeads, encoder: EncoderConfig, checkpoint: str) -> str:
    """Give a network trunk and policy head of a checkpoint, to be trained further.

    Args:
        encoder: what shows positions to the network.
    Returns:
        Hash of the file's content, hexadecimal.
    Raises:
        CheckpointError: no such checkpoint, damaged, of another form than the network, or trained
            on other planes.
    """
    path = Path(checkpoint)
    stored = read_stored_trial(path)
    theirs = stored.config.encoder
    for name in ("perspective", "history"):  # the same weights may fit a board with edges
        own, other = getattr(encoder, name), getattr(theirs, name)
        if own != other:
            raise CheckpointError(
                f"{path}: its trunk was shown other planes: encoder.{name} was {as_yaml(other)}, "
                f"and is {as_yaml(own)} here"
            )
    _load_shared(network, stored.answering_weights, path)
    return _content_hash(path)


def _load_shared(network: ManyHeads, weights: Mapping[str, Tensor], path: Path) -> None:
    for part, module in (("trunk", network.trunk), ("policy_head", network.policy_head)):
        prefix = f"{part}."
        own = {
            name.removeprefix(prefix): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"{path}: its {part} does not fit the configuration: {first}"
            ) from error


def _content_hash(path: Path) -> str:
    return hashlib.blake2b(find_checkpoint(path).read_bytes(), digest_size=16).hexdigest()
