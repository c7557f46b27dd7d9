"""A trial without torch, for a card of a real Ray that counts a GPU which is not there."""

from __future__ import annotations

import os
from pathlib import Path

import ray

from hexsearch.search.placement import Footprint


class StandIn:
    """Its sample is a folder, where each process leaves a file. Only two processes fit."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def footprint(self) -> Footprint:
        (self._folder / str(os.getpid())).write_text(str(ray.get_gpu_ids()))
        if len(list(self._folder.iterdir())) > 2:
            (self._folder / str(os.getpid())).unlink()
            raise MemoryError("no room for one more")
        return Footprint(1e9, 8e9, 1e9)

    def rate(self, seconds: float) -> float:
        return 100.0
