"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The ninth set comes to the doctor from outside only: scripts, plug-ins and files of games. It was
written, with all causes, by somebody who had read none of the checks and before any of it was run.
`report` names the thread that a slip was taken from; "forum" stands for a mistake that is asked
about again and again, and was written from memory. A slip counts as named if the first finding
locates the part that is wrong and states what is wrong with it; `named_by` approximates that.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tests.doctor import mistakes_ninth as mistakes
from tests.doctor.outside import Foreign, Samples, as_played
from tests.doctor.outside_networks import (
    ALPHAZERO,
    ONE_OUTPUT,
    POOLED,
    TRANSFORMER,
    WDL,
    BoardTransformer,
    Tower,
    WinDrawLoss,
    absolute,
)
from tests.doctor.scripts import NOT_LEARNT

_POOR = "under-?confident|too (close|near)|too cautious|near (a )?half|0\\.5|shrunk|scale|temper"


def _first_two_logits(raw: Tensor) -> Tensor:
    chances = raw.softmax(dim=1)
    return chances[:, 0] + chances[:, 1] / 2


def _first_and_half_of_second(raw: Tensor) -> Tensor:
    return raw[:, 0] + raw[:, 1] / 2


def _result_and_search(samples: Samples) -> Tensor:
    return 0.5 * (samples.won > 0).float() + 0.5 * (0.8 * samples.won)


def _reward(samples: Samples) -> Tensor:
    return torch.where(samples.left <= 1, samples.result, 0.0)


