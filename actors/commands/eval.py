"""`ray-iqa eval`: its options and file as one configuration."""

from typing import Any

from ray_iqa.config.jobs.evaluate import EvalConfig
from ray_iqa.config.load import build_config, read_tree
from ray_iqa.errors import ConfigError


def run(config: str | None, overrides: list[str], samples: int | None, device: str | None, **keys: Any) -> int:  # noqa: ANN401 - of EvalConfig
    """Evaluate; the exit code.

    Args:
        config: YAML file with the engines' settings.
        overrides: ``key.path=value``, which are stronger than the options.
        samples: answers per image.
        device: of all models.
        **keys: others of `EvalConfig`, None where they are left to the file.
    """
    tree: dict[str, Any] = {} if config is None else read_tree(config)  # Any: YAML values
    tree |= {key: value for key, value in keys.items() if value is not None}
    if samples is not None:
        if tree.get("decoding", "sampled") != "sampled":
            raise ConfigError(f"--samples is for sampled decoding, got --decoding {tree['decoding']}; leave one out")
        tree["rollout"] = {**tree.get("rollout", {}), "num_completions": samples}
    told = {} if device is None else {"device": device}
    tree["cluster"] = {"device": "cpu", **(tree.get("cluster") or {}), **told}
    settings = build_config(EvalConfig, tree, overrides, "ray-iqa eval")
    from actors.jobs.evaluate import evaluate
    from ray_iqa.runs.preflight import output_folder

    output_folder(settings.out, "--out")
    return evaluate(settings)
