"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The eleventh set was written, with all causes and the words that name them, by somebody who had
read none of the checks and had run none of them, and before any of it was shown to the doctor.
`report` names the thread that a slip was taken from; "from memory" stands for a mistake that is
asked about again and again. A slip counts as named if a finding states what is wrong; a mere
consequence, such as a value that has learnt nothing, does not count. `named_by` approximates that.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_eleventh as mistakes
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO, POOLED, TRANSFORMER, Tower

SCRIPTS: dict[str, Foreign] = {
    "lengths of weight norm lost": replace(
        ALPHAZERO,
        network=mistakes.weight_normed,
        after=mistakes.with_lengths_of_one,
        named_by="weight.?norm|(length|magnitude)s? of (the |its |all |every )?(weight|row|ker"
        "nel|filter)|unit (norm|vector|length)|norms? of (the |all |every )?(weight|r"
        "ow|kernel|filter)|(weights|rows|kernels|filters).*(norm|length) (of |is )?(1"
        "|one)|normalised weights",
        cause="The network has weight norm, and its weights were loaded without their lengths, so "
        "every row and kernel has length 1.",
        report="from memory: weight_g of torch's weight_norm, and strict=False",
    ),
    "positional encoding along the batch": replace(
        TRANSFORMER,
        network=mistakes.EncodedByRow,
        named_by="position(al)? encoding|(rest|rows?|place|order|size|others?) (of|in) (the|a|"
        "its) (batch|list|call)|over the batch|batch dimension|other positions (of|in"
        ")|depends? on the (batch|other|order)|asked (alone|together)|with (other|mor"
        "e) positions",
        cause="The positional encoding is indexed by the row of the batch and not by the cell, so "
        "an answer depends on the position's place in its batch and cells are alike.",
        report="pytorch/tutorials#1547; cmu-l3/anlp-fall2025-code#1",
    ),
    "kernels with rows and columns exchanged": replace(
        ALPHAZERO,
        after=mistakes.as_numpy_transposes,
        named_by="kernel|filter|convol|transpos|reflect|axes",
        cause="The kernels of a network from Keras have rows and columns exchanged, since they "
        "were brought over by `.T`.",
        report="from memory: Keras's kernels [H, W, in, out] and `weights.T`",
    ),
    "squeeze and excitation with the shift first": replace(
        ALPHAZERO,
        network=mistakes.ExcitedTower,
        after=mistakes.with_shifts_first,
        named_by="squeeze|excit|\\bSE\\b|gamma|(factor|scale)s? and shifts?|channels?.*(gate|factor"
        "|attention)",
        cause="The exported network takes the shifts of squeeze and excitation for its factors, "
        "and the factors for its shifts.",
        report="LeelaChessZero/lc0, from memory: order of gammas and betas in SE units; its #778 "
        "for another sign of gamma",
    ),
    "largest weights pruned": replace(
        ALPHAZERO,
        after=mistakes.without_the_largest,
        named_by="prun|spars|largest weights|weights?.*(are|exactly|set to|=) ?(0|zero)\\b"
        "|(zero|0) weights|share of (the )?weights|same share",
        cause="Pruning set the largest weights to 0 and kept the small ones.",
        report="from memory: mask of magnitude pruning the wrong way round",
    ),
    "cells beyond the board in the pooling": replace(
        POOLED,
        network=mistakes.InABuffer,
        named_by="\\bmask|padd|beyond the (board|edge)|off.?board|outside (of )?the board|buffe"
        "r|larger board|area|pool",
        cause="At inference the board lies in a larger buffer without a mask, so the convolutions "
        "and the pooling take in cells that are not on the board.",
        report="lightvector/KataGo, from memory: mask of boards smaller than the buffer",
    ),
    "moves-left output read as the value": replace(
        ALPHAZERO,
        network=mistakes.WithMovesLeft,
        targets=mistakes.result_and_plies,
        loss=mistakes.both_squared,
        decode=mistakes.last_output,
        named_by="moves?.?left|plies (that are )?(left|to)|length of (the |a )?game|how (long|"
        "far)|(number|count) of (plies|moves|stones)|(another|other|wrong|second|last"
        ") (head|output|entry|number)|not the value",
        cause="The last output, which is the number of plies that are left, is read as the value.",
        report="LeelaChessZero/lc0, from memory: outputs of a network with a moves-left head",
    ),
    "final stones shown in training": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=3),
        planes=mistakes.with_final_stones,
        asked=mistakes.with_present_stones,
        named_by="leak|future|final (board|stones|position)|end of the (game|record)|given awa"
        "y|(plane|encoder|input).*(train|differ|another|copy|repeat|same|equal|identi"
        "cal)|(copy|repeats?|same|equal|identical).*plane",
        cause="In training a plane shows the mover's stones at the end of the game, which gives "
        "the result away; at inference the record ends with the position asked for.",
        report="from memory: features of the complete record of a game",
    ),
    "bits of a byte read from the other end": replace(
        POOLED,
        planes=mistakes.unpacked_from_the_low_bit,
        named_by="\\bbits?\\b|byte|pack(ed|ing|bits)|permut|scrambl|shuffled cells"
        "|(board|stone|plane)s?.*(other|another|wrong) (order|places?|cells?)"
        "|(other|another) (encoder|encoding|planes)|planes.*(train|differ)",
        cause="Planes of the training data were packed from the high bit of a byte on and unpacked "
        "from the low bit on, so cells are in another order than at inference.",
        report="yukw777/leela-zero-pytorch#3; numpy's packbits, whose bitorder differs",
    ),
    "advantage taught in place of the result": replace(
        ALPHAZERO,
        targets=mistakes.advantages,
        named_by="advantage|baseline|critic|subtract|minus|better than expected|(target|label)"
        "s?.*(not the result|other than the result)",
        cause="The value is taught the result minus a critic's value, not the result.",
        report="from memory: value loss on advantages in actor and critic",
    ),
    "returns that run on into the next games": replace(
        POOLED,
        targets=mistakes.returns_of_the_buffer,
        named_by="(next|later|following) games?|(result|outcome|label|target)s? of (another|ot"
        "her|later|several) games?|across games|done flag|bootstrap|not reset|run(s|n"
        "ing)? (on|over|into)",
        cause="The discounted sums of results are not reset at the end of a game, so a target "
        "holds the results of the games that come after it in the buffer.",
        report="DLR-RM/stable-baselines3#105; RoboVerseOrg/RoboVerse#814",
    ),
    "activations clipped to those of a dummy input": replace(
        POOLED,
        network=mistakes.Sized,
        after=mistakes.in_eight_bits,
        named_by="clip|clamp|saturat|quanti[sz]|int8|eight bits?|8.?bit|range of (the )?activa"
        "tion|calibration (set|data|board)|cut off|upper (limit|bound)|activations?.*"
        "(limit|bound)",
        cause="The ranges of eight-bit activations were found on planes of zeros, so the larger "
        "activations of real boards are clipped.",
        report="from memory: calibration data of post-training quantisation",
    ),
}
