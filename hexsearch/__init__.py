"""hexsearch: which value head, on which trunk, trained how, predicts the winner best?

The Python interface has the names of the commands:

    import hexsearch as hs
    study = hs.launch("quick", games="my_games/", name="mine")
    study.leaderboard()

Each name is imported when it is first used, so that `import hexsearch` itself takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hexsearch.errors import HexsearchError as HexsearchError
    from hexsearch.interface.callbacks import Callback as Callback
    from hexsearch.interface.networks import analyze as analyze
    from hexsearch.interface.networks import doctor as doctor
    from hexsearch.interface.networks import match as match
    from hexsearch.interface.studies import compare as compare
    from hexsearch.interface.studies import launch as launch
    from hexsearch.interface.studies import resume as resume
    from hexsearch.interface.study import Study as Study
    from hexsearch.interface.study import load_study as load_study
    from hexsearch.interface.trackers.mlflow import MlflowCallback as MlflowCallback
    from hexsearch.interface.trackers.tensorboard import TensorBoardCallback as TensorBoardCallback
    from hexsearch.interface.trackers.trackio import TrackioCallback as TrackioCallback
    from hexsearch.interface.trackers.wandb import WandbCallback as WandbCallback
    from hexsearch.interface.training import train as train
    from hexsearch.interface.trial import load_network as load_network

__version__ = "0.1.0"

_HOME = {
    "HexsearchError": "hexsearch.errors",
    "Callback": "hexsearch.interface.callbacks",
    "MlflowCallback": "hexsearch.interface.trackers.mlflow",
    "TensorBoardCallback": "hexsearch.interface.trackers.tensorboard",
    "TrackioCallback": "hexsearch.interface.trackers.trackio",
    "WandbCallback": "hexsearch.interface.trackers.wandb",
    "analyze": "hexsearch.interface.networks",
    "doctor": "hexsearch.interface.networks",
    "match": "hexsearch.interface.networks",
    "train": "hexsearch.interface.training",
    "compare": "hexsearch.interface.studies",
    "launch": "hexsearch.interface.studies",
    "resume": "hexsearch.interface.studies",
    "Study": "hexsearch.interface.study",
    "load_study": "hexsearch.interface.study",
    "load_network": "hexsearch.interface.trial",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hexsearch' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
