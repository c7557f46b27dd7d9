"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The fifteenth set was drawn as the fourteenth was, from another list: 40 mistakes with a weight each
for how often researchers make them, and with the kind of each (script, pipeline or file of games).
`numpy.random.default_rng(15).choice` drew 20 of them without replacement, with chances in
proportion to the weights; the draw was kept as it fell: eleven scripts, five pipelines and four
files. Each script was trained once with its mistake and once without. A file in which all moves are
transposed is read rightly by the import, so here only every second game is. All causes, and the
words that name them, were written by somebody who had read none of the checks and had run none of
them. `slips_eleventh_scripts` says what counts as named.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from tests.doctor import mistakes_fifteenth as mistakes
from tests.doctor.mistakes_fourteenth import half_turned
from tests.doctor.outside import Foreign, as_shown
from tests.doctor.outside_networks import (
    ALPHAZERO,
    ONE_OUTPUT,
    POOLED,
    canonical,
    cross_entropy,
    of_mover,
    signed,
    squared,
)
from tests.doctor.slips_fourteenth_scripts import CHANCE, CLASSES, TURNED


def _squared_tanh(raw: Tensor, target: Tensor) -> Tensor:
    return squared(raw.tanh(), target)


def _of_tanh(raw: Tensor, to_move: Tensor) -> Tensor:
    return of_mover(raw.tanh(), to_move)


PERCEPTRON = replace(
    ALPHAZERO,
    network=ONE_OUTPUT.network,
    loss=_squared_tanh,
    decode=_of_tanh,
    turned=half_turned,
)
ONE_LAYER_FOR_BOTH = replace(ONE_OUTPUT, turned=half_turned)
LOGIT = replace(
    POOLED, turned=half_turned, loss=cross_entropy, decode=lambda raw: raw[:, 0].sigmoid()
)
SIGNED = replace(LOGIT, network=mistakes.of_two_planes, encode=signed)
RELATIVE = Foreign(
    mistakes.Grouped,
    mistakes.with_side,
    lambda samples: samples.result,
    _squared_tanh,
    _of_tanh,
    turned=half_turned,
)
BINS = Foreign(
    mistakes.with_bins,
    canonical,
    lambda samples: (samples.result > 0).float(),
    mistakes.in_bins,
    mistakes.mover_of_bins,
    moves=as_shown,
    turned=half_turned,
)
SOUND = {
    "perceptron for the side to move": PERCEPTRON,
    "perceptron for Red": ONE_LAYER_FOR_BOTH,
    "pooled logit": LOGIT,
    "signed planes": SIGNED,
    "group norm for the side to move": RELATIVE,
    "bins for the side to move": BINS,
    "pooled chance": CHANCE,
    "win, draw and loss": CLASSES,
    "AlphaZero's tower": TURNED,
}

_MOVER = "(side.to.move|mover|player to move|whose turn|who(se)? (is to )?moves?\\b|which side)"
_UPSIDE_DOWN = (
    "(invert|flip|negat|revers|exchang|swap|wrong sign|opposite|wrong (side|player|colour)|other "
    "(side|player|colour)|perspective).{0,80}(value|target|label|result|answer|chance|win|red|blue"
    "|" + _MOVER + ")|(value|target|label|result|outcome|answer|chance|sign)s?\\b.{0,80}(invert|fli"
    "p|negat|revers|exchang|opposite|wrong (side|sign|player|colour)|other (side|player|colour)|pe"
    "rspective|not (of|for|that of) the " + _MOVER + ")"
)