SCRIPTS: dict[str, Foreign] = {
    "sign of the value after an odd opening": replace(
        ALPHAZERO,
        targets=mistakes.signs_from_the_book,
        rows=lambda s: torch.nonzero(s.ply >= mistakes.openings(s))[:, 0],
        named_by="(label|target|outcome|result|sign).*(wrong|flip|invert|mix|nois|contradict|side)"
        f"|opening|label noise|{_POOR}",
        cause="After an opening of odd length the value targets have the wrong sign, since the "
        "script takes the first recorded position for Blue's: a third of the games is mislabelled.",
        report="LeelaChessZero/lc0#1046",
    ),
    "one board array for all samples of a game": replace(
        WDL,
        planes=mistakes.final_boards,
        named_by="final|finished|end of (the )?game|only.*(won|full|certain|late)|early|copy"
        f"|alias|unfinished|(un)?learnt.*(position|board)|{NOT_LEARNT}",
        cause="The board was not copied, so every sample of a game holds its final board: the "
        "network knows finished boards only.",
        report="Akababa/Chess-Zero#1; ShangtongZhang/reinforcement-learning-an-introduction#1",
    ),
    "canonical board without transposition": replace(
        ALPHAZERO,
        encode=mistakes.not_transposed,
        moves=as_played,
        named_by="transpos|reflect|mirror|edges|goal|orient|colou?rs? (are )?(swapped|exchanged)"
        "|side to move.*(not|cannot|no plane|ambig|same)|same planes|indistinguish",
        cause="The canonical board exchanges the colours for Red but is not transposed, so the "
        "planes do not say which edges the side to move connects.",
        report="suragnair/alpha-zero-general#44",
    ),
    "Red's moves not transposed with the board": replace(
        ALPHAZERO,
        moves=as_played,
        named_by="(policy|move).*(transpos|reflect|mirror|Red|row|column|orient|frame|one colour"
        "|side to move|wrong cell)|transpos.*(policy|move)",
        cause="The board is transposed for Red, but the policy target is Red's move on the "
        "untransposed board.",
        report="suragnair/alpha-zero-general#44",
    ),
    "flatten order of an export": replace(
        ALPHAZERO,
        after=mistakes.as_keras_flattens,
        named_by="flatten|order|permut|(value head|head).*(weights|not fit|garbage|wrong|noth)"
        f"|export|channels|layout|{NOT_LEARNT}",
        cause="The first linear layer of the value head was trained on features in the order "
        "row, column, channel and gets them in the order channel, row, column.",
        report="gzuidhof/nn-transfer#17",
    ),
    "eight symmetries of Go": replace(
        WDL,
        turned=mistakes.symmetry_of_go,
        named_by="symmetr|rotat|augment|mirror|turn|transpos|edges|orient"
        "|(both|either) (colour|direction|pair)",
        cause="Training boards are turned and mirrored in the eight ways of Go, most of which "
        "exchange the edges or change which cells touch, while the colours and winners stay.",
        report="mokemokechicken/reversi-alpha-zero#13, done in Hex",
    ),
    "momentum of the batch norms from Keras": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, momentum=0.99),
        batches=mistakes.epochs_with_a_rest,
        named_by="norm|running|statistic|momentum|mean and variance|train.*eval|eval.*train",
        cause="The momentum 0.99 of Keras means the opposite in torch: the running statistics of "
        "the batch norms are those of the last batch, which held three positions.",
        report="forum, from memory: momentum of BatchNorm in Keras and in PyTorch",
    ),
    "averaged weights of a short run": replace(
        TRANSFORMER,
        optimiser=mistakes.with_average,
        after=mistakes.averaged,
        named_by=f"{NOT_LEARNT}|average|ema|initial|random weights",
        cause="The exported weights are an average with decay 0.9999 over 250 steps, which are "
        "almost the initial ones.",
        report="forum, from memory: EMA weights perform like an untrained model",
    ),
    "tokens without their cells": replace(
        TRANSFORMER,
        network=lambda size: BoardTransformer(size, placed=False),
        named_by=f"{NOT_LEARNT}|permut|where (the )?stones|position(al)? (embed|encod|infor)"
        "|which cell|count|same answer|arrangement|locat",
        cause="The transformer has no position embedding: its value depends on the number of "
        "stones only, not on where they are.",
        report="forum, from memory: transformer without positional encoding",
    ),
    "loss, draw, win read as win, draw, loss": replace(
        WDL,
        targets=lambda samples: 1 + samples.won.long(),
        decode=_first_two_logits,
        named_by="invert|wrong (side|way|colour)|order of|opposite|swapped|exchang|revers"
        "|(win|loss).*(first|last|order)|negat",
        cause="The classes were trained in the order loss, draw, win and are read as win, draw, "
        "loss, so the value is that of the other side.",
        report="forum, from memory: order of win, draw and loss",
    ),
    "softmax in the network and in the loss": replace(
        WDL,
        network=lambda size: WinDrawLoss(size, softmax=True),
        decode=_first_and_half_of_second,
        named_by="softmax|over-?confident|too (sure|certain|extreme|far|confident)|twice|calibrat"
        "|extreme",
        cause="The network ends in a softmax and the cross-entropy applies another one, which "
        "drives its probabilities to 0 and 1: the answers are far too sure.",
        report="forum, from memory: softmax before CrossEntropyLoss",
    ),
    "result in 0..1 averaged with search value in -1..1": replace(
        POOLED,
        targets=_result_and_search,
        named_by="range|scale|outside|\\[-1|-1|bias|shift|too (low|small)|calibrat|clamp|decod"
        "|reading|lean|read-?out|offset|pessimis",
        cause="The target is the mean of a result in 0..1 and of a search value in -1..1, so "
        "that it lies in -0.4..0.9 and is read as a probability.",
        report="the mixture of tensorflow/minigo#296, its mistake from memory",
    ),
    "result discounted by ply": replace(
        ALPHAZERO,
        targets=lambda samples: samples.result * 0.85**samples.left,
        named_by=f"discount|early|plies|{_POOR}|calibrat",
        cause="The result is discounted by 0.85 for each ply to the end, so positions far from "
        "the end are answered near one half.",
        report="forum, from memory: discount factor in a board game",
    ),
    "value head renamed before loading": replace(
        ALPHAZERO,
        after=mistakes.loaded_loosely,
        named_by=f"{NOT_LEARNT}|initial|not loaded|strict|(value|head).*(random|nothing|chance)",
        cause="The linear layers of the value head have their initial weights, since their names "
        "had changed and load_state_dict(strict=False) skipped them.",
        report="forum, from memory: load_state_dict with strict=False",
    ),
    "reward of the ply as the target": replace(
        ALPHAZERO,
        targets=_reward,
        rows=mistakes.unfinished,
        named_by=f"reward|only.*(last|final|end|won)|early|draw|{_POOR}|{NOT_LEARNT}|confiden",
        cause="The target is the reward of the ply, which is 0 except before the last move, "
        "instead of the result: the value is one half until shortly before the end.",
        report="symptom: datascience.stackexchange.com/questions/43153; cause from memory",
    ),
    "result for the last player at every position": replace(
        ALPHAZERO,
        targets=mistakes.of_the_last_player,
        rows=mistakes.unfinished,
        named_by="constant|same (answer|value)|always|every position|whoever|side to move"
        f"|one answer|all positions|does not depend|collapse|{NOT_LEARNT}",
        cause="The result for the player to move at the end was stored for every position, "
        "without a change of sign: the target is always a loss of the side to move.",
        report="forum, from memory: the sign in executeEpisode of alpha-zero-general",
    ),
    "history planes empty at inference": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=4),
        planes=mistakes.with_history,
        asked=mistakes.without_history,
        named_by="histor|planes? .*(3|4|constant|zero|empty|unused|never|always)"
        "|(constant|zero|empty).*planes?|previous",
        cause="Two of the four planes show the position before in training and are empty at "
        "inference.",
        report="glinscott/leela-chess#576; LeelaChessZero/lc0#253",
    ),
    "rows and columns exchanged by the parser": replace(
        POOLED,
        planes=mistakes.by_columns,
        moves=mistakes.cells_by_columns,
        asked=absolute,
        named_by="transpos|row|column|mirror|reflect|edges|orient|turned|direction",
        cause="The script read moves with row and column exchanged, so it was trained on "
        "transposed boards, where each colour connects the other one's edges.",
        report="forum, from memory: coordinates of SGF as (column, row)",
    ),
    "encoder that turns the board in place": replace(
        ALPHAZERO,
        asked=mistakes.in_place,
        named_by="in[- ]place|modif|chang.*(board|stones|argument|input)|mutat|overwrit|writes"
        "|read-only|(board|stones).*chang|twice",
        cause="The encoder exchanges colours and transposes in the caller's array, so that a "
        "board is another one after it has been encoded for Red.",
        report="forum, from memory: array changed by the function that reads it",
    ),
    "value sliced at the wrong end of the output": replace(
        ONE_OUTPUT,
        after=mistakes.sliced_at_the_end,
        named_by="slice|wrong (output|entry|end|column|number)|off by one|shifted|policy.*value"
        f"|{NOT_LEARNT}|logit of|one cell",
        cause="The output holds the value first, but inference takes the last number, which is "
        "the logit of a move, and shifts the policy by one cell.",
        report="forum, from memory: slicing one output of two heads",
    ),
}
