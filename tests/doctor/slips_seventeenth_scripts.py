"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The seventeenth set was drawn as the sixteenth was, from another list: 98 mistakes with a weight
each for how often researchers make them, and with the kind of each (script, pipeline or file of
games). `numpy.random.default_rng(17).choice` drew 20 of them without replacement, with chances in
proportion to the weights; the draw was kept as it fell: sixteen scripts, three pipelines and a
file. The networks are other ones than those of the earlier sets, and each script was trained once
with its mistake and once without. All causes, and the words that name them, were written by
somebody who had read no code of the checks and had run none of them. `slips_eleventh_scripts` says
what counts as named.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_seventeenth as mistakes
from tests.doctor.formulas_of_seventeenth import (
    ACTOR,
    CELLS,
    DENSE,
    HEXED,
    MIXER,
    RECURRENT,
    SEPARABLE,
    SOUND,
    chance_for_red,
    for_red,
)
from tests.doctor.outside import Foreign

__all__ = ["SCRIPTS", "SOUND"]

_MOVER = "(side.to.move|mover|player to move|whose turn|who(se)? (is to )?moves?\\b|which side)"
_LABEL = "(value|target|label|result|outcome|reward)s?\\b"
_COLOUR = "(\\bred('s)?|\\bblue('s)?|fixed (player|colour|side)|first player('s)?|absolute)"
_TURNED = "(flip|invert|negat|opposite|wrong (side|sign|player|perspective)|perspective|mirror)"
_UNLIKE_TRAINING = (
    "(inference|asked|encoder).{0,80}(differ|other|another|not the same|unlike).{0,60}train|(train"
    "ed|training).{0,60}(other|another|different|not the same) (planes|inputs?|encod|numbers|value"
    "s|scale)|(plane|input|encod)\\w*.{0,80}(differ|not (those|the (same|ones))|another|never (see"
    "n|met|saw)|unlike).{0,60}(train|seen)"
)

