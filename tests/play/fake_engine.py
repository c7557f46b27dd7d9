"""An engine for tests that plays the first empty cell, and fails in a given way.

`python fake_engine.py MANNER`: well, crash, hang, nonsense, taken, refuse, resign, or flood.
"""

from __future__ import annotations

import sys
import time


def main() -> None:
    manner, size, taken = sys.argv[1], 5, set[str]()
    for line in sys.stdin:
        words = line.split()
        answer = ""
        if words[0] == "boardsize":
            size = int(words[1])
        elif words[0] == "clear_board":
            taken = set()
        elif words[0] == "play":
            taken.add(words[2])
        elif words[0] == "genmove":
            if manner == "crash":
                sys.exit(3)
            if manner == "hang":
                time.sleep(60)
            if manner == "flood":
                while True:
                    print("x" * 65_536)
            if manner == "refuse":
                print("? cannot move\n", flush=True)
                continue
            if manner == "nonsense":
                print("what do you mean\n", flush=True)
                continue
            names = [chr(97 + c) + str(r + 1) for r in range(size) for c in range(size)]
            answer = next(name for name in names if (name in taken) == (manner == "taken"))
            if manner == "resign":
                answer = "resign"
            taken.add(answer)
        print(f"= {answer}\n", flush=True)
        if words[0] == "quit":
            return


if __name__ == "__main__":
    main()
