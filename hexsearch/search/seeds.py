"""Seeds that are derived from the study's seed."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, purpose: str, number: int) -> int:
    """A seed of 32 bits that depends on all three arguments."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