SCRIPTS: dict[str, Foreign] = {
    "errors of all pairs": replace(
        RECURRENT,
        loss=mistakes.of_all_pairs,
        named_by="broadcast|\\bshapes?\\b|squeeze|\\[B, ?(B|1)\\]|\\(N, ?(N|1)\\)|\\bpairs\\b|(each"
        "|every) (value|answer|output|prediction).{0,60}(all|every|each|whole)( the)? (target|label"
        "|result|batch)|(mean|average) (of|over|in) (the |all |a |every )*(batch|target|label|resul"
        "t|outcome)s?",
        cause="The values are [B, 1] and the targets [B], so the loss is that of all B x B pairs "
        "and draws every value to the mean of the batch.",
        report="from memory: own loss on net(x) without squeeze(-1), PyTorch forum",
    ),
    "samples that share their board": replace(
        HEXED,
        planes=mistakes.of_the_last_board,
        named_by="\\balias|without (a |being )?cop(y|ied)|not (been )?copied|\\bcopies of (the |on"
        "e |a )?(same |last )?(board|array|position)|copy.{0,30}(board|position)|(same|on"
        "e) (object|array|board)|overwrit|\\bmutat|by reference|later (stones|moves|posit"
        "ions)|future|\\bleak|(board|position|stones)s?.{0,40}(of|from|at) the (end|last|"
        "final)|(only|nothing but|mostly|alone|just).{0,40}(finished|\\bfull|final|\\blas"
        "t|\\blate\\b|\\bend\\b)|(finished|final|last|late|full) (board|position)s?.{0,40"
        "}(only|alone)|(opening|early|unfinished|middle|earlier|sparse|few stones).{0,60}"
        "(never|not) (been )?(seen|trained|shown|learn|in)|never (been )?(saw|seen|shown|"
        "trained).{0,60}(opening|early|unfinished|middle|earlier)",
        cause="All samples of a game share one array, on which the game was played on, so each of "
        "them shows the last board.",
        report="from memory: history.append((board, pi)) with an in-place board.play(move)",
    ),
    "sample stored after its move": replace(
        MIXER,
        planes=mistakes.after_the_move,
        named_by="after (the|its|each|every|a|this|that) (next )?moves?\\b|(move|stone|target)s?"
        "\\b.{0,80}(already|on the board|in the planes|in the input|leak)|(target|taught|"
        "trained).{0,60}(occupied|taken)|(occupied|taken) cells?.{0,60}(target|training)|"
        "already.{0,60}(cell|move|stone)|\\bleak|future|(one|a|next|later|following|wrong"
        ") (ply|move|board|position|stone)\\b.{0,40}(late|ahead|later|too many|off|shift|"
        "in the)|(ply|plies|move)s? (too )?(late|later|ahead|off|early)|off by one|(plane"
        "s|boards?|positions?).{0,60}(of|from) the (next|following|later) (ply|position|m"
        "ove|board)|(next|following) (position|board)\\b|one stone too many|stone counts?"
        "|number of stones|(policy|target).{0,60}(previous|last) (move|stone)",
        cause="Samples were stored after the move had been made, so in training the planes held "
        "the stone that the policy is asked for.",
        report="from memory: board.push(move) before examples.append in self-play loops",
    ),
    "targets 0 and 1 for a tanh": replace(
        RECURRENT,
        targets=chance_for_red,
        named_by="(tanh|\\[-1, ?1\\]|-1 (to|and) \\+?1|\\(v ?\\+ ?1\\)|decod|read.?out|\\bscale|"
        "\\brange|target|label|output|raw value)\\w*.{0,100}(0 (and|to|or) 1|\\[0, ?1\\]|"
        "from 0|\\bscale|\\brange|mismatch|does not (fit|match))|(chance|answer|value)s?"
        "\\b.{0,80}(upper half|above (0\\.5|a half|one half|50)|(never|hardly|seldom|not|"
        "rarely) (go |goes )?(below|under)|too high)|(upper half|(never|hardly|seldom|rar"
        "ely) (goes )?(below|under)).{0,80}(chance|answer|value)|(biased|bias) (to|toward"
        "s|in favour)|(favou?rs?|optimistic).{0,30}\\b(red|one)\\b",
        cause="The targets are 0 and 1, but the output is a tanh that is read as a value from -1 "
        "to 1, so hardly any chance is below one half.",
        report="from memory: results 0/1 of the data with the tanh head of AlphaZero",
    ),
    "normalised in the data set only": replace(
        SEPARABLE,
        planes=mistakes.normalised,
        named_by="normali[sz]|standardi[sz]|\\bscal(e|ed|ing)\\b|\\bmean and|standard deviation|ce"
        "ntred|shifted|(plane|input)\\w*.{0,60}-1\\b|-1\\b.{0,60}(plane|input)|distributi"
        "on (of|shift).{0,30}(input|plane|train)|(inference|asked|encoder).{0,80}(differ|"
        "other|another|not the same|unlike).{0,60}train|(trained|training).{0,60}(other|a"
        "nother|different|not the same) (planes|inputs?|encod|numbers|values|scale)|(plan"
        "e|input|encod)\\w*.{0,80}(differ|not (those|the (same|ones))|another|never (seen"
        "|met|saw)|unlike).{0,60}(train|seen)",
        cause="In training the planes were normalised to -1 and 1, at inference they are 0 and 1.",
        report="from memory: transforms.Normalize(0.5, 0.5) in the data set and not in play",
    ),
    "optimiser of the actor alone": replace(
        ACTOR,
        optimiser=mistakes.of_actor_alone,
        named_by="optimi[sz]er|untrained|(never|not) (been )?(trained|updated|changed|moved|learnt"
        "|learned)|(weights|parameters).{0,60}(\\bnever|\\bnot\\b|initial|random|fresh|as"
        " (it|they) (was|were) (made|built|created)|unchanged)|(initial|random|fresh)(ly)"
        "? .{0,20}(weights|parameters|network|init|head)|freshly|(weights|parameters|head"
        "|network|critic).{0,40}at random|frozen|requires_grad",
        cause="Only the policy's parameters were given to the optimiser, so the network of the "
        "value still has its initial weights.",
        report="from memory: Adam(actor.parameters()) with a critic of its own",
    ),
    "sum over cells that have no place": replace(
        CELLS,
        network=mistakes.without_places,
        named_by="(where (a |the |each |its |their )?(stones?|cells?|it|they)\\b|\\bplaces?\\b|pos"
        "itional|coordinate|location|spatial|geometr|arrangement|layout|order of (the )?("
        "cells|stones)).{0,80}(not|never|\\bno\\b|lost|missing|ignor|lack|blind|discard|i"
        "nvarian|independent|thrown|without|away|regardless)|(\\bno|without|ignor|lack|lo"
        "st?|blind|missing|invarian|independent|regardless|not|never|cannot).{0,80}(where"
        " (a |the |each |its |their )?(stones?|cells?|it|they)\\b|\\bplaces?\\b|positiona"
        "l|coordinate|location|spatial|geometr|neighbour|arrangement|permut)|permut|excha"
        "ng\\w* (of )?cells|pool(ing|ed|s)?\\b|(number|count)s? of (the )?(stones|cells)|"
        "stone counts?|only counts?|(same|one|equal) (value|answer|output).{0,60}(every|a"
        "ll|any|each) (cell|place|permut)|bag of|moved (about|around)|translat",
        cause="The network sums over the cells and no cell says where it is, so it can only count "
        "stones.",
        report="from memory: global sum pooling of pointwise features without coordinates",
    ),
    "result of the player who began": replace(
        MIXER,
        targets=mistakes.for_first_player,
        named_by="^(?!.*\\bplane of).*("
        + f"{_MOVER}.{{0,120}}({_COLOUR}|{_TURNED}|convert|instead|not (of|for|that))|"
        + f"({_COLOUR}|one (side|colour|player)('s)?|{_TURNED}).{{0,120}}{_MOVER}|perspective|"
        + f"{_LABEL}.{{0,60}}(of|for) {_COLOUR}|{_LABEL}.{{0,60}}({_COLOUR}|\\bsigns?\\b|{_TURNED})"
        + f"|({_TURNED}|sign of).{{0,60}}({_LABEL}|{_COLOUR}|turn))",
        cause="The target says whether the player who began (Blue) wins, but the planes and the "
        "reading are those of the side to move.",
        report="from memory: game result for player 1 in forks of alpha-zero-general",
    ),
    "planes turned and moves left": replace(
        HEXED,
        turned=mistakes.planes_turned_alone,
        named_by="^(?=.*(policy|\\bmoves?\\b)).*(half.?turn|turn(ed|s|ing)|rotat|symmetr|augment|mi"
        "rror|reflect|flip|180|(opposite|other|wrong|another) (cell|place|move)|not (carried|moved "
        "with|follow)|orient|coordinate|\\bframe)",
        cause="The augmentation turns the planes by a half turn, but the policy's targets are not "
        "turned with them.",
        report="from memory: np.rot90(board, 2) without pi in get_symmetries",
    ),
    "batch norm in twos": replace(
        DENSE,
        batches=mistakes.in_twos,
        named_by="^(?!.*(\\beval\\b|(train|training) mode)).*(batch.?(norm|size)|running (mean|sta"
        "tistic|average|variance)|(small|tiny|few|two|one|single|2).{0,30}(batch|position"
        "s? (at|per|a|in))|batch(es)?\\b.{0,50}(small|tiny|two|of 2|one|few)|norm(s|ali[s"
        "z]ation)?\\b.{0,80}(statistic|batch|train)|statistics.{0,60}(batch|norm|train|di"
        "ffer|noisy|not (fit|match)))",
        cause="The batches have two positions, so batch norm compares each position with one other "
        "and its running statistics do not fit at inference.",
        report="from memory: BatchNorm with a batch size of 1 or 2, PyTorch forum",
    ),
    "rate of SGD given to Adam": replace(
        SEPARABLE,
        optimiser=mistakes.hundred_times_too_fast,
        named_by="(learning.?|\\b)rates?\\b.{0,60}(high|large|big|great|fast|lower|reduce|diverg)|"
        "(high|large|big|huge|enormous) (a )?(learning.?)?rate|lower the (learning.?)?rat"
        "e|\\bdiverg|(too|far too) (large|high|big) (a )?(step|rate|lr)|steps?.{0,30}too "
        "(large|big|long)|\\blr\\b.{0,40}(high|large)|explod|blew up|blown up|(weight|par"
        "ameter)s?\\b.{0,60}(huge|too large|far larger|enormous|grown|grew|thrown)",
        cause="The learning rate is 0.3 in Adam, a hundred times too high, so the network "
        "collapses in its first steps.",
        report="from memory: lr=0.2 of AlphaGo Zero's SGD with torch.optim.Adam",
    ),
    "mover's chance read as Red's": replace(
        ACTOR,
        decode=lambda raw: raw[:, 0],
        named_by=f"^(?!.*\\bplane of).*({_MOVER}.{{0,120}}({_COLOUR}|{_TURNED}|convert|read)|"
        + f"({_COLOUR}|{_TURNED}|convert).{{0,120}}{_MOVER}|perspective|(win_prob_red|decod|read"
        + f").{{0,80}}({_MOVER}|{_TURNED}|sign)|wrong (side|sign|player|colour)|upside down|"
        + f"{_TURNED}.{{0,80}}(value|answer|chance|blue|red)|"
        + f"(value|answer|chance)s?\\b.{{0,80}}{_TURNED})",
        cause="The output is the chance of the side to move, but it is read as Red's, so it is "
        "the wrong side's where Blue moves.",
        report="from memory: value of the network used without a sign for the player in MCTS",
    ),
    "values shuffled by themselves": replace(
        DENSE,
        targets=mistakes.shuffled_by_themselves,
        named_by="shuffl|permut|scrambl|(another|other|wrong|different) (position|row|game|sample)s"
        f"?\\b|{_LABEL}.{{0,80}}(random|noise|unrelated|no relation|not (relat|belong|depend|match|"
        "correspond|fit)|do(es)? not (belong|fit|match|depend|correspond|follow|agree)|independent|"
        "misalign|out of (step|order)|of other|of another|nothing to do|mixed)|(random|unrelated|mi"
        "saligned|noisy|wrong|mixed.up) (label|target|outcome|result)",
        cause="Planes and value targets were shuffled in two orders, so each position has the "
        "result of another one.",
        report="from memory: np.random.shuffle of states and of values one after the other",
    ),
    "softmax in both heads": replace(
        HEXED,
        network=mistakes.WithSoftmax,
        decode=mistakes.read_second,
        named_by="softmax|(chances?|probabilit\\w+).{0,60}(in place of|instead of|as (if )?.{0,20}|"
        "where).{0,20}logits?|normali[sz]ed (twice|already)|policy.{0,80}(probabilit|sum to (1|one)"
        "|nearly uniform|flat)|sum(s)? to (1|one)",
        cause="Both heads end in a softmax, and the cross-entropy applies another one, so the "
        "policy stays nearly uniform and the chances go to 0 and 1.",
        report="from memory: F.softmax in forward and nn.CrossEntropyLoss in training",
    ),
    "results of -1 and 1 in a cross-entropy": replace(
        DENSE,
        targets=for_red,
        named_by="(target|label|outcome|result)s?\\b.{0,50}(?<![\\w.])-1\\b|(?<![\\w.])-1\\b.{0,50"
        "}(target|label|outcome|result)|minus one|negative (target|label|outcome|loss|res"
        "ult)|(outside|not (in|within|between)|beyond|below|out of).{0,40}(\\b0\\b|zero|r"
        "ange|interval|\\[)|(target|label|outcome)s?\\b.{0,80}(range|scale|negative|not ("
        "0|chanc|probab)|outside|below)|(range|scale) of (the )?(target|label|outcome)s?|"
        "unbounded|without (a )?(bound|limit|minimum)",
        cause="Results are -1 and 1 in a binary cross-entropy that wants 0 and 1, so the loss has "
        "no lower bound and chances of lost positions go to 0.",
        report="from memory: BCEWithLogitsLoss with targets of -1 and 1, PyTorch forum",
    ),
    "all weights alike": replace(
        SEPARABLE,
        network=mistakes.all_alike,
        named_by="initiali[sz]|\\binit\\b|initial (weights|values).{0,60}(same|alike|equal|constan"
        "t|identical)|constant (weights?|init)|symmetry.{0,30}(brok|break)|(brok|break)"
        "\\w*.{0,30}symmetry|(channel|filter|unit|neuron|feature|kernel)s?\\b.{0,80}(same"
        "|alike|equal|identical|copies|copy|duplicat|redundan|one number|\\brank\\b)|weig"
        "hts?\\b.{0,40}(alike|identical|equal|one (number|constant|value)|constant)|(same"
        "|identical|equal|duplicate|redundant) (channel|filter|unit|weight|neuron|feature"
        "|kernel)s?|\\brank\\b",
        cause="All weights of a layer began with one constant, so its channels stay copies of each "
        "other.",
        report="from memory: nn.init.constant_ for all parameters, PyTorch forum",
    ),
}
