"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The twelfth set was written as the eleventh was: with all causes and the words that name them, by
somebody who had read none of the checks and had run none of them, and before any of it was shown
to the doctor. `slips_eleventh_scripts` says what counts as named and what `report` holds.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_twelfth as mistakes
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO, POOLED, WDL, Tower

_OTHER_TARGETS = "(target|label)s? (is|are|was|were) (not|other than|something else)"

SCRIPTS: dict[str, Foreign] = {
    "gates of a recurrent layer exchanged": replace(
        ALPHAZERO,
        network=mistakes.Recurrent,
        after=mistakes.with_updates_first,
        named_by="\\bgates?\\b|\\bGRU\\b|recurren|(reset|update).*(exchang|swap|order|first)",
        cause="The reset and update gates of the recurrent layer are exchanged, since Keras and "
        "ONNX keep them in another order than torch.",
        report="keras-team/keras#8720; ENOT-AutoDL/onnx2torch#256",
    ),
    "queries, keys and values head by head": replace(
        ALPHAZERO,
        network=mistakes.Attending,
        after=mistakes.with_heads_first,
        named_by="quer(y|ies)|\\bkeys?\\b|qkv|in_proj|(order|rows|layout|arrangement).*(atten"
        "tion|heads)|(attention|heads?).*(order|rows|mixed|permut|interleav|exchang|swap"
        "|layout|wrong place)",
        cause="Attention takes queries, keys and values from the wrong rows: the file holds them "
        "head by head, and they are read as all queries, all keys and all values.",
        report="vllm-project/vllm#53114; MiniMax-AI/MiniMax-H3#48",
    ),
    "norms behind the layers in place of before them": replace(
        ALPHAZERO,
        network=mistakes.Attending,
        after=mistakes.with_norms_last,
        named_by="norm_first|pre.?norm|post.?norm|norm(s|alisation)?\\b.{0,40}(before|behind|"
        "after|first|last|place|order|moved)|(before|behind|after).{0,40}\\bnorm",
        cause="The transformer was trained with its norms before the layers and is rebuilt with "
        "norms behind them, which have the same names and shapes.",
        report="from memory: norm_first of torch's TransformerEncoderLayer left at its default",
    ),
    "another number of groups": replace(
        WDL,
        after=mistakes.in_groups_of_two,
        named_by="group.?norm|num_groups|number of groups|groups? of (two|2|channels)|(more|fe"
        "wer|other|12|wrong).*groups|group.?normali[sz]",
        cause="The group norms normalise over other groups of channels than in training, since the "
        "number of groups is not in the file of weights.",
        report="from memory: settings without weights, such as num_groups, and a state_dict that "
        "loads without complaint",
    ),
    "blocks in alphabetical order": replace(
        ALPHAZERO,
        network=mistakes.DeepTower,
        after=mistakes.in_alphabetical_order,
        named_by="(block|layer|weight)s?.*(alphabet|order|permut|sort|shuffl|exchang|swap|wrong"
        " place|out of (place|turn))|(alphabet|order|permut|sort|shuffl|wrong place).*(block"
        "|layer|weight)s?",
        cause="The blocks stand in the alphabetical order of their names, so the tenth follows the "
        "first.",
        report="keras-team/keras#8134; keras-team/keras#10224",
    ),
    "mask of the kernels lost": replace(
        POOLED,
        network=mistakes.HexPooled,
        after=mistakes.as_plain_convolutions,
        named_by="\\bmask|corner|(hex|seven|7).*(kernel|cell|neighbour)|kernel.*(hex|seven|7|u"
        "ntrained|never (trained|learnt)|diagonal|initial)|never trained|untrained weig"
        "hts|(random|initial).*weights?.*(kernel|conv)",
        cause="The kernels were trained with a mask over two corners and are exported without it, "
        "so weights count that were never trained.",
        report="from memory: masked convolutions (PixelCNN, hexagonal kernels) and load_state_dict "
        "into plain ones",
    ),
    "largest weights wrapped round to the other sign": replace(
        POOLED,
        after=mistakes.wrapped_round,
        named_by="overflow|wrap|int8|eight.?bits?|8.?bit|quanti[sz]|(largest|large) weights?.*"
        "sign|sign.*(largest|large) weights?|two's complement|(steps|grid|multiples|lev"
        "els).*weights|weights.*(steps|grid|multiples|levels|256|255|few (different|dist"
        "inct))",
        cause="Weights were cast to eight bits without clamping, so the largest ones wrapped round "
        "to the other sign.",
        report="from memory: numpy's astype(int8) after rounding, without clip",
    ),
    "even kernels padded on the other side": replace(
        ALPHAZERO,
        network=mistakes.EvenKernels,
        after=mistakes.padded_before,
        named_by="padd|margin|even kernel|2 ?x ?2|(moved|shifted|displaced|off) by (a|one|some"
        "|[1-5]|several|few)|shifted (cell|board|map|feature|policy)|(map|feature|policy"
        "|board)s?.*(shift|moved|displac)|(shift|offset|displac).*(cell|row|map)",
        cause="Kernels of 2x2 are padded above and on the left in place of below and on the right, "
        "so that the maps of features move over the board.",
        report="from memory: padding 'same' of Keras and TensorFlow, which puts the odd row last",
    ),
    "progress by the length of the record": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=3),
        planes=mistakes.with_progress,
        asked=mistakes.with_all_played,
        named_by="progress|share of the game|(length|end) of the (game|record)|\\bleak|future|"
        "given away|plane.*(constant|always|same|in training|differ|\\b1\\b|ones)|"
        "(constant|always|same|other values).*plane",
        cause="In training a plane holds the share of the game that has been played, which the "
        "record's end gives away; at inference it is always 1.",
        report="from memory: features such as ply / len(game), computed from the whole record",
    ),
    "target network never renewed": replace(
        ALPHAZERO,
        targets=mistakes.from_a_network_never_renewed,
        named_by="target network|bootstrap|temporal difference|\\bTD\\b|(un|not |never )(trained|"
        "renewed|updated).*(network|target)|(random|initial|frozen) network|next positi"
        "on'?s value|value of the next|only (on )?(the )?(last|final|finished)|(only|alone"
        ").*(finished|final|last) (board|position)|(finished|final|last) (board|position)s?"
        ".*(only|alone)|" + _OTHER_TARGETS,
        cause="All but finished boards are taught the next position's value by a target network "
        "that stays at its first weights.",
        report="from memory: update of the target network forgotten in TD learning and DQN",
    ),
    "boards moved by a cell as photographs are": replace(
        ALPHAZERO,
        turned=mistakes.moved_by_a_cell,
        named_by="augment|translat|\\bshift|crop|(moved|displaced) (by|over|sideways)|(edge|bor"
        "der)s?.*(ignor|lost|not seen|moved|does not know|where)|moved boards?",
        cause="In training boards are moved by a cell at random, as photographs are, so edges are "
        "not where they belong and stones fall off the board.",
        report="from memory: RandomCrop with padding and RandomAffine in board games",
    ),
    "margin read as a chance": replace(
        ALPHAZERO,
        loss=mistakes.hinge,
        named_by="hinge|margin|support vector|\\bSVM\\b|not (a|trained as( a)?) (logit|log odds|pr"
        "obabilit|chance)|loss.*(not proper|no proper|other than|does not give (a )?chanc"
        "e)|(logit|sigmoid|read.?out|decod).*(does not (fit|match|belong)|wrong|another)|"
        "(wrong|another) (read.?out|sigmoid|decod|scale)",
        cause="The value was trained with the hinge loss, whose margins between -1 and 1 are "
        "read as chances.",
        report="from memory: probabilities from a support vector machine's margins",
    ),
    "only differences between positions taught": replace(
        POOLED,
        loss=mistakes.by_pairs,
        decode=lambda raw: raw[:, 0].sigmoid(),
        named_by="rank|pair|differences|(level|offset|shift|zero point).*(never|not taught|not "
        "trained|free|arbitrary|undetermined)|(constant|offset|shift|bias) (is )?added "
        "to (all|every|the)|only the order|order (of|among) (the )?(positions|answers|"
        "values)|not (a|trained as( a)?) (logit|log odds|probabilit|chance)",
        cause="The loss compares pairs of positions, so only differences of values are taught, "
        "which are read as logits.",
        report="from memory: RankNet and AUC losses whose scores are read as probabilities",
    ),
    "result of the match taught for each game": replace(
        POOLED,
        targets=mistakes.of_the_match,
        named_by="\\bmatch(es)?\\b|series|majority|(result|winner|label|target)s? (are |is )?(of|fr"
        "om) (another|other|several|the wrong) games?|(label|target|result)s?.*(wrong|noise|nois"
        "y|inverted|random|do(es)? not (fit|agree|follow)|contradict)|(wrong|noisy|inverted|cont"
        "radict).*(label|target|result)|" + _OTHER_TARGETS,
        cause="Each game is labelled with the winner of the match of five that it belongs to, and "
        "not with its own winner.",
        report="from memory: result of a match in the header of collected records",
    ),
}
