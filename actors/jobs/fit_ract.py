"""`ray-iqa fit-ract`: a policy learns the reasoning texts of several data sets, as `ray-iqa sft` learns others.

By default its vision tower alone is trained, as in the RALI paper.
"""

from functools import partial
from pathlib import Path

from actors.cluster.stop_signal import StopRequest
from actors.jobs.fit_rali import annotation_files
from actors.jobs.sft import Reading, learn
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.jobs.fit_ract import FitRactConfig
from ray_iqa.errors import ConfigError
from ray_iqa.rali.annotations.ract import lessons
from ray_iqa.rali.annotations.records import read_records
from ray_iqa.runs.digests import files_digest


def run(config: FitRactConfig, stop: StopRequest, *, change_learning: bool) -> int:
    """Fit or resume, export the policy; the exit code."""
    prompt = prompt_by_id(config.policy.prompt)
    if not (prompt.asks_reasoning and prompt.answer_format == "tagged"):
        raise ConfigError(f"policy.prompt must ask for reasoning in tags, {config.policy.prompt!r} does not")
    return learn(config, partial(_read, config), stop, change_learning=change_learning)


def _read(config: FitRactConfig) -> Reading:
    files = annotation_files(config.texts.annotations)
    chosen = lessons(read_records(files), config.texts.scored_dataset, config.texts.texts_per_image)
    return chosen, {}, {"texts.annotations": files_digest([Path(file) for file in files])}
