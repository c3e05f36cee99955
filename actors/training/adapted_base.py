"""How a LoRA policy travels: its base once, its adapters with every version."""

from dataclasses import dataclass, replace

import ray

from ray_iqa.types import WeightSnapshot


@dataclass(frozen=True, slots=True)
class AdaptedBase:
    """A snapshot of adapters, with a reference to the base that a node pulls once and its workers read in place."""

    base: "ray.ObjectRef[WeightSnapshot | None]"
    adapters: WeightSnapshot

    def whole(self) -> WeightSnapshot:
        """Base and adapters as one snapshot.

        Raises:
            ray.exceptions.ObjectLostError: the learner that holds the base is gone.
        """
        base = ray.get(self.base)
        assert base is not None, "rank 0 has the base"
        return replace(
            self.adapters,
            manifest=(*base.manifest, *self.adapters.manifest),
            values=(*base.values, *self.adapters.values),
        )
