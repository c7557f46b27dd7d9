"""Reuses the small games and the trained network of the doctor's tests."""

from __future__ import annotations

from tests.doctor.conftest import archive, checkpoint, dataset, games_file, one_thread, trained

__all__ = ["archive", "checkpoint", "dataset", "games_file", "one_thread", "trained"]
