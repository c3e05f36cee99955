from itertools import pairwise

from ray_iqa.seeds import derive_seed


def test_every_part_and_their_order_matter() -> None:
    seeds = {derive_seed(0, "step", 1), derive_seed(0, "step", 2), derive_seed(1, "step", 0), derive_seed("step", 0, 1)}
    assert len(seeds) == 4
    assert derive_seed("1", 2) != derive_seed(1, "2")
    assert derive_seed("ab", "c") != derive_seed("a", "bc")


def test_seeds_are_repeatable_and_fit_a_signed_64_bit_generator() -> None:
    seeds = [derive_seed(7, "image", index) for index in range(1000)]
    assert seeds == [derive_seed(7, "image", index) for index in range(1000)]
    assert len(set(seeds)) == 1000
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
    # neighbours never share the K seeds that vLLM counts up from each
    gaps = sorted(seeds)
    assert min(b - a for a, b in pairwise(gaps)) > 64
