"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The sixteenth set was drawn as the fourteenth was, from another list: 113 mistakes with a weight
each for how often researchers make them, and with the kind of each (script, pipeline or file of
games). `numpy.random.default_rng(16).choice` drew 26 of them without replacement, with chances in
proportion to the weights; the draw was kept as it fell: nineteen scripts, four pipelines and three
files. The networks are other ones than those of the earlier sets, and each
script was trained once with its mistake and once without. All causes, and the words that name them,
were written by somebody who had read no code of the checks and had run none of them, but who had
seen `test_likely`, which quotes some of their causes for earlier sets. `slips_eleventh_scripts`
says what counts as named.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_sixteenth as mistakes
from tests.doctor.networks_of_sixteenth import (
    AVERAGED,
    CONVOLVED,
    DROPPING,
    GATED,
    PAIRED,
    PLIES,
    SIDED,
    SIGNS,
    as_red,
)
from tests.doctor.outside import Foreign, as_played

_MOVER = "(side.to.move|mover|player to move|whose turn|who(se)? (is to )?moves?\\b|which side)"
_LABEL = "(value|target|label|result|outcome|reward|return)s?\\b"
_SOFTMAX_TWICE = (
    "softmax|(chances?|probabilit\\w+).{0,60}(in place of|instead of|as (if )?.{0,20}|where).{0,20}"
    "logits?|normali[sz]ed (twice|already)"
)

