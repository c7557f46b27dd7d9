"""The list of checks, in the order in which they run. Findings of equal severity keep this order.

To add a check, write a function from an ExaminedPipeline to findings in a module of `checks/`, and
add a line here.
"""

from __future__ import annotations

from hexsearch.doctor.checks import beginnings, games, play, refused, results, split
from hexsearch.doctor.checks.computation import (
    edits,
    linear_pairs,
    loaded_modules,
    loaded_weights,
    occupied,
    overwritten,
    own_norms,
    plane_scales,
    reshapes,
    seen,
    shared_norms,
)
from hexsearch.doctor.checks.data import (
    auxiliary,
    columns,
    labels,
    passes,
    positions,
    sampling,
)
from hexsearch.doctor.checks.evaluation import evaluation, figures, state, whole
from hexsearch.doctor.checks.network import (
    answers,
    calibration,
    cells,
    encoders,
    independence,
    movers,
    outputs,
    policies,
    randomness,
    records,
    strengths,
    turns,
    values,
)
from hexsearch.doctor.checks.optimisation import finite, flow, gradients, later, slopes, steps
from hexsearch.doctor.checks.own_training import moves, order, shown, validation, wanted
from hexsearch.doctor.checks.own_training import outputs as own_outputs
from hexsearch.doctor.checks.own_training import steps as own_steps
from hexsearch.doctor.checks.training import (
    configured,
    first_weights,
    flat_planes,
    half_turn,
    losses,
    modules,
    overfit,
    precision,
    ranges,
    reach,
    reading,
    readouts,
    seeds,
    short_training,
    structure,
    train_mode,
)
from hexsearch.doctor.findings import Check

_BATCHES = ("samples",)
_OWN = ("own_training",)
_OBSERVED = ("examined", "observed")
_FOREIGN = ("foreign", "observed")

