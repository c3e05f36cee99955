"""Which settings of a run may change when it is resumed, and how those that another version wrote are read."""

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from ray_iqa.config.load import fields_of, sections_of
from ray_iqa.config.section import Section

_FREE = (
    "run_dir",
    "wandb",
    "schedule.num_steps",
    "schedule.epochs",
    "schedule.*_every",
    "schedule.keep_*",
    "schedule.checkpoint_uri",
    "evaluation.*",
    "cluster.*",
    "weights.*",
    "*.num_threads",
    "*.profile",
    "*_deadline_s",
    "rollout.*_workers",
    "rollout.max_model_len",
    "rollout.tensor_parallel_size",
    "rollout.gpu_memory_utilization",
    "rollout.kv_cache_gib",
    "rollout.max_num_seqs",
    "rollout.sleep_when_idle",
    "rollout.enforce_eager",
    "learner.num_ranks",
    "learner.zero_stage",
    "learner.offload_*",
    "learner.gradient_checkpointing",
    "learner.share_prefix",
    "learner.max_tokens_per_micro_batch",
    "images.*",  # of annotation: pictures that are there already are not annotated again
    "pipeline.*",
    "workers.*",
)
"""The length of a run, what is measured, memory, and the machines it runs on."""

_LEARNING = (
    "learner.learning_rate",
    "learner.final_learning_rate_fraction",
    "learner.warmup_steps",
    "learner.betas",
    "learner.weight_decay",
    "learner.max_grad_norm",
    "learner.clip_*",
    "learner.kl_coef",
    "learner.importance_cap",
    "learner.loss",
    "learner.dr_grpo_length",
    "learner.*_per_batch",
    "learner.max_redraws",
    "learner.lora.dropout",
    "rollout.temperature",
    "rollout.top_*",
    "rollout.max_tokens",
    "rollout.max_staleness",
)
"""How the policy learns and draws the answers that it learns from."""

_DECIDED_BY = {"data.train_split": "data.train", "policy.revision": "policy.model"}
Kind = Literal["free", "learning", "kept"]
Flat = dict[str, object]


def kind_of(key: str) -> Kind:
    """Whether a key is free to change, says how a policy learns, or belongs to the problem that a run is kept for."""
    if any(fnmatch(key, pattern) for pattern in _FREE):
        return "free"
    return "learning" if any(fnmatch(key, pattern) for pattern in _LEARNING) else "kept"


def decided_by(key: str) -> str:
    """The key whose content, where it is known, says whether this one has changed."""
    return _DECIDED_BY.get(key, key)


def flat_settings(tree: Mapping[str, Any], prefix: str = "") -> Flat:  # Any: JSON values
    """A tree of sections as ``section.key`` -> value."""
    flat: Flat = {}
    for key, value in tree.items():
        flat |= flat_settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def read_as(kind: Any, written: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401 - any type form, JSON values
    """Settings that another version wrote, as ``kind``: what it did not know has its default.

    Args:
        kind: a section, or the type of a key that holds one.
        written: what was written.
        now: settings of this version, for keys that have no default.

    Returns:
        The settings, and the keys in ``written`` that ``kind`` does not have.
    """
    settings: dict[str, Any] = {}
    fields = fields_of(kind)
    for section in sections_of(kind):
        written = section.renamed(dict(written)) if issubclass(section, Section) else written
    dropped = [key for key in written if key not in fields]
    for key, field in fields.items():
        value = written.get(key, now.get(key) if field.is_required() else to_jsonable_python(field.get_default()))
        if isinstance(value, dict) and fields_of(field.annotation):
            inside = now.get(key)
            value, lost = read_as(field.annotation, value, inside if isinstance(inside, dict) else {})
            dropped += [f"{key}.{name}" for name in lost]
        settings[key] = value
    return settings, dropped
