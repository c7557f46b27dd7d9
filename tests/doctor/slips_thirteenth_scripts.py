"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The thirteenth set was written as the twelfth was: with all causes and the words that name them, by
somebody who had read none of the checks and had run none of them, and before any of it was shown
to the doctor. `slips_eleventh_scripts` says what counts as named and what `report` holds.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_thirteenth as mistakes
from tests.doctor import networks_of_thirteenth as networks
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO, POOLED, WDL, cross_entropy

LOGIT = replace(POOLED, loss=cross_entropy, decode=lambda raw: raw[:, 0].sigmoid())
BINNED = replace(
    ALPHAZERO, network=mistakes.Binned, loss=mistakes.in_bins, decode=mistakes.mean_of_bins
)

SCRIPTS: dict[str, Foreign] = {
    "gate and values of a gated unit exchanged": replace(
        ALPHAZERO,
        network=networks.Mixer,
        after=mistakes.with_values_first,
        named_by="\\bgat(e|es|ed|ing)\\b|SwiGLU|\\bGLU\\b|halves.*(exchang|swap|order|wrong)|(exch"
        "ang|swap|wrong).*halves|(activation|sigmoid|SiLU|swish).*(wrong|other|second) half",
        cause="The joint layer of the gated units is split as values and gate, but was trained as "
        "gate and values, so the sigmoid stands on the wrong half.",
        report="ml-explore/mlx-lm#767; tgo-app-dev/vpipe#2",
    ),
    "rotary positions by halves in place of neighbours": replace(
        ALPHAZERO,
        network=networks.Rotary,
        after=mistakes.turned_by_halves,
        named_by="rotary|\\brope\\b|interleav|rotate_half|position(s|al)? (encod|embed|angle|turn)"
        "|(quer(y|ies)|\\bkeys?\\b).*(order|rows|permut|pair|turn|rotat|halves|wrong|exchang|swa"
        "p)|(order|rows|permut|pair|turn|rotat|halves).*(quer(y|ies)|\\bkeys?\\b)|positions?.{0,"
        "40}attention|attention.{0,60}(position|order of (its )?(channel|row)|permut)",
        cause="Rotary positions turn channels of the two halves of a head together, while queries "
        "and keys were trained with neighbouring channels turned together.",
        report="huggingface/transformers#25199; Dao-AILab/flash-attention#288",
    ),
    "zeros beyond the board left out of means": replace(
        WDL,
        network=networks.Inceptions,
        after=mistakes.without_margins_in_means,
        named_by="count_include_pad|(average|mean).{0,5}pool|pool.*(pad|edge|border|margin|zero|be"
        "yond)|padd(ed|ing)|means? over (the )?neighbour|(means?|average).*(edge|border|margin|be"
        "yond)|(edge|border) cells.*(scale|factor|larger|too large|other (mean|divisor))",
        cause="Mean pooling divides by the cells on the board, but in training it divided by all "
        "nine cells, so features at the edges are too large.",
        report="onnx/onnx-tensorrt#663; neo-ai/tvm#32",
    ),
    "norms folded over the zeros beyond the board": replace(
        ALPHAZERO,
        network=networks.NormFirst,
        after=mistakes.folded_forwards,
        named_by="\\bfold|\\bfus(e|ed|ing|ion)\\b|merg(ed|ing)|absor|padd(ed|ing)|norms?\\b.{0,60"
        "}(edge|border|beyond|zero|margin|convolution (behind|after))|(edge|border|margin|beyond"
        ").{0,60}(bias|shift|norm|zeros)|(bias|shift).*(edge|border|margin)",
        cause="Batch norms were folded into the padded convolutions behind them, whose biases now "
        "count the norm's shift for zeros beyond the board, too.",
        report="tenstorrent/tt-metal#1355; from memory: zero padding when a norm before a "
        "convolution is fused",
    ),
    "new features before the old ones": replace(
        LOGIT,
        network=networks.Dense,
        after=mistakes.with_newest_first,
        named_by="concat|\\bcat\\b|(order|permut|exchang|swap|shuffl|mix|wrong place).*(channel|fea"
        "ture|input|branch|map)|(channel|feature|input|branch|map)s?\\b.*(order|permut|exchang|sw"
        "ap|shuffl|wrong place|another place)|dense(ly)? (connect|block|net)",
        cause="Each layer's new features are put before the older ones in place of behind them, so "
        "later layers read their inputs in another order than in training.",
        report="PINTO0309/openvino2tensorflow#48; Xilinx/onnx-mlir#417",
    ),
    "two kernels of a channel in the other order": replace(
        ALPHAZERO,
        network=networks.Separable,
        after=mistakes.with_multipliers_first,
        named_by="depth.?wise|depth.?multiplier|group(ed|s).{0,20}conv|conv.{0,30}\\bgroups?\\b|(ke"
        "rnel|filter)s?\\b.*(order|permut|exchang|swap|shuffl|mixed|wrong (place|channel)|other c"
        "hannel|layout|reshap|transpos)|(order|permut|exchang|swap|shuffl|mixed|layout|reshap|tra"
        "nspos).*(kernel|filter)",
        cause="Depthwise kernels with a multiplier of two were reshaped with the multiplier first, "
        "so kernels are applied to other channels than in training.",
        report="apache/tvm#3922; gmalivenko/onnx2keras#150; KhronosGroup/NNEF-Tools#69",
    ),
    "own cell left out of a graph convolution": replace(
        LOGIT,
        network=networks.Graph,
        after=mistakes.without_own_cell,
        named_by="self.?loop|adjacen|\\bgraph\\b|\\blinks?\\b|\\bedge.?index|own (cell|node|feature"
        "|stone)|cell'?s own|(a|the|each) cell.*(itself|not see)|message|neighbour.*(only|alone|n"
        "ormal|wrong|another)|(only|wrong|another).*neighbour",
        cause="The graph is built without a link from each cell to itself, which it had in "
        "training.",
        report="dmlc/dgl#1566; pyg-team/pytorch_geometric#6251",
    ),
    "one round of a repeated layer": replace(
        ALPHAZERO,
        network=networks.Repeated,
        after=mistakes.with_one_round,
        named_by="\\brounds?\\b|iterat|repeat(ed|s|ing)|recurren|unroll|number of (steps|passes|tim"
        "es|loops|layers|blocks)|(fewer|other|too few|less|more) (often|times|steps|passes|layers"
        "|blocks)|weight.?(tied|shar)|shared weights|depth\\b.*(other|fewer|wrong|differ)",
        cause="A layer that was passed six times in training is passed once, since the number of "
        "rounds is not in the file of weights.",
        report="from memory: number of recurrent steps left at its default in weight-tied networks",
    ),
    "other channels cut in the next layer": replace(
        LOGIT,
        network=networks.Bottlenecks,
        after=mistakes.pruned,
        named_by="prun|(cut|removed|dropped|kept|lost|missing) (channel|filter|feature|input)|(chan"
        "nel|filter|input|column)s?\\b.*(cut|removed|dropped|misalign|misplac|wrong|shift|order|p"
        "ermut|exchang|swap|mixed|not (fit|match|belong)|mismatch)|(wrong|other|permut|mixed|misa"
        "lign|mismatch).*(channel|filter|input|column)s?\\b",
        cause="A quarter of the channels was pruned by importance, but the next layer keeps the "
        "inputs of the first channels, so its kernels read other channels than in training.",
        report="VainF/Torch-Pruning#146, #37; jack-willturner/batchnorm-pruning#9",
    ),
    "expectile in place of the mean": replace(
        ALPHAZERO,
        loss=mistakes.expectile,
        named_by="expectile|quantile|pinball|asymmetr|(too |over).?(optimis|hopeful|high).*(side to"
        " move|mover|own)|(side to move|mover).*(too high|too good|favou?r|overrat|optimis|overes"
        "tim)|(favou?r|overrat|overestim|optimis).*(side to move|mover)|(wins|errors|losses).*wei"
        "gh|weigh.*(wins|errors|losses)|unequal.*weight|loss.*(not proper|no proper|biased|one.?s"
        "ided|lopsided|does not give (a )?(mean|chance|probab))",
        cause="The value was trained on the expectile of 0.9, as in offline learning of Q-values, "
        "so errors from below weigh nine times as much and the side to move is overrated.",
        report="from memory: expectile loss of implicit Q-learning for a value that is read as a "
        "mean",
    ),
    "overlap as the value loss": replace(
        POOLED,
        loss=mistakes.dice,
        decode=lambda raw: raw[:, 0].sigmoid(),
        named_by="\\bdice\\b|overlap|\\bF1\\b|\\bIoU\\b|jaccard|segmentation|loss.*(not proper|no p"
        "roper|improper|other than|does not (give|reward) (a )?(chance|probab|calibrat))|not (a )"
        "?proper|improper|another loss|linear (loss|in the (answer|probab))",
        cause="The value was trained with the Dice loss of segmentation, which is no proper score, "
        "so answers go to 0 and 1.",
        report="from memory: Dice loss in binary classification and its calibration",
    ),
    "width of soft bins in units of the value": replace(
        BINNED,
        named_by="sigma|gauss|normal distribution|\\bwidth\\b|too (wide|broad|smooth|soft)|(smooth"
        "|soft|blur|smear|spread|widen|broaden)(ed|ing|en|ened)?\\b.*(target|label|bin|result)|(t"
        "arget|label|bin|result)s?\\b.*(smooth|soft|blur|smear|spread|wide|broad|pulled|shrunk|dr"
        "awn to|towards? (the )?(middle|half|0))|label.?smooth",
        cause="Targets are normal distributions over the bins whose width was meant in bins and is "
        "taken in units of the value, so they are far too wide and their means too near 0.",
        report="from memory: sigma of the histogram loss HL-Gauss, as a ratio to the bin width",
    ),
    "from the end to the opening, stage by stage": replace(
        WDL,
        rows=mistakes.from_the_end,
        batches=mistakes.stage_by_stage,
        named_by="forg(et|ot)|curricul|stage by stage|stages?\\b.*(order|never|last|one after|apar"
        "t|mixed)|not shuffled|unshuffled|without shuffl|sorted|order of (the )?(training|sample|"
        "position|batch|data)|(trained|taught|seen|learnt).*(last|latest|only) (on|the|in).*(open"
        "ing|early|beginning|first)|(only|last) (on )?(openings|early positions|first plies)",
        cause="Training went from finished boards back to openings stage by stage, without earlier "
        "stages mixed in, so the late positions were forgotten.",
        report="from memory: reverse curriculum without rehearsal; samples sorted and not shuffled",
    ),
    "prior of another collection in the logit": replace(
        LOGIT,
        loss=mistakes.with_prior,
        named_by="\\bprior\\b|logit.?adjust|class (share|frequenc|balance|imbalance)|(constant|fi"
        "xed) (term|offset|shift|bias|amount|summand)|(offset|shift|bias)\\b.*(logit|log.?odds|va"
        "lue|answer|output)|(logit|log.?odds|value|answer|output)s?\\b.*(offset|shift|displaced|b"
        "iased|missing term|by a constant)|(favour|overrat|underrat|too (low|high) for).{0,20}(re"
        "d|blue|one colour)|(base rate|share of (red's )?wins)",
        cause="The loss adds the log odds of a class's share to the logit, as for rare classes, "
        "but with nine wins to one; answers leave it out, so Red is underrated by a constant.",
        report="from memory: logit adjustment for unbalanced classes, with priors of other data",
    ),
}
