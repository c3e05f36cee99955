"""Where curves and answers of a run are shown beside its own files: one class per service."""

import math
from collections.abc import Iterator
from typing import Protocol

from PIL import Image

from ray_iqa.data.images import picture_or_reason
from ray_iqa.types import RolloutGroup, StepRecord

NUM_EXAMPLES = 4
THUMBNAIL = (256, 256)  # pixels


class Tracker(Protocol):
    """Shows a run, which it begins or continues when it is made; what is not finite among metrics is left out."""

    def log(self, step: int, metrics: dict[str, float], record: StepRecord | None) -> None:
        """Show one step, 0 before training; of a record the histogram of scores and the `examples`."""

    def close(self) -> None:
        """Hand over what is queued."""


def examples(record: StepRecord) -> Iterator[tuple[str, Image.Image | None, str]]:
    """Name, picture and answers (Markdown) of a few images of a validated step; none of others.

    Their number so follows ``schedule.evaluate_every``. There is no picture where it cannot be read any more.
    """
    groups = record.groups[:NUM_EXAMPLES] if "eval/srcc" in record.metrics else ()
    for index, group in enumerate(groups):
        found = picture_or_reason(group.image.image_path)
        picture = None if isinstance(found, str) else found
        if picture is not None:
            picture.thumbnail(THUMBNAIL)
        yield f"examples/{index}", picture, _caption(group, record, index)


def _caption(group: RolloutGroup, record: StepRecord, index: int) -> str:
    image = group.image
    direction = "higher" if image.higher_is_better else "lower"
    lines = [f"**{image.dataset} / {image.image_id}**, MOS {image.mos:g} ({direction} is better)"]
    for k, completion in enumerate(group.completions):
        score, reward = record.table.scores[index, k], record.table.rewards[index, k]
        lines.append(f"score {score:.2f}, reward {reward:.2f}:" if math.isfinite(score) else "no score:")
        lines.append("\n".join(f"    {line}" for line in completion.text.splitlines()))  # verbatim in Markdown
    return "\n\n".join(lines)
