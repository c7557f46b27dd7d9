"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The fourteenth set holds what really happens, and not what nobody had listed. Its author wrote 63
mistakes down with a weight each for how often researchers make them, and with the kind of each
(script, pipeline or file of games). `numpy.random.default_rng(14).choice` drew 24 of them without
replacement, with chances in proportion to the weights; the draw was kept as it fell. Two mistakes
of the draw did no harm on these games: a network trained in eval mode after its first validation,
and a value discounted by plies to the end. The next two scripts of a draw of all 63 from the same
seed took their places: the eight symmetries of Go, and TD targets without a minus sign. All
causes, and the words that name them, were written by somebody who had read none of the checks and
had run none of them. `slips_eleventh_scripts` says what counts as named.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_fourteenth as mistakes
from tests.doctor.outside import Foreign, as_played
from tests.doctor.outside_networks import ALPHAZERO, POOLED, WDL

TURNED = replace(ALPHAZERO, turned=mistakes.half_turned)
CHANCE = replace(
    POOLED,
    turned=mistakes.half_turned,
    loss=mistakes.squared_chance,
    decode=lambda raw: raw[:, 0].sigmoid(),
)
CLASSES = replace(WDL, turned=mistakes.half_turned)

_MOVER = "(side to move|mover|player to move|whose turn)"
_INVERTED = (
    "perspective|"
    + _MOVER
    + ".{0,80}(\\bred\\b|flip|invert|negated|complement|convert|wrong sign|opposite|instead|not t"
    "hat)|\\bred('s)?\\b.{0,80}(not (of|for|that of)|instead of|in place of|rather than).{0,20}"
    + _MOVER
    + "|(flip|invert|revers|wrong sign|opposite|exchang|wrong side).{0,80}(\\bred\\b|\\bblue\\b|o"
    "ne (side|colour)|\\bturn\\b|"
    + _MOVER
    + ")|\\b(red|blue) (is )?to move.{0,60}(flip|invert|revers|wrong|opposite|exchang)|(not|never"
    "|without).{0,20}(flipped|negated|inverted|converted)"
)
_HALF_RANGE = (
    "never.{0,20}(below|under|less)|(at least|above|not below|only from|all over).{0,20}(0\\.5|50"
    " ?%|a half|one half)|(half|part) of (the|its) (range|scale|interval)|(scale|range|interval)"
    "\\b.{0,60}(wrong|differ|half|mismatch|not (match|fit))|(wrong|another|other|different|mismat"
    "ch).{0,30}(scale|range|interval)"
)