SCRIPTS: dict[str, Foreign] = {
    "logits read as chances": replace(
        SIGNED,
        decode=lambda raw: raw[:, 0].clamp(0, 1),
        named_by="\\blogit|log.?odds|\\bclip|\\bclamp|\\bcut (off|to|at)|sigmoid.{0,60}(missing|fo"
        "rgot|left out|not applied|never|lack|absent|instead)|(missing|forgot|left out|without|\\bn"
        "o\\b|lacks?|needs?|instead of).{0,30}sigmoid|raw (output|value|score|number)s?.{0,60}(ch"
        "ance|probab|as (it|they) (is|are))|(not|no) (a )?(chance|probabilit)|(decod|read.?out|re"
        "ad)\\w*\\b.{0,60}(does not (fit|match)|wrong|another|mismatch|differ)",
        cause="The network's logits are read as if they were chances and cut to between 0 and 1; "
        "the sigmoid is missing.",
        report="from memory: BCEWithLogitsLoss in training and no sigmoid in predict",
    ),
    "no plane of the side to move": replace(
        RELATIVE,
        network=mistakes.of_two_planes,
        encode=mistakes.stones_only,
        named_by="((\\bno|not|never|missing|lack|without|ignor|absent|independent|regardless|whoe"
        "ver|cannot|can't|same|unaware|blind|nothing|left out|empty).{0,80}"
        + _MOVER
        + "|"
        + _MOVER
        + ".{0,80}(\\bnot?\\b|never|missing|lack|ignor|absent|independent|cannot|unknown|left out"
        "|nothing|nowhere|unseen|hidden|same|does(n't| not)))|whoever.{0,20}(turn|move)",
        cause="The planes do not say which side is to move, though the value is that of the side "
        "to move.",
        report="from memory: board planes of both colours without a turn plane in forks of "
        "alpha-zero-general",
    ),
    "rows and columns exchanged at inference": replace(
        ONE_LAYER_FOR_BOTH,
        asked=mistakes.by_columns,
        named_by="transpos|mirror|reflect|diagonal|\\brows?\\b.{0,40}\\bcolumns?|\\bcolumns?\\b.{"
        "0,40}\\brows?|\\bx\\b.{0,20}\\by\\b|\\baxes\\b|coordinates?.{0,60}(exchang|swap|wrong|di"
        "ffer|order)|(exchang|swap|confus|mixed up|wrong).{0,60}(coordinates|goals|edges|directio"
        "n|orientation)|orientation|(goals|edges|directions?).{0,60}(exchang|swap|wrong|confus|mi"
        "xed)|(inference|encoder|asked).{0,60}(differ|other|another|not the same).{0,60}training",
        cause="At inference the board is encoded with rows and columns exchanged, so each colour "
        "connects the wrong edges.",
        report="from memory: board[x][y] in the engine and board[y][x] in the training data",
    ),
    "eval forgotten at inference": replace(
        CHANCE,
        after=mistakes.still_training,
        named_by="eval\\b|train(ing)?.?mode|batch.?norm.{0,80}(train|batch|still)|"
        "statistics of the batch|batch statistics|"
        "(answer|value|chance|output|board|position)s?.{0,80}depend.{0,60}(batch|other (board|pos"
        "ition)|beside|company|together|along)|(same|alone|together|batch).{0,60}(differ|another|"
        "other) (answer|value)",
        cause="The network is still in training mode at inference, so batch norm uses the batch's "
        "own statistics and answers depend on the other boards.",
        report="from memory: model.eval() forgotten before inference, PyTorch forum",
    ),
    "only games that one colour won": replace(
        CLASSES,
        rows=mistakes.decisive,
        named_by="(only|all|always|every|never|\\bno\\b|single|one|constant|same).{0,80}(\\bred\\"
        "b|\\bblue\\b|colour|winner|class|result|outcome|label|\\bwins?\\b|\\bwon\\b|side).{0,60}"
        "(won|wins?\\b|train|game|label|result|answer|whatever|seen|lose|lost|data|favou?r)|(\\br"
        "ed|\\bblue|winner|label|result|outcome|colour)s?.{0,60}(only|always|every|never|one.?sid"
        "ed|imbalanc|unbalanc|constant|all the same)|imbalanc|unbalanced|one.?sided|filter|select"
        "ion|biased?\\b.{0,60}(red|blue|colour|side|winner)",
        cause="A filter for decisive games kept only those that Red won, so the network has never "
        "seen Red lose and always answers that Red wins.",
        report="from memory: games[games.result > 0] in place of != 0 for decisive games",
    ),
    "minus one kept as 255": replace(
        SIGNED,
        planes=mistakes.in_bytes,
        named_by="\\b255\\b|uint8|unsigned|\\bbytes?\\b|overflow|wrap(s|ped)? (a)?round|dtype|int"
        "eger type|(plane|input|encod)\\w*.{0,80}(scale|range|far (larger|smaller)|too (large|sma"
        "ll)|magnitude|hundred|negative|\\bsign\\b|(other|another|different) (values|numbers)|dif"
        "fer)|(scale|range|magnitude|negative|\\bsign\\b).{0,80}(plane|input|stones|encod|side)|("
        "trained|training).{0,60}(other|another|different) (planes|inputs?|encod)",
        cause="The replay buffer keeps planes as uint8, so -1 became 255 in training; at inference "
        "it is -1.",
        report="from memory: replay buffers of uint8 to save memory",
    ),
    "targets of the position after the move": replace(
        BINS,
        targets=mistakes.of_the_next_position,
        moves=lambda samples: mistakes.next_move(as_shown(samples)),
        named_by="off.by.one|(one|a|another|next|wrong|other|following|previous|earlier|later) (pl"
        "y|move|position|turn|step|board)\\b.{0,60}(target|label|value|result|policy|late|early|a"
        "head|behind|shift|belong|too)|(target|label|value|result|policy|move)s?\\b.{0,80}(next|f"
        "ollowing|previous|another|other|wrong|later|earlier|one) (ply|position|turn|board|move|s"
        "tep)|shift|misalign|after the move|" + _UPSIDE_DOWN,
        cause="Each board has the targets of the position after the move: the value of the other "
        "side, and the other side's move.",
        report="from memory: board stored before the move, and pi and z after it, in self-play "
        "loops",
    ),
    "target of the player who has just moved": replace(
        PERCEPTRON,
        targets=lambda samples: -samples.result,
        named_by="just moved|last (mover|player)|previous (mover|player)|moved last|has moved|"
        + (_UPSIDE_DOWN),
        cause="The target is the result of the player who has just moved, and the value is read as "
        "that of the side to move, so answers are inverted.",
        report="from memory: reward of env.step given to the next player in AlphaZero forks",
    ),
    "softmax before the policy's cross-entropy": replace(
        TURNED,
        network=mistakes.SureOfMoves,
        named_by="softmax|policy.{0,80}(probabilit|chance|logit|sum to (1|one)|uniform|flat|never "
        "negative|twice|normali[sz]ed|bounded|0 (and|to) 1|squash)|(probabilit|logit|uniform|flat|"
        "twice|normali[sz]ed).{0,60}(policy|moves?\\b)",
        cause="The policy head ends in a softmax before the cross-entropy, which has a softmax of "
        "its own, so the policy stays almost uniform.",
        report="from memory: nn.Softmax before nn.CrossEntropyLoss, PyTorch forum",
    ),
    "sigmoid before the loss's own": replace(
        LOGIT,
        network=mistakes.SquashedTwice,
        decode=lambda raw: raw[:, 0],
        named_by="sigmoid.{0,80}(twice|two|double|another|already|before|again|both|extra|second|"
        "of its own|one more)|(twice|two|double|another|already|again|both|extra|second).{0,60}si"
        "gmoid|BCEWithLogits|with.?logits|squashed twice|(activation|chances?|probabilit\\w*)"
        ".{0,60}(twice|double|already|again|as (if )?.{0,20}logit)|(twice|double).{0,40}"
        "(activation|appl)",
        cause="The network ends in a sigmoid, and BCEWithLogitsLoss applies another one, so "
        "answers are driven to 0 or 1.",
        report="from memory: sigmoid output with BCEWithLogitsLoss, PyTorch forum",
    ),
    "value head not loaded": replace(
        TURNED,
        after=mistakes.with_fresh_value,
        named_by="strict|(value|head|weight|layer|part)s?\\b.{0,80}(random|untrained|not (been )?("
        "load|train|restor|learn)|never (been )?(load|train|restor)|initial|fresh|as (it|they) (w"
        "as|were) (made|built|created)|missing|newly)|(random|untrained|initial|fresh|missing|unl"
        "oaded|not loaded|never (trained|loaded)).{0,60}(value|head|weight|layer|part)|state.?dic"
        "t|checkpoint",
        cause="The file names the value head's weights otherwise, and load_state_dict with "
        "strict=False left the value head random.",
        report="from memory: load_state_dict(strict=False) after a module was renamed",
    ),
}
