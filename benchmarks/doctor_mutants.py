"""What the doctor finds of faults that nobody chose: mutants of the code that trains.

    python benchmarks/doctor_mutants.py --list
    python benchmarks/doctor_mutants.py --seed 1 --count 40 [--workers 2] [--json FILE]

A mutant is one function of hexsearch.data, hexsearch.model or hexsearch.training with one small
fault (see mutation_operators.py). It matters if a small trial of some configuration does something
else (see mutant_trials.py), and no trial raises an exception. For mutants that matter, drawn at
random, this compares what the doctor finds with what the simplest rival finds: a short training
whose loss must fall and whose answers must beat chance. Only findings count that the sound code
does not have.

Each mutant runs in a process of its own. With --json an interrupted run goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from mutant_runs import Job, Result, Run, is_executed, judge, sound_code  # noqa: E402
from mutant_trials import CONFIGURATIONS  # noqa: E402
from mutants import Mutant, modules, mutants_of  # noqa: E402

from tests.doctor.conftest import SIZE  # noqa: E402
from tests.doctor.games import lopsided_games  # noqa: E402

_GAMES = 600


def report(drawn: Sequence[tuple[Mutant, Result]]) -> Iterator[str]:
    """The table of counts, then each mutant that matters."""
    outcomes = Counter(result.outcome for _, result in drawn)
    matter = [(mutant, result) for mutant, result in drawn if result.outcome == "matters"]
    found = Counter(result.found for _, result in matter)
    rows = {
        "drawn": len(drawn),
        "crashes": outcomes["crashes"],
        "hangs": outcomes["hangs"],
        "equivalent": outcomes["equivalent"],
        "matters": outcomes["matters"],
        "found by the doctor": found["error"] + found["warning"],
        "- as an error": found["error"],
        "- as a warning": found["warning"],
        "found by the rival": sum(result.rival for _, result in matter),
        "found by the rival alone": sum(r.rival and not r.found for _, r in matter),
    }
    yield from (f"{name:<26}{number:>6}" for name, number in rows.items())
    for mutant, result in matter:
        yield f"\n{mutant.place} {mutant.operator} ({result.configuration})"
        yield f"  {mutant.before}  ->  {mutant.after}"
        said = [f"{severity}, {check}: {cause}" for severity, check, cause in result.findings[:1]]
        rival = "; the rival finds it" if result.rival else ""
        noted = f" ({result.note})" if result.note else ""
        yield f"  {said[0] if said else 'not found'}{rival}{noted}"


def listed(mutants: Sequence[Mutant]) -> Iterator[str]:
    """The numbers of mutants by module and by operator."""
    for name in ("module", "operator"):
        counts = Counter(getattr(mutant, name) for mutant in mutants)
        yield from (f"{value:<48}{number:>6}" for value, number in sorted(counts.items()))
        yield ""
    yield f"{'all mutants':<48}{len(mutants):>6}"


def load(path: Path | None) -> dict[str, Result]:
    """The results in a file by key. A last line that was cut off is left out."""
    if path is None or not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    known = {}
    for number, line in enumerate(lines):
        try:
            raw = json.loads(line)
            raw["findings"] = [tuple(each) for each in raw["findings"]]
            result = Result(**raw)
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines) - 1 and not line.endswith("\n"):
                path.write_text("".join(lines[:-1]), encoding="utf-8")
                break
            raise SystemExit(f"{path} line {number + 1}: no result of a mutant ({error})") from None
        known[result.key] = result
    return known


def keeper(path: Path | None) -> Callable[[Result], None]:
    """What appends each result to a file."""

    def keep(result: Result) -> None:
        told = result.found or ("not found" if result.outcome == "matters" else "")
        print(f"{result.key}: {result.outcome} {told}".rstrip(), file=sys.stderr, flush=True)
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")

    return keep


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command, or exit status 2 with a message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="numbers of mutants, and no run")
    parser.add_argument("--seed", type=int, default=1, help="seed of the drawing")
    parser.add_argument("--count", type=int, default=40, help="how many mutants that matter")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results, to go on from")
    args = parser.parse_args(arguments)
    for name, least in (("seed", 0), ("count", 1), ("workers", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name} is {getattr(args, name)}; it must be {least} or more")
    if args.json is not None and (args.json.is_dir() or not args.json.parent.is_dir()):
        parser.error(f"--json {args.json}: not a file in an existing folder")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    args = parsed(arguments)
    torch.set_num_threads(1)
    mutants = [mutant for module in modules() for mutant in mutants_of(module)]
    if args.list:
        print("\n".join(listed(mutants)))
        return 0
    games, known = lopsided_games(_GAMES, SIZE), load(args.json)
    sound = sound_code(games, list(CONFIGURATIONS))
    for name, findings in sound.findings.items():
        for severity, check, cause in findings:
            print(f"the sound code, {name}: {severity}, {check}: {cause}")
    order = [mutants[n] for n in np.random.default_rng(args.seed).permutation(len(mutants))]
    idle = [mutant.key for mutant in order if not is_executed(mutant, sound)]
    unchanged = {key: Result(key, "equivalent") for key in idle}

    def judged(mutant: Mutant) -> Job:
        return lambda out: judge(mutant, sound, games, out)

    run = Run(order, judged, {**known, **unchanged}, keeper(args.json))
    print("\n".join(report(run.until(args.count, args.workers))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