SCRIPTS: dict[str, Foreign] = {
    "planes reshaped in place of permuted": replace(
        CHANCE,
        encode=mistakes.reshaped,
        named_by="reshap|permut|memory layout|channels?.?last|NHWC|interleav|planes?.{0,60}(mixed"
        "|scrambl|shuffl|jumbl|wrong place|torn|cut)|(scrambl|mix(ed|es)|shuffl|jumbl|tear|scatte"
        "r).{0,60}(plane|cell|board|channel|stone)|(cell|stone)s?.{0,60}(wrong place|other places"
        "|not where|scatter|another cell|other cells|wrong cell)|(neighbour|adjacen).{0,60}(not|l"
        "ost|apart|torn|broken)",
        cause="Planes with the channel last are reshaped and not permuted, so each plane mixes "
        "cells of all planes, and stones do not lie where they should.",
        report="from memory: x.reshape(B, C, H, W) or .view of channels-last arrays, PyTorch forum",
    ),
    "next value without a minus sign": replace(
        TURNED,
        targets=mistakes.bootstrapped,
        named_by=(
            "\\bTD\\b|temporal difference|bootstrap|next (position|value|state|board)|minus sig"
            "n|(wrong|other|opposite|missing) sign|negated|negamax|"
            + _INVERTED
            + "|(invert|flip|revers|opposite|upside).{0,80}(answer|value|target|label|win|chance|"
            "unfinished)|(answer|value|target|label)s?.{0,60}(invert|flip|revers|opposite)|other "
            "(side|player)'?s (value|chance|target)"
        ),
        cause="The target is the next position's value, which is that of the other side, without "
        "a minus sign.",
        report="from memory: TD learning for games of two players, value of the next state not "
        "negated",
    ),
    "samples in the order of the games": replace(
        CHANCE,
        batches=mistakes.unshuffled,
        named_by="shuffl|order of (the )?(games|samples|positions|training|batches|data)|game (af"
        "ter|by) game|(one|a|the same|single) game.{0,40}(batch|after|at a time|in a row)|batch.{"
        "0,60}(one|same|single) (game|result|label|winner)|correlated|\\bsorted|last (few )?(batc"
        "h(es)?|games?|samples?)\\b|forgetting",
        cause="Samples are not shuffled: each batch is one game or two, in which all positions "
        "have the same winner.",
        report="from memory: DataLoader(shuffle=False), PyTorch forum",
    ),
    "softmax over the batch": replace(
        CLASSES,
        loss=mistakes.over_the_batch,
        decode=mistakes.read_over_the_batch,
        named_by="softmax|(along|over|across) the (batch|wrong (dim|axis))|wrong (dim|axis)|\\bdi"
        "m=0|sum to (1|one) over|^(?!.*(norm|eval\\b|training mode|dropout)).*(batch.{0,60}(depen"
        "d|size|compos|company|other|alone|changes)|depend.{0,60}(batch|other (position|board|row"
        ")))",
        cause="The softmax of win, draw and loss runs over the batch and not over the classes.",
        report="from memory: F.softmax(x, dim=0), and the implicit dimension of old PyTorch",
    ),
    "value of the side to move read as Red's": replace(
        TURNED,
        decode=lambda raw: (raw[:, 0] + 1) / 2,
        named_by=_INVERTED,
        cause="The network's value is that of the side to move and is read as Red's, so answers "
        "are inverted where Blue is to move.",
        report="from memory: sign errors between network and search in forks of alpha-zero-general",
    ),
    "win and loss exchanged": replace(
        CLASSES,
        decode=mistakes.loss_and_half_draw,
        named_by="(\\bwins?\\b|class(es)?|column|logit|output)s?\\b.{0,60}(exchang|swap|revers|in"
        "terchang|wrong order|mixed up|invert|other order)|(exchang|swap|revers|invert|interchang"
        "|opposite|wrong way|upside|flip).{0,60}(\\bwin|loses|\\bclass|column|answer|value|\\bred"
        "\\b|\\bblue\\b|\\bsign\\b|result|colour|chance)|(answer|value|chance)s?.{0,60}(exchang|i"
        "nvert|revers|flip|opposite|wrong (sign|colour|way))|blue's (chance|win)|chance (of|for|t"
        "hat) blue",
        cause="The classes win and loss are exchanged where the value head is read, so answers are "
        "Blue's chances.",
        report="from memory: order of WDL outputs in lc0 and its converters",
    ),
    "hundreds of epochs on few games": replace(
        CLASSES,
        rows=mistakes.of_few_games,
        named_by="over-?\\s?fit|memori[sz]|by heart|few (different )?(games|positions|samples)|to"
        "o (many epochs|little data)|trained too (long|often)|epochs|generali[sz]|(training|seen|"
        "known) (games|set|positions).{0,60}(than|better|far)|(better|lower|surer) (on|for|in) .{"
        "0,40}(train|seen|known)",
        cause="The network was trained on eight games for hundreds of epochs, so it knows them by "
        "heart and answers badly on others.",
        report="from memory: overfitting to a small replay buffer in AlphaZero repositories",
    ),
    "eight symmetries of Go": replace(
        TURNED,
        turned=mistakes.with_all_symmetries,
        named_by="(wrong|all|eight|forbidden|of go|square).{0,40}symmetr|symmetr.{0,60}(wrong|eig"
        "ht|of hex|exchang|swap|\\bgo\\b|square|not (valid|allowed))|augment|rotat|quarter|rot90|"
        "90( degrees|°)|mirror|reflect|transpos|diagonal|flip(ped)? (of the )?boards?|(edges|side"
        "s|goals|directions?).{0,60}(exchang|swap|confus|mixed|not (know|tell|distinguish)|which|"
        "whose)|(exchang|swap|confus|which|whose|not know|cannot tell).{0,60}(edges|goals|directi"
        "on|\\btop\\b)",
        cause="The augmentation uses all eight symmetries of Go, but in Hex a quarter turn or a "
        "mirror image exchanges the edges that a colour must connect.",
        report="from memory: get_symmetries of alpha-zero-general copied to Hex",
    ),
    "errors of all pairs in a batch": replace(
        CHANCE,
        loss=mistakes.squared_of_all_pairs,
        named_by="broadcast|\\bshapes?\\b|squeeze|\\[B, ?B\\]|\\bpairs\\b|each (value|answer|outp"
        "ut).{0,40}(all|every)( the)? (target|label|result)|(mean|average) (of|over|in) (the |all"
        " |a )*(batch|target|label|result|outcome)s?",
        cause="Values of shape [B, 1] and targets of shape [B] are broadcast to [B, B] in the "
        "loss, so each value is pulled towards the mean of the batch.",
        report="from memory: 'Using a target size that is different to the input size', PyTorch "
        "forum and issues",
    ),
    "targets 0 and 1 for a tanh": replace(
        TURNED,
        targets=lambda samples: (samples.result > 0).float(),
        named_by=(
            "tanh.{0,80}(\\b0\\b|target|label|range|scale)|(target|label|result)s?.{0,60}(tanh|"
            "0 (and|to|or) 1|0/1|\\[0, ?1\\]|not -1)|" + _HALF_RANGE
        ),
        cause="Results are 0 and 1 in training, but the value is read as a tanh between -1 and 1, "
        "so a lost position is answered as even.",
        report="from memory: z of 0 and 1 in place of -1 and 1 in forks of AlphaZero",
    ),
    "board not copied": replace(
        CLASSES,
        planes=mistakes.with_last_board,
        named_by="\\balias|\\bcop(y|ied)\\b|same (object|array)|overwrit|\\bmutat|by reference|la"
        "ter (stones|moves|positions)|future|\\bleak|(board|position|stones)s?.{0,40}(of|from|at)"
        " the (end|last|final)|(only|nothing but|mostly|alone).{0,40}(finished|\\bfull|final|\\bl"
        "ast|\\blate\\b|\\bend\\b)|(finished|final|last|late|full) (board|position)s?.{0,40}(only"
        "|alone)|(opening|early|unfinished|middle|earlier|sparse).{0,60}(never|not) (been )?(seen"
        "|trained|shown|learn)|never (been )?(saw|seen|shown|trained).{0,60}(opening|early|unfini"
        "shed|middle|earlier)",
        cause="The board was appended to the samples without a copy, so all samples of a game "
        "show its last board.",
        report="from memory: history.append(board) in place of board.copy()",
    ),
    "results of Red for the side to move": replace(
        TURNED,
        targets=lambda samples: samples.won,
        named_by=(
            _INVERTED
            + "|(label|target|result|outcome)s?.{0,60}(red's|of red|for red|absolute)|(label|targ"
            "et|result|outcome)s?.{0,60}(not|wrong|instead).{0,30}" + _MOVER
        ),
        cause="The network sees the board from the side to move, but its targets say whether Red "
        "wins, so answers are inverted where Blue is to move.",
        report="from memory: winner as z without the player's sign in forks of alpha-zero-general",
    ),
    "moves not transposed with the board": replace(
        TURNED,
        moves=as_played,
        named_by="(policy|moves?\\b).{0,80}(transpos|mirror|reflect|rows? and columns?|symmetr|or"
        "ient|diagonal|\\bframe|coordinate|(wrong|another|other) cell|as played|not turned)|(tran"
        "spos|mirror|reflect|rows? and columns?|diagonal|coordinate|orient|(wrong|another|other) "
        "cell|\\bframe).{0,80}(policy|\\bmoves?\\b)",
        cause="The board is transposed where Red is to move, but the policy's target is not.",
        report="from memory: canonical boards whose moves are not brought into the same frame",
    ),
    "sigmoid read as a tanh": replace(
        CHANCE,
        decode=lambda raw: (raw[:, 0].sigmoid() + 1) / 2,
        named_by=(
            "(sigmoid|tanh).{0,80}(read|twice|already|again|decod|mistaken|instead|as if|wrong)"
            "|(read|decod|taken|treated).{0,80}(sigmoid|tanh)|\\+ ?1\\) ?/ ?2|(decod|read.?out|co"
            "nver|transform)[a-z]*.{0,60}(twice|wrong|again|does not)|" + _HALF_RANGE
        ),
        cause="The value is a chance already, and (v + 1) / 2 is applied to it as to a tanh, so "
        "no answer is below a half.",
        report="from memory: value heads changed from tanh to sigmoid, and the search's code not",
    ),
}
