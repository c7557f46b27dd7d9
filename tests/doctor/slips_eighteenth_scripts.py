"""Slips of researchers' own scripts, as `doctor --model` and `--encoder` get their networks.

The eighteenth set was drawn as the seventeenth was, from another list: 95 mistakes with a weight
each for how often researchers make them, and with the kind of each (script, pipeline or file of
games). `numpy.random.default_rng(18).choice` drew 20 of them without replacement, with chances in
proportion to the weights; the draw was kept as it fell: sixteen scripts, two pipelines and two
files. The networks are other ones than those of the seventeenth set, and each script was trained
once with its mistake and once without. All causes, and the words that name them, were written by
somebody who had read no code of the checks and had run none of them. `slips_eleventh_scripts` says
what counts as named.
"""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_eighteenth as mistakes
from tests.doctor.formulas_of_eighteenth import (
    ATTENDING,
    BIASED,
    DILATED,
    EXCITED,
    MESSAGES,
    PERCEPTRON,
    PLAIN,
    SOUND,
    VOTES,
    chance_for_mover,
)
from tests.doctor.outside import Foreign, as_played

__all__ = ["SCRIPTS", "SOUND"]

_MOVER = "(side.to.move|mover|player to move|whose turn|who(se)? (is to )?moves?\\b|which side)"
_LABEL = "(value|target|label|result|outcome|reward)s?\\b"
_COLOUR = "(\\bred('s)?|\\bblue('s)?|fixed (player|colour|side)|first player('s)?|absolute)"
_TURNED = "(flip|invert|negat|opposite|wrong (side|sign|player|perspective)|perspective)"
_UNLIKE_TRAINING = (
    "(inference|asked|encoder).{0,80}(differ|other|another|not the same|unlike).{0,60}train|(train"
    "ed|training).{0,60}(other|another|different|not the same) (planes|inputs?|encod|numbers|value"
    "s|scale|board)|(plane|input|encod)\\w*.{0,80}(differ|not (those|the (same|ones))|another|neve"
    "r (seen|met|saw)|unlike|as in).{0,60}(train|seen)"
)
_TOO_SURE = (
    "over.?confiden|too (sure|certain|confident|extreme|sharp|steep|far from)|calibrat|saturat|cl"
    "ose to (0|zero) (and|or) (1|one)|(chance|value|answer)s?\\b.{0,60}(extreme|\\b0 (and|or) 1\\b)"
)

