"""Annotations by a teacher that sees and judges without error."""

import numpy as np
from quickstart_runs import Start

from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.data.manifest import read_rows
from ray_iqa.data.rows import ManifestRow
from ray_iqa.quickstart.attributes import describe
from ray_iqa.quickstart.quality import true_quality
from ray_iqa.rali.annotations.pictures import AnnotatedImage
from ray_iqa.rali.annotations.records import ReasoningRecord
from ray_iqa.rali.annotations.verdicts import records_of_group
from ray_iqa.types import Completion, RolloutGroup


def taught_records(start: Start) -> list[ReasoningRecord]:
    """One text of every training picture, not embedded; its true quality stands for the label."""
    return [
        record
        for manifest in start.manifests
        for row in read_rows(manifest)
        if row.split == "train"
        for record in _taught(row, str(manifest.parent / row.path))
    ]


def _taught(row: ManifestRow, path: str) -> list[ReasoningRecord]:
    assert row.distortion is not None
    assert row.level is not None
    quality = true_quality(row.distortion, row.level)
    image = AnnotatedImage(
        image_id=row.image_id,
        image_path=path,
        dataset=row.dataset,
        content=row.content,
        mos=row.mos,
        mapped_mos=quality,
    )
    text = f"<think>{describe(row.distortion, row.level)}</think><answer>{quality:.2f}</answer>"
    nothing = np.zeros(0, np.int32)
    completion = Completion(token_ids=nothing, logprobs=nothing.astype(np.float32), text=text, finish_reason="stop")
    group = RolloutGroup(
        image=image.for_sampler(), prompt_token_ids=nothing, completions=(completion,), policy_version=0
    )
    return records_of_group(image, group, prompt_by_id("thinking"), num_texts=1)
