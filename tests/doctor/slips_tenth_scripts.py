"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The tenth set was written, with all causes and the words that name them, by somebody who had read
none of the checks, and before any of it was shown to the doctor. `report` names the thread that a
slip was taken from; "forum" stands for a mistake that is asked about again and again, and was
written from memory. A slip counts as named if a finding states what is wrong; a mere consequence,
such as a value that has learnt nothing, does not count. `named_by` approximates that.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_tenth as mistakes
from tests.doctor.mistakes_ninth import with_history
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO, POOLED, TRANSFORMER, WDL, Tower

_POOR = "under-?confident|too (close|near|cautious)|near (a )?half|0\\.5|shrunk|scale|temper"
_SURE = "over-?confident|too (sure|certain|extreme|far|confident)|saturat"

SCRIPTS: dict[str, Foreign] = {
    "bootstrapped three plies later with the sign kept": replace(
        ALPHAZERO,
        targets=mistakes.bootstrapped,
        named_by="(early|far|plies|opening|begin|until|except|before the (end|last)).*(invert|wrong"
        "|sign|opposite|revers|negat)|(invert|wrong|opposite|revers|negat|sign).*(early|far|plies"
        "|begin|opening|until|except|before the (end|last))|bootstrap",
        cause="Positions more than three plies before the end have the value of the position three "
        "plies later, which is that of the other side, as their target: early labels are inverted.",
        report="werner-duvaud/muzero-general#108",
    ),
    "winners written in small letters": replace(
        WDL,
        targets=mistakes.compared_with_capital_letters,
        named_by="(label|target|outcome|result|winner).*(wrong|invert|mis|nois|one.sided|contradict"
        "|Red)|nois|Blue.*(taught|label|count|taken|trained).*Red|half of (the )?(games|Blue)",
        cause="In every second game Blue's wins are taught as Red's, since the winner is written "
        "as `b` and compared with `B`.",
        report="forum, from memory: comparison of a string that is true or false too often",
    ),
    "quarter turn for Red": replace(
        ALPHAZERO,
        encode=mistakes.quarter_turned,
        moves=mistakes.as_quarter_turned,
        named_by="quarter|90 degree|rotat|reflect|mirror|transpos|orient|(edges|cells).*touch"
        "|neighbour|turn.*(Red|board|plane)|(Red|board|plane).*turn(ed|s)? by",
        cause="The canonical board of Red is turned by a quarter and not reflected, so other cells "
        "touch than on Blue's.",
        report="suragnair/alpha-zero-general#44",
    ),
    "encoder that remembers the board before": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=4),
        planes=with_history,
        asked=mistakes.Remembering(),
        named_by="(earlier|previous|last|other|before) (call|board|position)|repeat|twice|remember"
        "|memory|histor|same (board|position)|\\bstate\\b|order (of|in)|not the same",
        cause="Two planes show the board that the encoder was asked for before, which at inference "
        "is not the position before in the game.",
        report="benediamond/chess-alpha-zero#10",
    ),
    "state kept between evaluations": replace(
        ALPHAZERO,
        network=mistakes.Recurrent,
        after=mistakes.for_a_new_game,
        named_by="(earlier|previous|last|other|before) (call|answer|position|evaluation|batch)"
        "|call to (the next|call|another)|repeat|stale|\\bstate\\b|reset|hidden|twice|memory",
        cause="The recurrent state is not reset between evaluations, so an answer depends on the "
        "positions that were asked before.",
        report="isaac-sim/IsaacLab#3837",
    ),
    "random half turn at inference": replace(
        ALPHAZERO,
        asked=mistakes.TurningAtRandom(),
        named_by="random|\\bturn|half.?turn|rotat|repeat|twice|same (board|position)|not the same"
        "|determin|symmetr|differ.*(call|time)",
        cause="The encoder turns the board by a half turn at random, and the policy is not turned "
        "back.",
        report="mokemokechicken/reversi-alpha-zero#16, its mistake from memory",
    ),
    "attention mask the wrong way round": replace(
        TRANSFORMER,
        network=mistakes.MaskedTransformer,
        named_by="mask|(which|whose|the) colou?r|colou?rs? .*(exchang|ignor|not|no |swap|without)"
        "|(stones|planes?).*(ignor|not (seen|read|used|enter)|no (effect|influence)|blind|does not)"
        "|does not (see|depend|react|change)|only.*(empty|which cells)",
        cause="The mask leaves out the cells with stones where it should leave out the others, so "
        "the value sees which cells are empty but not the colours of the stones.",
        report="InseeFrLab/torchTextClassifiers#92",
    ),
    "likelihood without its logarithm": replace(
        WDL,
        loss=mistakes.log_forgotten,
        named_by=f"\\blog(arithm)?\\b|proper|linear|calibrat|0 and 1|softmax|{_SURE}",
        cause="The loss is the negative probability of the result and not its logarithm, which "
        "drives the probabilities to 0 and 1.",
        report="AnubhavGupta3377/Text-Classification-Models-Pytorch#9",
    ),
    "scaled value read without the inverse": replace(
        POOLED,
        targets=mistakes.scaled_value,
        decode=lambda raw: ((raw[:, 0] + 1) / 2).clamp(0, 1),
        named_by=f"invers|transform|range|reach|outside 0|decod|read-?out|{_POOR}",
        cause="The value is trained on MuZero's scaled results, which are +-0.415, and read as "
        "if they were +-1, so the answers are too near to one half.",
        report="the transform of werner-duvaud/muzero-general#6, its mistake from memory",
    ),
    "centipawns of another formula": replace(
        ALPHAZERO,
        decode=mistakes.in_centipawns,
        named_by=f"decod|read(ing|-?out)|formula|conver|scale|calibrat|\\(x \\+ 1\\)|{_SURE}",
        cause="The value is converted to centipawns by one formula and back to a chance by that of "
        "another program, which makes the answers too extreme.",
        report="LeelaChessZero/lc0#728",
    ),
    "branch of the example kept in the trace": replace(
        POOLED,
        network=mistakes.WithABranch,
        targets=lambda samples: samples.won,
        decode=lambda raw: ((raw[:, 0] + 1) / 2).clamp(0, 1),
        after=mistakes.traced,
        named_by="(Red|one side|side to move|mover|colou?r|odd|even).*(invert|wrong|opposite|revers"
        "|sign|negat)|(invert|wrong|opposite|revers|sign|negat).*(Red|one side|side to move|mover"
        "|odd|even)|trac(e|ing)|branch",
        cause="The exported network has the branch for Blue to move in it, so its value has the "
        "wrong sign where Red is to move.",
        report="pytorch/pytorch#21774; pytorch/pytorch#140539",
    ),
    "kernels not turned for torch": replace(
        ALPHAZERO,
        after=mistakes.as_theano_convolves,
        named_by="kernel|filter|flip|half.?turn|180|turned|rotat|convol|mirror|upside",
        cause="The kernels of a network trained with Theano are turned by a half turn, since its "
        "convolution flips them and torch's does not.",
        report="keras-team/keras#3015",
    ),
    "norms divided by the variance": replace(
        ALPHAZERO,
        after=mistakes.divided_by_the_variance,
        named_by="norm(s|alis\\w+)?\\b|varian|root|statistic|deviation|running|fold",
        cause="The exported batch norms divide by the variance and not by its root.",
        report="analogdevicesinc/ai8x-training#108",
    ),
    "board times the player, who is 0 at the end": replace(
        ALPHAZERO,
        encode=mistakes.times_the_player,
        named_by="(finish|final|terminal|ended|over|decided|to_move).*(empty|blank|equal|zeros?\\b"
        "|no stones|without|same|not (shown|seen|encoded)|lose|lost|identical)|(empty|blank|equal"
        "|no stones|same|identical).*(finish|final|terminal|ended|over|decided)",
        cause="The encoder multiplies the board by the side to move, which is 0 on a finished "
        "board, so that all finished boards are shown empty.",
        report="suragnair/alpha-zero-general (getCanonicalForm), its mistake from memory",
    ),
    "policy numbered by legal moves": replace(
        POOLED,
        moves=mistakes.number_among_legal_moves,
        named_by="(policy|move|logit).*(legal|empty|free|number|index|place in|list|order|shift"
        "|other cell|wrong cell|count)|(legal|empty|free).*(policy|move|number|index|count)",
        cause="A policy logit is that of the n-th empty cell and not of the n-th cell.",
        report="opendilab/LightZero#486, done in Hex",
    ),
}
