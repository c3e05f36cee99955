"""Everything about a run that can be checked in seconds, before any process is started."""

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ray_iqa.answers.prompt import Prompt, questions_of
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.train import TrainConfig
from ray_iqa.data.batches import ImageBatches
from ray_iqa.data.images import picture_size
from ray_iqa.data.label_maps import LabelRanges, found_ranges
from ray_iqa.data.labelled_sets import check_union
from ray_iqa.data.manifest import load_manifest
from ray_iqa.data.mixture import WeightedBatches
from ray_iqa.data.remote import is_url
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.evaluation.validation import select_images
from ray_iqa.grpo.rollouts import Batches
from ray_iqa.rewards.terms import load_terms, source_of
from ray_iqa.runs.digests import files_digest, images_digest, model_digest
from ray_iqa.runs.prompt_length import lack_of_room, prompt_length, shortest_answer_length
from ray_iqa.telemetry.wandb_tracker import check_login
from ray_iqa.types import LabelledImage

logger = logging.getLogger(__name__)
_THREADS = 16  # a header is little work, but a network file system makes each wait
_NUM_NAMED = 5  # pictures in one sentence
_HUB_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run reads, found complete."""

    batches: Batches
    label_ranges: LabelRanges  # of the training images
    validation: list[LabelledImage]
    prompts: dict[str | None, Prompt]  # by `LabelledImage.question`
    run_dir: Path
    contents: dict[str, str]  # digests of what keys of the configuration name


def check_inputs(config: TrainConfig) -> Inputs:
    """Read all manifests and look at every path of ``config``.

    Raises:
        ConfigError: a path that must be absolute is not, a prompt is unknown, or steps cannot be composed.
        DataError: a manifest row is bad, or an image is missing or cannot be used.
    """
    prompts = questions_of(config.policy)
    check_login(config.wandb)
    if is_url(config.run_dir):
        raise ConfigError(
            f"run_dir must be a path, got {config.run_dir!r}; to keep checkpoints, logs and the policy at a URI, set "
            "schedule.checkpoint_uri to it and run_dir to a local folder"
        )
    run_dir = output_folder(config.run_dir)
    check_model(config.policy.model)
    train = [
        replace(image, question=part.question)
        for part in config.data.parts
        for image in load_images([part.manifest], config.data.train_split)
    ]
    check_datasets(train)
    ranges = found_ranges(train)
    load_terms(config.reward, ranges)
    validation = select_images(
        load_images(config.evaluation.manifests, config.evaluation.split), config.evaluation.max_images
    )
    size, partners, mixture = config.data.images_per_step, config.data.min_partners, config.data.mixture
    weights = None if isinstance(mixture, str) else mixture
    batches: Batches = (
        ImageBatches(train, size, partners, config.seed)
        if mixture == "proportional"
        else WeightedBatches(train, size, partners, config.seed, weights)
    )
    check_answers(config.policy, config.rollout)
    check_pictures([image.image_path for image in (*train, *validation)], config.policy, config.rollout)
    check_hub(config.policy.model, config.policy.revision)
    merged = config.learner.lora is not None and config.weights.adapters_alone(config.learner.lora) is None
    if merged and config.policy.dtype == "bfloat16":
        logger.warning(
            "samplers merge adapters into bfloat16 weights, which keep only part of a small change: measured, 10 % of "
            "the change in log-probabilities after 1 update, 30 % after 3, 74 % after 10 (docs/training.md)"
        )
    return Inputs(
        batches=batches,
        label_ranges=ranges,
        validation=validation,
        prompts=prompts,
        run_dir=run_dir,
        contents={
            "data.train": images_digest(train),
            "policy.model": model_digest(config.policy.model, config.policy.revision),
            "reward.terms": files_digest([file for term in config.reward.terms if (file := source_of(term))]),
        },
    )


def load_images(manifests: list[str], split: str | None) -> list[LabelledImage]:
    """All images of ``split`` over several manifests; files are not opened.

    Raises:
        ConfigError: a relative manifest path that is not in the working directory.
        DataError: see `data.manifest`.
    """
    images: list[LabelledImage] = []
    for manifest in manifests:
        path = Path(manifest)
        if not is_url(manifest) and not path.is_file():
            where = "" if path.is_absolute() else f" in the working directory {Path.cwd()}; give an absolute path"
            raise ConfigError(f"a manifest must be an existing csv, jsonl or parquet file, no {manifest!r}{where}")
        images += load_manifest(manifest, split)
    check_datasets(images)
    return images


def check_datasets(images: list[LabelledImage]) -> None:
    """Images of one dataset over several manifests must agree.

    Raises:
        DataError: they do not, see `check_union`.
    """
    for name, question in sorted({(image.dataset, image.question or "") for image in images}):
        check_union(name, [image for image in images if (image.dataset, image.question or "") == (name, question)])


def check_pictures(
    paths: Iterable[str], policy: PolicyConfig | None = None, rollout: VllmRolloutConfig | None = None
) -> None:
    """Look at the header of each local picture, for a job that needs all of them; URLs are not opened.

    Args:
        paths: of the pictures.
        policy: that is asked about them.
        rollout: what its prompts must leave room for.

    Raises:
        DataError: names the first pictures that cannot be used, each with its reason.
    """
    length = None if policy is None or rollout is None else prompt_length(policy)
    if rollout is not None and length is None:
        logger.warning("prompt lengths are not checked: that takes the files of a policy of Qwen's families, here")

    def problem_of(path: str) -> str | None:
        try:
            size = picture_size(path)
        except DataError as error:
            return str(error)
        if rollout is None or length is None:
            return None
        problem = lack_of_room(length(*size), rollout.max_tokens, rollout.max_model_len)
        return problem and f"{path} ({size[0]} x {size[1]}): {problem}"

    local = dict.fromkeys(path for path in paths if not is_url(path))
    with ThreadPoolExecutor(_THREADS) as pool:
        problems = [problem for problem in pool.map(problem_of, local) if problem]
    if problems:
        more = "; ..." if len(problems) > _NUM_NAMED else ""
        raise DataError(
            f"{len(problems):,} of {len(local):,} pictures cannot be used: {'; '.join(problems[:_NUM_NAMED])}{more}"
        )


def check_answers(policy: PolicyConfig, rollout: VllmRolloutConfig) -> None:
    """Answers may be as long as their format needs.

    Raises:
        ConfigError: none could be read.
    """
    least = shortest_answer_length(policy)
    if rollout.max_tokens < least:
        raise ConfigError(
            f"rollout.max_tokens must be at least {least}, what the shortest answer in the prompt's format takes, got "
            f"{rollout.max_tokens}"
        )


def check_model(model: str) -> None:
    """A path must be a model folder; anything else is taken for a hub name.

    Raises:
        ConfigError: it has no config.json.
    """
    path = Path(model)
    looks_like_path = path.is_absolute() or model.startswith(".") or model.count("/") != 1
    if (looks_like_path or path.exists()) and not (path / "config.json").is_file():
        raise ConfigError(
            f"policy.model must be a Hugging Face model folder or a hub name like Qwen/Qwen2.5-VL-7B-Instruct, "
            f"found no config.json in {model!r}"
        )


def check_hub(model: str, revision: str | None = None) -> None:
    """A model that is no folder must be in the cache of the hub or on the hub: engines would try for minutes.

    Raises:
        ConfigError: the hub has no such model, or cannot be asked.
    """
    if Path(model).exists() or find_spec("huggingface_hub") is None:
        return
    from huggingface_hub import HfApi, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(model, "config.json", revision=revision), str):
        return
    try:
        HfApi().model_info(model, revision=revision, timeout=_HUB_S)
    except Exception as error:  # of the hub, of its client and of the network
        raise ConfigError(
            "policy.model must be a folder, or a model on the Hugging Face hub or in its cache; there is no folder "
            f"{model!r}, the cache has no such model, and asking the hub ended with: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or repr(error)


def output_folder(text: str, key: str = "run_dir") -> Path:
    """Absolute path of a folder that a job writes; ``key`` is what the user calls it.

    Raises:
        ConfigError: it is a URL, or relative in a submitted job, with whose working directory it would vanish.
    """
    if not text or is_url(text):
        raise ConfigError(f"{key} must be a path, got {text!r}")
    path = Path(text)
    if not path.is_absolute() and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ConfigError(f"{key} must be absolute in a submitted job, so that it outlives it, got {text!r}")
    return path.absolute()
