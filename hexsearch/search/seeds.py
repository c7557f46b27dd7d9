"""Seeds that are derived from the study's own."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, purpose: str, number: int) -> int:
    """32 bits that depend on all three."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
