"""The light scorer under a name of `pyiqa.create_metric`; needs the package pyiqa, which is no dependency.

Used of pyiqa (0.1.16): its table of default configurations, in which `create_metric` looks a name up before anything
else, and its registry of architectures. Entry points are read too late for the former, hence a function to call.
"""

import importlib

from torch import Tensor

from ray_iqa.errors import ConfigError
from ray_iqa.rali.model.artifact import ScoringNetwork, load_artifact

NAME = "ray-iqa-light"


class LightNetwork(ScoringNetwork):
    """Pictures [n, 3, H, W] in [0, 1] -> quality [n, 1] on 1 to 5, with gradients to the pixels.

    pyiqa decodes files itself and hands over tensors, which are resized with torch's filter: scores of pictures of
    another size than the tower's differ a little from those of `ray-iqa score`.
    """

    def __init__(self, model: str) -> None:
        super().__init__(load_artifact(model))
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Scores, higher is better."""
        return super().forward(self.preprocessing.resized(images))[:, None]


def register(model: str, name: str = NAME) -> None:
    """From now on `pyiqa.create_metric(name)` is the light scorer in the folder ``model``.

    Raises:
        ConfigError: pyiqa is not installed.
    """
    try:
        configs = importlib.import_module("pyiqa.default_model_configs").DEFAULT_CONFIGS
        architectures = importlib.import_module("pyiqa.utils.registry").ARCH_REGISTRY
    except ImportError as error:
        raise ConfigError(f"a metric of pyiqa needs the package pyiqa; pip install pyiqa ({error})") from error
    if LightNetwork.__name__ not in architectures:
        architectures.register(LightNetwork)
    configs[name] = {
        "metric_opts": {"type": LightNetwork.__name__, "model": model},
        "metric_mode": "NR",
        "score_range": "1, 5",
    }