SCRIPTS: dict[str, Foreign] = {
    "first plies alone": replace(
        VOTES,
        rows=mistakes.of_openings,
        named_by="(opening|early|earl(y|ier|iest)|first (few |\\d+ |seven )?(ply|plies|moves?|po"
        "sitions?|stones)|beginning|\\bstart|few stones).{0,60}(only|alone|nothing but|just|no "
        "others?)|(only|alone|just|nothing but|mostly).{0,60}(opening|early|first|beginning|sta"
        "rt of|few stones)|(\\blate|later|middle|end.?game|finished|\\bfinal|\\bend(s|ing)?\\b|"
        "fuller?\\b|many stones|last (ply|plies|moves?)).{0,80}(never|\\bnot\\b|missing|absent|"
        "unseen|\\bno\\b|without|left out|dropped)|(never|\\bnot?\\b|unseen|missing|without|lef"
        "t out|dropped).{0,60}(\\blate|later|middle|end.?game|finished|\\bending|fuller?\\b|man"
        "y stones)|(ply|plies|number of stones|stones).{0,60}(never|\\bnot\\b|unseen|limit|at m"
        "ost|beyond|more than)|truncat|cut (off|short)|part of the game",
        cause="Only the first seven plies of each game are in the training, so later positions "
        "were never seen.",
        report="from memory: game[:max_moves] left from a quick trial",
    ),
    "winner among the planes": replace(
        MESSAGES,
        planes=mistakes.of_finished_games,
        named_by="\\bleak|future|hindsight|(planes?|inputs?|channels?|encod\\w*)\\b.{0,40}(holds?|t"
        "ells?|says?|shows?|gives?|contains?|carr|reveals?|encodes?|knows?|is|has|have)\\b.{0,40}(w"
        "inner|result|outcome|label|target|answer|who wins)|(winner|result|outcome|label|target|ans"
        "wer|who wins)\\b.{0,30}\\b(is|are|stands?|in|among|from|as)\\b.{0,20}(inputs?|planes?|chan"
        "nels?|known)\\b|(input|plane|channel)\\w*.{0,60}(agrees?|equals?|correlat\\w*|the same as)"
        "\\b.{0,30}(winner|result|outcome|label|target)|" + _UNLIKE_TRAINING,
        cause="In training one plane holds the winner of the game, which is not known at inference "
        "before the end.",
        report="from memory: game.winner in the state, encoded after the game was played",
    ),
    "policy on the other diagonal's side": replace(
        PLAIN,
        moves=as_played,
        named_by="^(?=.*(policy|\\bmoves?\\b)).*(transpos|row.{0,30}column|column.{0,30}row|mirror"
        "|reflect|diagonal|flip|swapp|exchang|orient|coordinate|\\bframe|(other|wrong|another|a"
        "bsolute|real|true|played|original) (cell|place|board)|perspective|turned|canonical)",
        cause="The board is transposed where Red is to move, but the policy's targets are not.",
        report="from memory: canonical board transposed for the second player, pi is not",
    ),
    "no call of eval": replace(
        EXCITED,
        after=mistakes.left_as_trained,
        named_by="\\beval\\b|(train|training).?mode|mode of training|dropout|batch.?norm.{0,80}"
        "(batch|train)|statistics of (the|each|its|a|that) batch|not deterministic|(two|same|tw"
        "ice).{0,80}(different|differ|other|not the same) (answer|value|chance)|answers?.{0,60}"
        "(differ|chang|depend|vary).{0,60}(batch|call|time|other positions)|\\brandom(ly|ness)?"
        "\\b.{0,40}(answer|value|forward)|depends? on the (other|rest|batch)",
        cause="The network is still in training mode when it is asked, so dropout draws units and "
        "batch norm takes the statistics of the batch.",
        report="from memory: model.eval() forgotten before self-play",
    ),
    "votes that see one neighbourhood": replace(
        VOTES,
        network=mistakes.one_layer,
        named_by="recepti|(see|reach|look|depend|range|field|span|view|travel|spread|connect|com"
        "bin)\\w*.{0,60}(too (small|short|narrow|few|local)|only|\\blocal|small|short|neighbour"
        "|near|few cells|far|whole|across)|\\blocal|(too few|one|single|few|more|deeper|shallow"
        ").{0,30}(layers?|convolutions?|3 ?x ?3|blocks?)|shallow|\\bdistan(t|ce)|far (apart|awa"
        "y)|cells?.{0,60}(apart|\\binteract|independent|\\bjoint|additive)|\\badditive|sum (of|"
        "over).{0,40}(part|cell|neighbour|local)|kernels?.{0,40}(1 ?x ?1|of one)",
        cause="One convolution of 3 x 3 is followed by layers of 1 x 1 and a mean, so nothing in "
        "the network sees more than a cell and its neighbours.",
        report="from memory: kernel_size=1 copied from the heads into the body",
    ),
    "targets of a network without training": replace(
        PLAIN,
        targets=mistakes.of_untrained,
        named_by="bootstrap|temporal.difference|\\btd\\b|\\b(target|label|result|outcome|reward)s?"
        "\\b.{0,100}(untrained|random|noise|initial network|unrelated|nothing to do|(another|other)"
        " network|not the (result|game|outcome)|network's own|its own (answer|output)|of a network|"
        "do(es)? not (depend|follow|fit|match|agree|correspond|belong)|independent|constant|\\bnear"
        "(ly)? (0|zero|one half|even))|(untrained|random|noisy|unrelated|wrong|network's own|its ow"
        "n) (label|target|outcome|result)s?|(only|alone|just|except).{0,60}(finished|\\blast\\b|fin"
        "al|end\\b|ending)|(finished|final|last) (board|position|one)s?.{0,60}(only|alone|learnt|le"
        "arned|well|right)",
        cause="The targets are what an untrained network says of the next position, and the result "
        "of the game only at its end.",
        report="from memory: TD targets computed once, before the training, or by a target network "
        "that is never updated",
    ),
    "value of the first cell": replace(
        PLAIN,
        network=mistakes.OfCorner,
        named_by="(value|head|answer|output|chance|network|it|they)\\b.{0,80}(one cell|single c"
        "ell|first cell|one token|first token|class token|corner|a part of the board|part of th"
        "e (board|cells)|few cells|only (some|part|the first|one|those|near)|blind|ignor|not (s"
        "ee|read|depend|reach|change|react|use)|\\ba1\\b)|(cells?|stones?|part|rows?|corner|hal"
        "f|side|regions?|edges?)\\b.{0,80}(not (seen|read|reach|used|matter|change|count)|\\bno"
        " (effect|influence|gradient)|never (seen|read|reach|change|matter)|ignored|unseen|with"
        "out (effect|influence)|blind|do(es)? not (change|matter|reach|influence|affect))|recep"
        "ti|\\bcorner|far (away|from)|\\blocal",
        cause="The value reads the features of the cell in one corner as if it were a class token, "
        "so it sees that corner only.",
        report="from memory: x[:, 0] of a vision transformer on features of convolutions",
    ),
    "games in their order": replace(
        BIASED,
        batches=mistakes.game_by_game,
        named_by="shuffl|(in|by|same) (their |its |the |file )?order|\\border of|ordered|sequen"
        "(ce|tial)|one after (the )?(other|another)|(game|batch)\\w*.{0,60}(one|single|same|eac"
        "h|few) (games?|batch|result|outcome|label)|(one|single|same|few) games?.{0,60}batch|co"
        "rrelat|consecutive|neighbouring positions|not (drawn )?at random|(last|latest|most rec"
        "ent) (few )?(games?|batch|steps|positions).{0,80}(remember|better|fit|known|lean|forge"
        "t|only|more)|forg[eo]t|recency|i\\.?i\\.?d",
        cause="The data are not shuffled: batches are consecutive positions of one or two games, "
        "with one result for nearly all.",
        report="from memory: DataLoader(shuffle=False) on a list of games",
    ),
    "sigmoid and one more in the loss": replace(
        DILATED,
        loss=mistakes.of_chance_as_logit,
        named_by="sigmoid|with.?logits|\\bbce|(chances?|probabilit\\w+).{0,60}(in place of|instead "
        "of|as (if )?.{0,20}|where|taken (as|for)).{0,20}logits?|(twice|double|second|two) (squ"
        "ash|logistic)|squash\\w* twice|logits?.{0,60}(already|chance|probabilit|0 (and|to) 1)|"
        + _TOO_SURE,
        cause="The network ends in a sigmoid and the loss applies another one, so chances are "
        "driven to 0 and 1.",
        report="from memory: BCEWithLogitsLoss on an output with sigmoid, PyTorch forum",
    ),
    "pixels for the player": replace(
        PERCEPTRON,
        asked=mistakes.of_pixels,
        named_by="normali[sz]|standardi[sz]|\\bscal(e|ed|er|es|ing)\\b|\\b255\\b|pixel|times as (l"
        "arge|big)|(too|far|much) (large|big|high)|magnitude|\\brange\\b|divid|multipl|\\bfactor"
        "\\b|(input|plane)\\w*.{0,60}(large|huge|outside|not 0)|distribution (of|shift).{0,30}(i"
        "nput|plane|train)|" + _UNLIKE_TRAINING,
        cause="The planes were divided by 255 in the training and are not at inference, so the "
        "network is asked with inputs 255 times as large as those it was trained on.",
        report="from memory: ToTensor of torchvision in the data set, torch.from_numpy in play",
    ),
    "x and y exchanged by the player": replace(
        BIASED,
        asked=mistakes.of_x_and_y,
        named_by="transpos|(\\brows?\\b|\\bx\\b).{0,40}(column|\\by\\b)|(column|\\by\\b).{0,40}"
        "(\\brows?\\b|\\bx\\b)|\\baxes\\b|\\baxis\\b|mirror|reflect|diagonal|orient|coordinate|"
        "(wrong|other|exchanged|swapped) (edges|direction|sides of the board)|(edges|direction|"
        "goal)s?\\b.{0,60}(exchang|swap|wrong|other)|" + _UNLIKE_TRAINING,
        cause="The encoder at inference has rows and columns exchanged, that of the training has "
        "not.",
        report="from memory: board[x][y] in the engine and board[y][x] in the data set",
    ),
    "class of the winning colour": replace(
        ATTENDING,
        targets=mistakes.class_of_red,
        named_by="^(?!.*\\bplane of).*("
        + f"{_MOVER}.{{0,120}}({_COLOUR}|{_TURNED}|convert|instead|not (of|for|that))|"
        + f"({_COLOUR}|one (side|colour|player)('s)?|{_TURNED}).{{0,120}}{_MOVER}|perspective|"
        + f"{_LABEL}.{{0,60}}(of|for) {_COLOUR}|{_LABEL}.{{0,60}}({_COLOUR}|\\bsigns?\\b|{_TURNED})"
        + f"|({_TURNED}|sign of).{{0,60}}({_LABEL}|{_COLOUR}|turn))",
        cause="The targets say whether Red wins, but the planes and the reading are those of the "
        "side to move.",
        report="from memory: z of the winner's colour with canonical boards",
    ),
    "logits by a temperature of a tenth": replace(
        BIASED,
        decode=mistakes.too_cold,
        named_by="temperature|(logit|output|value|raw)s?\\b.{0,60}(multipl|too large|scaled|tim"
        "es|di"
        f"vided|factor|sharpen)|sharpen|\\bscale of|(multipl|divid)\\w*.{{0,40}}logit|{_TOO_SURE}",
        cause="The logit is divided by a temperature of 0.1 before the sigmoid, so the chances are "
        "far too sure.",
        report="from memory: the temperature of move selection applied to the value too",
    ),
    "value head begun again": replace(
        EXCITED,
        after=mistakes.with_fresh_head,
        named_by="untrained|(never|not) (been )?(trained|updated|changed|moved|learnt|learned|l"
        "oaded|saved|restored)|(weights|parameters|head).{0,60}(\\bnever|\\bnot\\b|initial|rand"
        "om|fresh|as (it|they) (was|were) (made|built|created)|overwrit|replaced|reset|lost)|(i"
        "nitial|random|fresh)(ly)? .{0,20}(weights|parameters|network|init|head)|freshly|(weigh"
        "ts|parameters|head|network).{0,40}at random|re-?init|initiali[sz]|strict=False|overwri"
        "t|missing keys|do(es)? not fit (the|its) (trunk|features|body)",
        cause="After the training the value head's layers were initialised again, so its weights "
        "are random ones.",
        report="from memory: self.apply(init_weights) after load_state_dict",
    ),
    "discount of a tenth a ply": replace(
        DILATED,
        targets=mistakes.discounted,
        named_by="discount|gamma|decay\\w*.{0,60}(target|value|result|label|ply|plies|game|end)"
        "|(target|value|label|answer|chance|result)s?\\b.{0,80}(decay|shrink|shrunk|smaller|low"
        "er|faint|reduced|fade|far from the end|distance to the end|plies (left|to the end)|mov"
        "es left|length of the game)|(both sides|sum).{0,60}(less than|below|not) (1|one)|too ("
        "low|pessimistic)|pess"
        f"imis|(biased|bias|lean)\\w*.{{0,30}}(against|low|{_MOVER})|(sum|add)\\w*.{{0,30}}(les"
        "s|not"
        ").{0,20}(1|one)|under.?estimat",
        cause="The mover's chance is discounted by 0.9 for each ply to the end, but it is read as "
        "a chance.",
        report="from memory: gamma ** (T - t) * z, as returns in reinforcement learning",
    ),
    "wins of one and losses of zero": replace(
        EXCITED,
        targets=chance_for_mover,
        named_by="(tanh|\\[-1, ?1\\]|-1 (to|and) \\+?1|\\(v ?\\+ ?1\\)|decod|read.?out|\\bscale"
        "|\\brange|target|label|output|raw value)\\w*.{0,100}(0 (and|to|or) 1|\\[0, ?1\\]|from "
        "0|\\bscale|\\brange|mismatch|does not (fit|match))|(chance|answer|value)s?\\b.{0,80}(u"
        "pper half|above (0\\.5|a half|one half|50)|(never|hardly|seldom|not|rarely) (go |goes "
        ")?(below|under)|too high)|(upper half|(never|hardly|seldom|rarely) (goes )?(below|unde"
        "r)).{0,80}(chance|answer|va"
        f"lue)|(favou?rs?|optimistic|(biased|bias|lean)\\w*).{{0,30}}{_MOVER}|{_MOVER}.{{0,40}}"
        "(favo"
        "ur|optimis|too (high|good))",
        cause="The targets are 0 and 1, but the output is a tanh that is read as a value from -1 "
        "to 1, so the mover's chance hardly goes below one half.",
        report="from memory: wins counted as 1 and losses as 0 with the tanh head of AlphaZero",
    ),
}
