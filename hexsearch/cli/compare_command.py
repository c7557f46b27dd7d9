"""`compare`: compares all value heads of a space on shared trunks."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from rich.text import Text

from hexsearch.cli.arguments import (
    add_command,
    add_format,
    add_places,
    add_running,
    add_settings,
    add_space,
    positive,
    study_path,
)
from hexsearch.cli.leaderboard_command import print_table
from hexsearch.cli.running import conduct, plan_of, resume_study, say_on_stderr, stderr
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.interface.given import dated_name, new_folder
from hexsearch.interface.resuming import started_before
from hexsearch.interface.studies import start
from hexsearch.leaderboard.agreement import Agreement, HeadRuns, agreement, finished_runs
from hexsearch.leaderboard.as_json import comparison_json
from hexsearch.leaderboard.leaderboard import Leaderboard, read_leaderboard
from hexsearch.leaderboard.phase_sentences import agreement_sentence, comparison_sentences
from hexsearch.ledger.folder import StudyFolder
from hexsearch.report.terminal import Console
from hexsearch.report.text_tables import comma_separated, markdown
from hexsearch.search.space import variant_key
from hexsearch.search.space_parsing import build_space, load_space
from hexsearch.study.comparison import compared_heads, comparison_config
from hexsearch.study.frozen_trunk import take_frozen_trunk
from hexsearch.study.listener import Ended, Further

_FORMATS = ("table", "markdown", "csv", "json")


def register(commands: Any) -> None:
    """Add the sub-command."""
    parser = add_command(
        commands,
        "compare",
        ["heads --seeds 3", "heads --games my_games/ --against results/NAME"],
        "Train all value heads (and read-outs) of a space together on one trunk, with several "
        "seeds, and test which differences are significant. Other settings are those of the "
        "space's trial.",
    )
    add_space(parser)
    add_places(parser)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--seeds", type=positive, metavar="N", help="number of trunks (default: the space's)"
    )
    training.add_argument(
        "--mode",
        choices=("joint", "probe"),
        help="joint: the trunk learns from the policy and the mean of the heads; probe: from the "
        "policy (and auxiliary heads) alone, or not at all with --trunk (default: the space's)",
    )
    training.add_argument(
        "--trunk",
        metavar="CHECKPOINT",
        help="with mode probe: train the heads on the trunk of this model.pt or checkpoint.pt, "
        "which is not trained",
    )
    add_settings(training)
    training.add_argument(
        "--against",
        type=study_path,
        metavar="STUDY",
        help="a finished study of the same heads, each with its own trunk: measure how far both "
        "rankings agree",
    )
    add_format(add_running(parser), _FORMATS)
    parser.set_defaults(run=run_compare)


def run_compare(arguments: argparse.Namespace) -> int:
    """Run a comparison and print its result. `leaderboard` can read the folder later."""
    settings = list(arguments.set)
    for option in ("seeds", "mode"):
        value = getattr(arguments, option)
        if value is not None:
            settings.append(f"compare.{option}={value}")
    if arguments.trunk is not None:
        settings.append(f"compare.trunk={json.dumps(arguments.trunk)}")
    config, space = load_space(arguments.space, settings)
    compared_heads(space)  # checks the whole space, before it is reduced to the heads
    config = comparison_config(config)
    with_trunk, _ = take_frozen_trunk(config)
    heads = build_space(with_trunk, f"{arguments.space}: ")
    keys = [variant_key(trial) for _, trial in compared_heads(heads)]
    apart = None  # it is read before the training, since it may be missing
    if arguments.against is not None:
        apart = _trained_apart(StudyFolder(arguments.against), keys)

    def show(ended: Ended) -> None:
        found = None
        if apart is not None and ended == "finished":
            found = agreement(finished_runs(folder, apart.heads, {"compare"}), apart)
        print_board(read_leaderboard(folder), arguments.format, found)

    if arguments.or_resume:
        url = config.run.trial_files
        before = started_before(arguments.results, arguments.name, url, say_on_stderr)
        if before is not None:
            folder = before
            return resume_study(folder, Further(address=arguments.address), config, show=show)
    folder = new_folder(arguments.results, arguments.name or dated_name(arguments.space))
    stderr().print(Text(_announcement(config, len(keys))), soft_wrap=True)
    plan = plan_of(arguments, config, heads, folder)
    return conduct(folder, config, lambda listener: start(plan, listener), show)


def _trained_apart(folder: StudyFolder, keys: list[str]) -> HeadRuns:
    """The finished runs of a study of the same heads.

    Raises:
        LedgerError: there is no study, or it has no such runs.
        ConfigError: it is a comparison itself.
    """
    _, config = folder.read_description()
    if "search" not in config.phases:
        raise ConfigError(
            f"--against {folder.path}: is a comparison, whose heads share trunks; give a study "
            "that `launch` made"
        )
    return finished_runs(folder, keys)


def print_board(board: Leaderboard, output: str, found: Agreement | None) -> None:
    """Print a comparison in one of four formats, with its agreement with separate training."""
    sentences = [*comparison_sentences(board), agreement_sentence(found)]
    if output == "json":
        json.dump(comparison_json(board, found), sys.stdout, indent=2, allow_nan=False)
        print()
    elif output == "csv":
        print(comma_separated(board), end="")
    elif output == "markdown":
        print(markdown(board), *(f"* {line}" for line in sentences), sep="\n")
    else:
        print_table(board)
        print()
        # A terminal wraps lines between words. A pipe gets one sentence on each line, for grep.
        console = Console(highlight=False)
        for line in sentences:
            console.print(Text(line), soft_wrap=not console.is_terminal)


def _announcement(config: StudyConfig, heads: int) -> str:
    seeds = config.compare.seeds
    trunks = "1 trunk" if seeds == 1 else f"{seeds} trunks"
    on = f"{trunks} ({config.compare.mode})"
    if config.compare.trunk is not None:
        times = "once" if seeds == 1 else f"{seeds} times"
        on = f"the frozen trunk of {config.compare.trunk}, {times}"
    return f"{config.question}\n{heads} heads on {on}, {config.scheduler.max_t:,} positions each"