SCRIPTS: dict[str, Foreign] = {
    "no activations": replace(
        AVERAGED,
        network=mistakes.without_activations,
        named_by="(\\bno|\\bnot|without|missing|lacks?|forgot\\w*|never).{0,40}(activation|relu|no"
        "n.?linear)|(activation|relu|non.?linear\\w*).{0,40}(missing|forgot|absent|lack|l"
        "eft out|between)|\\blinear\\b|\\baffine|additive|\\bsum of (its |the )?(cells|st"
        "ones|inputs)|stone by stone|without (any )?interaction",
        cause="There is no activation between the layers, so the whole network is one linear map "
        "of the planes.",
        report="from memory: nn.Sequential of layers without nn.ReLU, PyTorch forum",
    ),
    "optimiser of another copy": replace(
        GATED,
        optimiser=mistakes.of_another_copy,
        named_by="optimi[sz]er|untrained|(never|not) (been )?(trained|updated|changed|moved|learnt"
        "|learned)|(weights|parameters).{0,60}(\\bnever|\\bnot\\b|initial|random|fresh|as"
        " (it|they) (was|were) (made|built|created)|unchanged)|(initial|random|fresh)(ly)"
        "? .{0,20}(weights|parameters|network|init)|freshly|(made|drawn|left|set) at rand"
        "om",
        cause="The optimiser holds the parameters of another copy of the network, so the weights "
        "of this one are still those that it was made with.",
        report="from memory: optimizer made before the model is copied or made again, PyTorch "
        "forum",
    ),
    "dropout at inference": replace(
        DROPPING,
        after=mistakes.still_dropping,
        named_by="dropout|drops? out|\\beval\\b|train(ing)?.?mode|(same|one|equal) (position|board|"
        "planes?|input|batch).{0,60}(differ|another|other answer|two|vary|change)|(not|non).?deter"
        "min|stochastic|answers?.{0,40}(at random|random(ly)?\\b)|noisy? (answer|at inference)|cha"
        "nge from (call|one)",
        cause="The network was not put into eval mode, so dropout is at work at inference and "
        "answers are partly random.",
        report="from memory: model.eval() forgotten in self-play workers",
    ),
    "side to move constant at inference": replace(
        SIDED,
        asked=mistakes.always_red,
        named_by=_MOVER
        + ".{0,100}(constant|same|always|ignor|(\\bnot?|never) (chang|set|updat|shown|told|encod|i"
        "n the|depend)|stuck|fixed|missing|at inference|does(n't| not) (depend|change))|(constan"
        "t|same|always|never|ignor|stuck|fixed|missing|independent|whoever|lacks?|without|regard"
        "less).{0,80}"
        + _MOVER
        + "|wrong.{0,12}"
        + _MOVER
        + "|whoever.{0,20}(turn|move)|plane.{0,60}(constant|always|never (chang|set)|stuck)|\\btur"
        "n.{0,20}plane|encoder.{0,80}(differ|not the (same|one)|other than).{0,40}training|alway"
        "s (says|shows|as if|encod|asked).{0,30}(red|blue)",
        cause="At inference the plane of the side to move always says that Red is to move, while "
        "in training it was right.",
        report="from memory: turn plane that is set once at the start of a game",
    ),
    "schedule stepped after each batch": replace(
        GATED,
        optimiser=mistakes.falling_after_each_batch,
        named_by="schedul|learning.?rate|\\brates?\\b.{0,60}(too|vanish|fell|fall|small|zero|low)|u"
        "nder.?(trained|fit)|too (few|short|little).{0,30}(step|train|epoch|updat)|(hardly|barely"
        "|scarcely|too briefly|too short|not long enough|not enough|insufficient|far from|not full"
        "y).{0,40}(train|converg|learn|moved|chang)|trained (too|hardly|barely|for too)|train.{0,3"
        "0}(longer|further|more steps)|(near|close to).{0,40}(initial|first|fresh)",
        cause="The scheduler is stepped after each batch and not after each epoch, so the learning "
        "rate has all but vanished after twenty batches and the network is hardly trained.",
        report="from memory: scheduler.step() in the inner loop, PyTorch forum",
    ),
    "result of Red as target of the side to move": replace(
        CONVOLVED,
        targets=lambda samples: samples.won,
        named_by="^(?!.*\\bplane of).*("
        + _MOVER
        + ".{0,120}(\\bred\\b|\\bblue\\b|flip|invert|negated|opposite|convert|wrong sign|instead|f"
        "ixed (player|colour|side)|not (of|for|that))|(\\bred('s)?|\\bblue('s)?|fixed (player|co"
        "lour|side)|first player('s)?|one (side|colour|player)('s)?|absolute|flip|invert|negated"
        "|opposite|wrong (sign|side|perspective)).{0,120}"
        + _MOVER
        + "|perspective|"
        + _LABEL
        + ".{0,60}(of (red|blue|a fixed|one|the first)|red's|blue's|absolute|\\bsigns?\\b|invert|f"
        "lip|negated)|(invert|flip|negated|wrong sign|sign of).{0,60}("
        + _LABEL
        + "|\\bred\\b|\\bblue\\b|turn))",
        cause="The planes are those of the side to move, but the target says whether Red wins, and "
        "the value is read as that of the side to move.",
        report="from memory: game result stored for player 1 in forks of alpha-zero-general",
    ),
    "values against targets of another shape": replace(
        CONVOLVED,
        loss=mistakes.squares_of_pairs,
        named_by="broadcast|\\bshapes?\\b|squeeze|\\[B, ?(B|1)\\]|\\(N, ?(N|1)\\)|\\bpairs\\b|(each"
        "|every) (value|answer|output|prediction).{0,60}(all|every|each|whole)( the)? (target|label"
        "|result|batch)|(mean|average) (of|over|in) (the |all |a |every )*(bat"
        "ch|target|label|result|outcome)s?",
        cause="Values of shape [B, 1] less targets of shape [B] make all B x B pairs, so each "
        "value is drawn to the mean of the batch.",
        report="from memory: (v - z) ** 2 with a missing squeeze, in AlphaZero forks",
    ),
    "turned and mirrored as in Go": replace(
        AVERAGED,
        turned=mistakes.with_symmetries_of_go,
        named_by="symmetr|augment|rotat|quarter|rot90|90( degrees|°)|mirror|reflect|transpos|diagon"
        "al|flip(ped)? (of )?(the )?(boards?|planes)|(edges|sides|goals|directions?).{0,60}(exchan"
        "g|swap|confus|mixed|not (know|tell|distinguish)|which|whose|either)|(exchang|swap|confus|"
        "which|whose|not know|cannot tell|mix(es|ed) up).{0,60}(edges|goals|direction|\\btop\\b)",
        cause="The augmentation turns boards by quarters and mirrors them as in Go, which in Hex "
        "exchanges the edges that a colour must connect, without exchanging the colours.",
        report="from memory: np.rot90 and np.fliplr of getSymmetries kept for Hex",
    ),
    "ReLU before the tanh": replace(
        CONVOLVED,
        network=mistakes.never_negative,
        named_by="\\brelu|rectif|\\bdead\\b|\\bdied\\b|(never|\\bnot?|cannot|can't).{0,30}(below|u"
        "nder|less|negative|lose|lost|\\ba loss)|negative (value|answer|output|number)s?|"
        "(at least|above|not below|only from|all over|lowest|floor|non-?negative|positive"
        ").{0,40}(0\\.5|50 ?%|a half|one half|zero|0\\b)|(half|part) of (the|its) (range|"
        "scale|interval)|(scale|range|interval)\\b.{0,60}(half|limit|restrict|cut|only)|("
        "cut|clip|clamp)(ped)? (off )?(at|to|below)\\b",
        cause="A ReLU stands between the last layer of the value and its tanh, so the value is "
        "never negative; here it has died, and every position is answered as even.",
        report="from memory: F.relu around the last layer of a value head, PyTorch forum",
    ),
    "value read from the other column": replace(
        PLIES,
        decode=lambda raw: (raw[:, 1].tanh() + 1) / 2,
        named_by="(wrong|other|another|second|first|different|not the) (output|head|entry|element|"
        "index|component|channel|number|column)|(output|head|entry|index|column)\\b.{0,40"
        "}(wrong|\\bother\\b|not the (value|right))|\\bplies\\b.{0,40}(left|end|read|rema"
        "in)|(length|end) of the game|moves (left|remaining)|auxiliary|raw\\[:, ?[01]\\]|"
        "swapped outputs|(outputs?|columns?) (is|are|were) (swapped|exchanged)",
        cause="The head has two outputs, the value and the plies that are left, and the plies are "
        "read as the value.",
        report="from memory: order of the outputs of KataGo-like heads in wrappers",
    ),
    "softmax at the policy's end": replace(
        PAIRED,
        network=mistakes.with_chances_of_moves,
        named_by="^(?=.*\\b(policy|moves?)\\b).*("
        + _SOFTMAX_TWICE
        + "|policy.{0,80}(probabilit|chance|logit|sum to (1|one)|uniform|flat|twice|bounded|betwee"
        "n 0|never negative|squash)|(uniform|flat|twice).{0,60}(policy|moves?\\b))",
        cause="The policy head ends in a softmax, and the cross-entropy applies another one, so "
        "the policy is learnt badly and stays almost uniform.",
        report="from memory: F.softmax in forward and nn.CrossEntropyLoss in training",
    ),
    "planes standardised in training only": replace(
        CONVOLVED,
        planes=mistakes.standardised,
        named_by="normali[sz]|standardi[sz]|\\bscal(e|ed|ing)\\b|\\bmean and|standard deviation|(p"
        "lane|input).{0,60}deviation|\\bstd\\b|centred|(trained|training).{0,60}(other|an"
        "other|different|not the same) (planes|inputs?|encod|numbers|values)|(plane|input"
        "|encod)\\w*.{0,80}(differ|not (those|the (same|ones))|another|other|never (seen|"
        "met|saw)).{0,60}(train|norm|mean)|distribution (of|shift).{0,30}(input|plane|tra"
        "in)|(inference|asked).{0,60}(differ|other|another|not the same).{0,60}training",
        cause="In training the planes were standardised by their means and deviations; at "
        "inference they are not.",
        report="from memory: transforms.Normalize in the data set and not in predict",
    ),
    "one array for all boards of a game": replace(
        GATED,
        planes=mistakes.one_board_for_all,
        named_by="\\balias|without (a |being )?cop(y|ied)|not (been )?copied|\\bcopies of|copy.{0,"
        "30}(board|position)|same (object|array|board)|overwrit|\\bmutat|by reference|lat"
        "er (stones|moves|positions)|future|\\bleak|(board|position|stones)s?.{0,40}(of|f"
        "rom|at) the (end|last|final)|(only|nothing but|mostly|alone|just).{0,40}(finishe"
        "d|\\bfull|final|\\blast|\\blate\\b|\\bend\\b)|(finished|final|last|late|full) (b"
        "oard|position)s?.{0,40}(only|alone)|(opening|early|unfinished|middle|earlier|spa"
        "rse).{0,60}(never|not) (been )?(seen|trained|shown|learn|in)|never (been )?(saw|"
        "seen|shown|trained).{0,60}(opening|early|unfinished|middle|earlier)",
        cause="All samples of a game hold the same array, which was not copied, so in training "
        "each of them showed the board of the end.",
        report="from memory: examples.append([board, ...]) without copy() in self-play loops",
    ),
    "discounted without a change of signs": replace(
        CONVOLVED,
        targets=mistakes.discounted,
        named_by="discount|gamma|single.?(player|agent)|one player|(sign|minus).{0,60}(alternat|mi"
        "ssing|change|flip|turn|ply|never)|(alternat|missing).{0,40}(sign|minus)|without."
        "{0,20}(minus|changes? of (the )?sign|sign chang|alternat)|negamax|(target|label|"
        "result|outcome|return|reward)s?\\b.{0,80}(always|never|only|all|not).{0,30}(posi"
        "tive|negative|win|won|lose|lost|above)|(always|never|only).{0,40}(\\bwins?\\b|\\"
        "bwon|\\bloses?\\b|\\blost)|(value|target|label|answer)s?\\b.{0,60}(plies|length|"
        "end of the game|how (near|far|long|soon|close))|(plies|distance|near|close|far|m"
        "oves|soon).{0,30}(to|from|until|before|left).{0,20}(the )?end\\b|(same|one) sign"
        "\\b|(both|either) (side|player|colour)",
        cause="The target is the winner's reward times a discount for each ply, with a plus for "
        "both sides, so it tells how near the end is and not who wins.",
        report="from memory: discounted returns of REINFORCE code copied to a game of two players",
    ),
    "initial weights far too large": replace(
        CONVOLVED,
        network=mistakes.with_large_weights,
        named_by="initiali[sz]|\\binit\\b|initial (weights|values)|saturat|(weights?|parameters?|a"
        "ctivations?|features?|logits?|pre.?activations?|raw values?).{0,60}(too )?(large"
        "|huge|big|great|explod|thousands|magnitude|enormous)|(large|huge|big|enormous|ex"
        "plod\\w*) (initial )?(weights|parameters|activations|features|values|logits)|gra"
        "dients?.{0,40}vanish|(only|nothing but|almost all|always|nearly all).{0,60}(-1|"
        "\\+1|extremes?|0 (or|and) 1)|tanh.{0,40}(end|limit|extreme|flat|bound)",
        cause="All weights were drawn with a deviation of 1, so the tanh of the value is saturated "
        "from the beginning and has no gradient.",
        report="from memory: nn.init.normal_(p) with its default deviation, PyTorch forum",
    ),
    "minus one sent as 255": replace(
        SIGNS,
        asked=mistakes.unsigned,
        named_by="\\b255\\b|uint8|unsigned|\\bbytes?\\b|overflow|wrap(s|ped)? (a)?round|dtype|inte"
        "ger type|(plane|input|encod)\\w*.{0,80}(scale|range|far (larger|smaller)|too (large|small"
        ")|magnitude|hundred|negative|\\bsign\\b|\\blarge)|(scale|range|magnitude|negative|huge|la"
        "rge|\\bsign\\b).{0,80}(plane|input|stones|encod|side)|(inference|asked).{0,60}(differ|oth"
        "er|another|not the same).{0,60}training|(trained|training).{0,60}(other|another|different"
        ") (planes|inputs?|encod|numbers|values)",
        cause="At inference the planes are kept as bytes without a sign, so -1 is 255; in training "
        "it was -1.",
        report="from memory: boards sent as np.uint8 to an inference server",
    ),
    "softmax before the value's cross-entropy": replace(
        PAIRED,
        network=mistakes.with_chances_of_classes,
        decode=lambda raw, to_move: as_red(raw[:, 1], to_move),
        named_by="^(?!.*\\bpolicy\\b).*(" + _SOFTMAX_TWICE + ")",
        cause="The value ends in a softmax before the cross-entropy, which has a softmax of its "
        "own, so chances are driven to 0 and 1.",
        report="from memory: nn.Softmax before nn.CrossEntropyLoss in win/loss heads",
    ),
    "moves of the board as played": replace(
        PAIRED,
        moves=as_played,
        named_by="(policy|moves?\\b).{0,80}(transpos|mirror|reflect|rows? and columns?|symmetr|orie"
        "nt|diagonal|\\bframe|coordinate|canonical|(wrong|another|other) cell|as played|not turned|"
        "column by column)|(transpos|mirror|reflect|rows? and columns?|diagonal|coordinate|orient|c"
        "anonical|(wrong|another|other) cell|\\bframe).{0,80}(policy|\\bmoves?\\b)",
        cause="The board is transposed for Red, but the policy is taught the cell of the move as "
        "it was played.",
        report="from memory: canonical board with the policy target of the real board",
    ),
    "planes taken from rows and columns": replace(
        AVERAGED,
        encode=mistakes.reshaped,
        named_by="reshap|permut|memory layout|\\blayout|channels?.?(last|first)|NHWC|interleav|plan"
        "es?.{0,60}(mixed|scrambl|shuffl|jumbl|wrong place|torn|cut)|(scrambl|mix(ed|es)|shuffl|jum"
        "bl|tear|scatter).{0,60}(plane|cell|board|channel|stone)|(cell|stone)s?.{0,60}(wrong place|"
        "other places|not where|scatter|another cell|other cells|wrong cell|other planes)|(neighbou"
        "r|adjacen).{0,60}(not|lost|apart|torn|broken)",
        cause="Planes behind rows and columns are brought to the front by a reshape in place of a "
        "transposition, so each plane mixes cells of all planes.",
        report="from memory: np.dstack of planes and reshape(3, N, N)",
    ),
}
