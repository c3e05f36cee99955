"""Seeds derived by hashing, so that neighbouring steps and images never share random streams."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on their order.

    Counting (seed + step + image) would collide: vLLM gives the k-th completion of a request the seed ``seed + k``.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
