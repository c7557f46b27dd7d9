"""Slips in the archive, the split, the drawing, labels and planes, of the twenty-second set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 168
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(28).choice` drew 40, and
the first 24 are the set. The causes, and the words that name them, were written before any run of
a check; one pattern was widened afterwards, as the doctor names that cause in other words.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data import dataset as dataset_module
from hexsearch.data import device as device_module
from hexsearch.data import positions as positions_module
from hexsearch.data import stages as stages_module
from hexsearch.data import weights as weights_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.game.board import RED
from hexsearch.game.symmetry import symmetry_cells
from tests.doctor.listed.places import all_of, in_build
from tests.doctor.slips import Slip, in_encoder, nothing, patched


def _all_but_validation(sound: Any) -> Any:
    def games(archive: GameArchive, split: Any, *shares: Any) -> Any:
        if split != "train":
            return sound(archive, split, *shares)
        return np.setdiff1d(np.arange(len(archive)), sound(archive, "validation", *shares))

    return games


def _first_k(sound: Any) -> Any:
    def bounds(archive: GameArchive, games: Any, rule: Any, stages: Any) -> Any:
        first, last = sound(archive, games, rule, stages)
        if rule.name != "last_k":
            return first, last
        begin = archive.setups[games].astype(np.int64)
        return begin, begin + (last - first)

    return bounds


def _shares_by_size(sound: Any) -> Any:
    def with_phases(positions: Any, phases: Any) -> Any:
        if len(phases) == 1:  # a mixture
            sizes = np.array([len(part) for part in phases[0].sets], dtype=np.float64)
            phases = (replace(phases[0], shares=tuple((sizes / sizes.sum()).tolist())),)
        return sound(positions, phases)

    return with_phases


def _winners_of_sorted(batch: Batch, builder: BatchBuilder) -> Batch:
    games = np.sort(batch.game.cpu().numpy())
    red_won = builder.to_device(builder.archive.winners[games] == RED)
    outcome = (red_won ^ batch.complement).float()
    return replace(batch, red_won=red_won.float(), outcome=outcome)


def _without_last_move(archive: GameArchive) -> GameArchive:
    games = [archive.game(index) for index in range(len(archive))]
    return build_archive([replace(game, moves=game.moves[:-1]) for game in games])


def _move_after_the_end(sound: Any) -> Any:
    def build(self: Any, games: Any, plies: Any, turn: Any, *arguments: Any, **more: Any) -> Batch:
        batch: Batch = sound(self, games, plies, turn, *arguments, **more)
        swapped = batch.complement.cpu().numpy()
        if self.encoder.perspective == "mover":
            swapped = ~swapped
        symmetries = turn + 2 * swapped.astype(np.int64)
        places = self.archive.offsets[games].astype(np.int64) + plies
        following = self.archive.moves.take(places, mode="clip")
        target = self.to_device(symmetry_cells(self.encoder.size)[symmetries, following])
        return replace(batch, policy_target=target, has_move=torch.ones_like(batch.has_move))

    return build


def _colour_in_batch(
    _: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    area, plane = self.size**2, self.side**2
    planes = self.empty_boards(len(plies))
    position = np.repeat(np.arange(len(plies)), plies)
    colour = np.arange(len(cells)) & 1
    entry = symmetries[position] * (2 * area) + colour * area + cells.astype(np.int64)
    planes.reshape(-1)[self.targets()[entry] + position * (self.planes * plane)] = 1.0
    if self.perspective == "absolute":
        mover = ((plies & 1) ^ (symmetries >= 2)).astype(np.float32)
        planes[:, 2] = np.where(finished, np.float32(0.5), mover)[:, None, None]
    return planes


def _fraction_of_side(_: Any) -> Any:
    def first_plies(board_size: int, stages: Any) -> tuple[int, int, int, int]:
        area = board_size * board_size
        filled = np.arange(area + 1) / board_size
        middle = int(np.argmax(filled >= stages.early))
        late = int(np.argmax(filled >= stages.middle))
        return 0, middle, late, area + 1

    return first_plies


_WITH_STAGES = (stages_module, positions_module, weights_module, device_module)

SLIPS: dict[str, Slip] = {
    "test games in training": Slip(
        patched(dataset_module, "split_games", _all_but_validation),
        r"\btest\b.{0,12}(games?|positions?|split|set|part|share|data)\b.{0,140}(train|drawn|strea"
        r"m|seen|learn|leak|overlap)|(train|drawn|stream|learn|leak|overlap|split)\w*.{0,140}"
        r"\btest\b.{0,12}(games?|positions?|split|set|part|share|data)",
        cause="Training games are all games that are not validation games, so the games of the "
        "test split are trained on.",
        report="own imagination",
    ),
    "last_k from the beginning": Slip(
        patched(positions_module, "_bounds", _first_k),
        r"last_k|(positions?|samples?|plies|ply|curriculum|training|drawn?|stream)\b.{0,140}(from "
        r"|of |at |near |close to )?the (beginning|start|opening|first (plies|moves))|(first|early"
        r"|opening|beginning)\b.{0,30}(plies|positions|moves|stones)?.{0,100}(instead of|and not|r"
        r"ather than|not from).{0,40}(last|end|late)|(late|last|final|end)\b.{0,60}(plies|position"
        r"s|game)?.{0,60}(never|not) (drawn|trained|seen|reached|shown|sampled)|(no|none of the|wi"
        r"thout|never)\b.{0,40}(late|last|final|finished)\b.{0,60}(train|drawn|sampl|stream)|(trai"
        r"n|draw|sampl|stream)\w*.{0,100}(no|without|never|lack\w*|miss\w*)\b.{0,40}(late|last|fin"
        r"al|finished|end of)|curriculum\b.{0,140}(not (the|those|what|that)|other|wrong|differ|ou"
        r"tside|beyond|unlike)",
        {"curriculum": {"name": "last_k", "k": 6}},
        cause="The curriculum last_k draws the first k plies of each game and not the last k.",
        report="own imagination",
    ),
    "shares of a mixture are ignored": Slip(
        patched(positions_module, "_with_phases", _shares_by_size),
        r"mixture\b.{0,200}(share|propor|often|rare|seldom|part|number|size|draw)|shares?\b.{0,140"
        r"}(parts?\b|ignor|curriculum|mixture|propor|number of|size|configur|asked|drawn)|(parts?|"
        r"finals?|final positions|finished positions|sets?)\b.{0,140}(shares?\b|too (rare|often|fe"
        r"w|seldom)|proportion|(over|under).?represent|fewer|less often|rarer)|(stream|draw|sampl|"
        r"train)\w*.{0,120}(too few|too rarely|too seldom|fewer|less often).{0,40}(final|finished)",
        {
            "curriculum": {
                "name": "mixture",
                "parts": [{"name": "all", "share": 1.0}, {"name": "final", "share": 1.0}],
            }
        },
        cause="The parts of a mixture are drawn in proportion to their numbers of positions, and "
        "the configured shares are ignored.",
        report="own imagination",
    ),
    "winners of the sorted games": Slip(
        in_build(_winners_of_sorted),
        r"(labels?|results?|outcomes?|winners?|value targets?|red_won)\b.{0,160}(other (row|positi"
        r"on|game|sample)|another (row|position|game|sample)|wrong (row|position|game|sample)|sort"
        r"|shuffl|misalign|permut|order|not (those|that|the (winner|result))|do(es)? not (belong|f"
        r"it|match|agree|follow)|disagree|contradict|mixed up|random|unrelated|independent|differ|"
        r"replay|archive)|(sort|order|shuffl|permut|misalign|exchang)\w*.{0,120}(label|result|outc"
        r"ome|winner|value target)",
        cause="Winners are looked up with the sorted game indices of a batch, so a training "
        "position has the result of another row's game.",
        report="own imagination",
    ),
    "last move of each game is missing": Slip(
        nothing,
        r"(last|final|winning|closing) (move|stone|ply)s?\b.{0,140}(miss|lack|drop|lost|absent|not"
        r"|cut|without|never|left out)|(miss|lack|drop|lost|cut|without|omit)\w*.{0,80}(last|final"
        r"|winning|closing) (move|stone|ply)|(finished|final|ended|won|over)\b.{0,160}(not (won|co"
        r"nnected|joined|finished|decided|complete|over|ended)|no(body| one| colour| color| chain|"
        r" winner)\b|unfinished|do(es)? not (connect|join|win|show|end)|replay|still open|incomple"
        r"te|undecided)|replay\w*.{0,140}(winner|finished|confirm|nobody|not)|winners?\b.{0,140}(n"
        r"ot connected|not joined|do(es)? not (connect|join)|no chain|not (have )?won|replay)|(one"
        r"|a) (ply|move|stone) (too )?(short|early|few|less)|truncat",
        games=_without_last_move,
        cause="The last move of each game is missing although the game is marked as finished, so "
        "no final board is won.",
        report="own imagination",
    ),
    "policy target on finished boards": Slip(
        patched(BatchBuilder, "build", _move_after_the_end),
        r"has_move|(final|finished|ended|terminal|decided|game.over|no next move|nobody|after the "
        r"end)\b.{0,160}(next move|policy|move target|first move|following move|move of|a move|tar"
        r"get cell|policy_target)|(policy|move targets?|next move|policy_target|target moves?)"
        r"\b.{0,160}(final|finished|ended|terminal|next game|other game|another game|game after|ga"
        r"me that follows|no next move|nobody|after the end|beyond the end|occupied)",
        {"policy_head": {"weight": 1.0}},
        cause="Finished positions count as having a next move, and their policy target is the "
        "first move of the next game in the archive.",
        report="own imagination",
    ),
    "colours by the place in the batch": Slip(
        in_encoder(_colour_in_batch),
        r"(colours?|colors?|parity)\b.{0,160}(wrong|exchang|swap|invert|batch|place|parity|previou"
        r"s|before|other (row|position|board)|rows?\b|depend|flip|not (those|that|the|of)|mix|reve"
        r"rs)|(stones?|planes?|boards?|encod\w*|inputs?)\b.{0,160}(colour|color|depend\w* on|batch"
        r"|other positions|other rows|rows? before|positions? before|exchang|swap|alone|beside)|(e"
        r"xchang|swap|wrong|flip|invert|other)\w*\b.{0,60}(colours?|colors?)\b",
        cause="The encoder takes the colour of a stone from its place among all stones of the "
        "batch and not from its place in its own game, so half of the boards have the colours "
        "exchanged.",
        report="own imagination",
    ),
    "filled fraction of the side": Slip(
        all_of(*(patched(module, "first_plies", _fraction_of_side) for module in _WITH_STAGES)),
        r"stages?\b.{0,160}(fraction|bound|border|area|cells|stones|\blate\b|\bearly\b|middle|wron"
        r"g|differ|side\b|first_plies|filled|not (those|that|the)|pl(y|ies)\b|mean of 1|mean 1)|"
        r"\b(early|middle|late)\b.{0,140}(bound|border|begins?|starts?|ends?\b|stones|fraction|sta"
        r"ges?|filled)|filled|stage_of|first_plies",
        {"curriculum": {"stage_weights": {"late": 3.0}}},
        cause="The filled fraction that separates the stages is the number of stones divided by "
        "N and not by N*N, so nearly all positions count as late.",
        report="own imagination",
    ),
}
