"""Everything about a run that can be checked in seconds, before any process is started."""

import os
from dataclasses import dataclass
from pathlib import Path

from ray_iqa.answers.prompt import Prompt, prompt_by_id
from ray_iqa.config.train import TrainConfig
from ray_iqa.data.batches import ImageBatches
from ray_iqa.data.labelled_sets import check_union
from ray_iqa.data.manifest import check_images_exist, load_manifest
from ray_iqa.data.remote import is_url
from ray_iqa.errors import ConfigError
from ray_iqa.evaluation import select_images
from ray_iqa.rewards.labels import label_ranges
from ray_iqa.types import LabelledImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run reads, found complete."""

    batches: ImageBatches
    label_ranges: dict[str, tuple[float, float]]  # of the training images, per dataset
    validation: list[LabelledImage]
    prompt: Prompt
    run_dir: Path


def check_inputs(config: TrainConfig) -> Inputs:
    """Read all manifests and look at every path of ``config``.

    Raises:
        ConfigError: a path that must be absolute is not, a prompt is unknown, or steps cannot be composed.
        DataError: a manifest row is bad or an image is missing.
    """
    prompt = prompt_by_id(config.policy.prompt)
    if is_url(config.run_dir):
        raise ConfigError(
            f"run_dir must be a path, got {config.run_dir!r}; to keep checkpoints, logs and the policy at a URI, set "
            "schedule.checkpoint_uri to it and run_dir to a local folder"
        )
    run_dir = output_folder(config.run_dir)
    check_model(config.policy.model)
    train = load_images(config.data.train, config.data.train_split)
    validation = load_images(config.evaluation.manifests, config.evaluation.split)
    batches = ImageBatches(train, config.data.images_per_step, config.data.min_partners, config.seed)
    return Inputs(
        batches=batches,
        label_ranges=label_ranges(train),
        validation=select_images(validation, config.evaluation.max_images),
        prompt=prompt,
        run_dir=run_dir,
    )


def load_images(manifests: list[str], split: str | None) -> list[LabelledImage]:
    """All images of ``split`` over several manifests; every file is known to exist.

    Raises:
        ConfigError: a relative manifest path that is not in the working directory, or nothing in the split.
        DataError: see `data.manifest`.
    """
    images: list[LabelledImage] = []
    for manifest in manifests:
        path = Path(manifest)
        if not is_url(manifest) and not path.is_file():
            where = "" if path.is_absolute() else f" in the working directory {Path.cwd()}; give an absolute path"
            raise ConfigError(f"a manifest must be an existing csv, jsonl or parquet file, no {manifest!r}{where}")
        images += load_manifest(manifest, split)
    if not images:
        raise ConfigError(f"split {split!r} must hold at least one image, found none in {', '.join(manifests)}")
    for name in sorted({image.dataset for image in images}):
        check_union(name, [image for image in images if image.dataset == name])
    check_images_exist(images)
    return images


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


def output_folder(text: str, key: str = "run_dir") -> Path:
    """Absolute path of a folder that a job writes; ``key`` is what the user calls it.

    Raises:
        ConfigError: it is a URL, or relative in a submitted job, with whose working directory it would vanish.
    """
    if is_url(text):
        raise ConfigError(f"{key} must be a path, got {text!r}")
    path = Path(text)
    if not path.is_absolute() and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ConfigError(f"{key} must be absolute in a submitted job, so that it outlives it, got {text!r}")
    return path.absolute()
