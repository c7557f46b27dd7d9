"""Uses an exported network without hexsearch and torch; it needs only numpy and onnxruntime.

python run_search.py export model.pt --format onnx --output exported
python examples/onnx_player.py exported g7 a3 f5
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def planes_of(moves: list[str], size: int, count: int) -> np.ndarray:
    """Blue and red stones, whether Red is to move, and how recent stones are if `count` is 4."""
    planes = np.zeros((1, count, size, size), dtype=np.float32)
    for ply, move in enumerate(moves):
        column, row = ord(move[0]) - ord("a"), int(move[1:]) - 1
        planes[0, ply % 2, row, column] = 1.0
        planes[0, 3:, row, column] = 2.0 ** ((ply + 1 - len(moves)) / 3)
    planes[0, 2] = len(moves) % 2
    return planes


def main(folder: Path, moves: list[str]) -> None:
    description = json.loads((folder / "model.json").read_text())
    size, count = description["board_size"], len(description["input"]["planes"])
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    win_prob_red, policy = session.run(None, {"planes": planes_of(moves, size, count)})
    print(f"Red wins with probability {win_prob_red[0]:.3f}")
    for cell in np.argsort(-policy[0])[:3]:
        row, column = divmod(int(cell), size)
        print(f"{chr(ord('a') + column)}{row + 1} {policy[0][cell]:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