CHECKS: tuple[Check, ...] = (
    Check("read-out", "quick", ("readouts",), readouts.check_contract),
    Check("label smoothing", "quick", ("readouts",), readouts.check_smoothing),
    Check("value heads", "quick", ("configs",), readouts.check_heads),
    Check("weights", "quick", ("loaded",), records.check_weights),
    Check("edges", "quick", ("imported",), games.check_edges),
    Check("refused games", "quick", ("imported",), refused.check_refused),
    Check("labels", "quick", ("imported",), games.check_labels),
    Check("duplicates", "quick", ("archive",), games.check_duplicates),
    Check("results", "quick", ("archive",), results.check_results),
    Check("beginnings", "quick", ("archive",), beginnings.check_beginnings),
    Check("play", "quick", ("archive",), play.check_play, symptom=True),
    Check("split", "quick", ("dataset",), split.check_split),
    Check("finished boards", "quick", _BATCHES, columns.check_finished),
    Check("boards", "quick", _BATCHES, positions.check_boards),
    Check("training labels", "quick", _BATCHES, labels.check_labels),
    Check("policy target", "quick", _BATCHES, labels.check_targets),
    Check("columns", "quick", _BATCHES, columns.check_columns),
    Check("auxiliary targets", "quick", _BATCHES, auxiliary.check_auxiliary),
    Check("label leaks", "quick", _BATCHES, sampling.check_leaks, symptom=True),
    Check("batches", "quick", _BATCHES, sampling.check_batches),
    Check("stream", "quick", _BATCHES, passes.check_stream),
    Check("perspective", "quick", _BATCHES, readouts.check_reported),
    Check("finite numbers", "quick", ("watched",), finite.check_finite),
    Check("value loss", "quick", ("finite",), losses.check_value_loss),
    Check("policy loss", "quick", ("finite",), losses.check_policy_loss),
    Check("structure", "quick", ("watched", "samples"), structure.check_structure),
    Check("independence", "quick", ("finite", "samples"), independence.check_untrained),
    Check("parameter groups", "quick", ("watched",), steps.check_groups),
    Check("modules", "quick", ("watched",), modules.check_modules),
    Check("range of outputs", "quick", ("finite", "samples"), ranges.check_ranges),
    Check("gradient flow", "quick", ("finite",), flow.check_flow),
    Check("randomness", "quick", ("finite", "samples"), randomness.check_randomness),
    Check("modes", "quick", ("finite", "samples"), train_mode.check_train_mode),
    Check("seeds", "quick", ("watched",), seeds.check_seeds),
    Check("precision", "quick", ("configs",), precision.check_precision),
    Check("initial weights", "quick", ("watched",), first_weights.check_first_weights),
    Check("first answers", "quick", ("samples",), seeds.check_first_answers),
    Check("settings of modules", "quick", ("watched",), structure.check_settings),
    Check("what is read", "quick", ("finite", "samples"), reading.check_reading),
    Check("layers of the value", "quick", ("finite",), reach.check_reach),
    Check("constant value", "quick", ("finite", "samples"), reach.check_variation),
    Check("linear value", "quick", ("finite", "samples"), reach.check_linear),
    Check("flat planes", "quick", ("finite", "samples"), flat_planes.check_flat_planes),
    Check("policy map", "quick", ("finite", "samples"), cells.check_cells),
    Check("configured network", "quick", ("finite", "samples"), configured.check_configured),
    Check("half turn", "quick", ("finite", "samples"), half_turn.check_half_turn),
    Check("gradients", "quick", ("finite",), gradients.check_given),
    Check("slopes", "quick", ("finite",), slopes.check_slopes),
    Check("steps", "quick", ("finite",), steps.check_steps),
    Check("evaluation", "quick", ("finite",), evaluation.check_evaluation),
    Check("saved state", "quick", ("finite", "samples"), state.check_state),
    Check("training outputs", "answers", _OWN, own_outputs.check_outputs),
    Check("training steps", "answers", _OWN, own_steps.check_steps),
    Check("training planes", "answers", _OWN, shown.check_planes),
    Check("training value", "answers", _OWN, wanted.check_value),
    Check("training policy", "answers", _OWN, moves.check_moves),
    Check("training positions", "answers", _OWN, order.check_order),
    Check("validation", "answers", _OWN, validation.check_validation),
    Check("encoder", "answers", ("foreign",), encoders.check_encoder),
    Check("modules of the network", "answers", ("examined",), loaded_modules.check_loaded_modules),
    Check("norms of the network", "answers", ("foreign",), own_norms.check_own_norms),
    Check("plane scales", "answers", _FOREIGN, plane_scales.check_plane_scales),
    Check("linear layers", "answers", _FOREIGN, linear_pairs.check_linear_pairs),
    Check("shared norms", "answers", _FOREIGN, shared_norms.check_shared_norms),
    Check("overwritten inputs", "answers", _FOREIGN, overwritten.check_overwritten),
    Check("reshapes", "answers", _FOREIGN, reshapes.check_reshapes),
    Check("occupied cells", "answers", _OBSERVED, occupied.check_occupied),
    Check("reads the mover", "answers", _OBSERVED, movers.check_mover_reading),
    Check("independence of answers", "answers", _OBSERVED, independence.check_trained),
    Check("linear answers", "answers", _FOREIGN, reach.check_linear_answers),
    Check("constant answers", "answers", _FOREIGN, reach.check_constant_answers),
    Check("range of answers", "answers", _FOREIGN, reach.check_bounded_answers),
    Check("loaded weights", "answers", _FOREIGN, loaded_weights.check_loaded_weights),
    Check("inputs of the norms", "answers", _FOREIGN, seen.check_seen),
    Check("edits of the network", "answers", _FOREIGN, edits.check_edits),
    Check("what answers read", "answers", _FOREIGN, reading.check_answers),
    Check("settings of the network", "answers", ("foreign",), structure.check_settings),
    Check("modules that run", "answers", _FOREIGN, structure.check_called),
    Check("answers", "answers", _OBSERVED, values.check_range),
    Check("size of outputs", "answers", _OBSERVED, outputs.check_sizes, symptom=True),
    Check("cut answers", "answers", _OBSERVED, outputs.check_cut_answers),
    Check("reading of the value", "answers", _OBSERVED, values.check_reading, symptom=True),
    Check("turned boards", "answers", _OBSERVED, turns.check_turns, symptom=True),
    Check("policy cells", "answers", _OBSERVED, policies.check_policy_cells, symptom=True),
    Check("record", "answers", ("loaded", "examined", "dataset"), records.check_record),
    Check("batch norm", "answers", ("loaded", "restored"), records.check_norms),
    Check("parity", "answers", ("loaded", "restored"), records.check_parity, symptom=True),
    Check("label noise", "answers", _OBSERVED, calibration.check_label_noise, symptom=True),
    Check("calibration", "answers", _OBSERVED, calibration.check_compression, symptom=True),
    Check("strength", "answers", _OBSERVED, strengths.check_strength, symptom=True),
    Check("known positions", "answers", ("examined",), answers.check_known, symptom=True),
    Check("memory", "answers", ("loaded", "observed"), answers.check_memory, symptom=True),
    Check("recognition", "answers", _FOREIGN, answers.check_recognition),
    Check("early stage", "answers", ("loaded", "observed"), answers.check_early, symptom=True),
    Check("later steps", "training", ("finite", "samples"), later.check_later),
    Check("whole evaluation", "training", ("finite", "samples"), whole.check_whole, symptom=True),
    Check("figures of reports", "training", ("finite",), figures.check_figures),
    Check("overfit", "training", ("watched",), overfit.check_overfit, symptom=True),
    Check(
        "short training",
        "training",
        ("watched",),
        short_training.check_short_training,
        symptom=True,
    ),
    Check(
        "permuted labels", "training", ("watched",), short_training.check_permutation, symptom=True
    ),
)
QUICK = tuple(check for check in CHECKS if check.kind == "quick")
ANSWERS = tuple(check for check in CHECKS if check.kind == "answers")
TRAINING = tuple(check for check in CHECKS if check.kind == "training")
