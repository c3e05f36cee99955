"""CLIP towers by open_clip: the image tower that becomes the scorer, and the frozen text tower that teaches it.

open_clip is imported inside functions: it takes seconds, and nothing needs it before a tower is built.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn

from ray_iqa.compat import without_scikit_learn
from ray_iqa.config.section import Section
from ray_iqa.errors import ConfigError
from ray_iqa.rali.model.preprocessing import ImageSource, Preprocessing
from ray_iqa.rali.model.texts import training_texts

_LONGEST_TEXT = 1024  # tokens counted; longer texts count as this long


class Architecture(Section):
    """What open_clip needs to build an image tower; part of the artifact."""

    embed_dim: PositiveInt
    """D, width of the joint space."""
    vision_cfg: dict[str, Any]
    quick_gelu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEncoder:
    """An image tower and all that is needed to build and feed it."""

    tower: nn.Module  # pixels [n, 3, S, S] -> features [n, D], not normalised
    architecture: Architecture
    preprocessing: Preprocessing

    def features(self, images: Sequence[ImageSource], batch_size: int = 64) -> NDArray[np.float32]:
        """Features [M, D] of pictures, not normalised, in their order; NaN for a picture that cannot be read."""
        self.tower.eval()
        parameter = next(self.tower.parameters())
        unread = torch.full(self.preprocessing.shape, torch.nan)
        rows = [np.empty((0, self.architecture.embed_dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                centres = map(self.preprocessing.centre_or_reason, images[start : start + batch_size])
                pixels = self.preprocessing.batch([unread if isinstance(each, str) else each for each in centres])
                rows.append(pooled(self.tower, pixels.to(parameter.device)).float().cpu().numpy())
        return np.concatenate(rows)


def pooled(tower: nn.Module, pixels: Tensor) -> Tensor:
    """Features [n, D] of pictures with V views each, [n, 3 V, S, S]: means over the views."""
    num_pictures, channels, *square = pixels.shape
    features: Tensor = tower(pixels.reshape(-1, 3, *square))
    return features.reshape(num_pictures, channels // 3, -1).mean(dim=1)


class TextEncoder:
    """The text tower. RALI never trains it, so texts can be embedded once and kept."""

    def __init__(self, model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - open_clip's, which has no types
        self._model, self._tokenizer, self.context_length = model, tokenizer, tokenizer.context_length

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [n, context_length]; what does not fit is cut."""
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens

    def num_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before anything is cut, start and end included; more than fit mean truncation."""
        rows = self._tokenizer(["", *texts], context_length=_LONGEST_TEXT)
        padding = rows[0, -1]
        # The position of the last token that is no padding; a token equal to padding may stand inside a text.
        places = torch.arange(1, _LONGEST_TEXT + 1)
        return [int(count) for count in ((rows[1:] != padding) * places).amax(dim=1)]

    def fits(self, text: str) -> bool:
        """Whether the tower reads the whole text."""
        return self.num_tokens([text])[0] <= self.context_length

    def training_texts(self, reasoning: str) -> list[str]:
        """The reasoning, or runs of its sentences that the tower reads whole; see `texts.training_texts`."""
        return training_texts(reasoning, self.fits)

    def embeddings(self, texts: Sequence[str], batch_size: int = 256) -> NDArray[np.float32]:
        """Embeddings [n, D] of unit length; texts that are too long are cut at the end."""
        self._model.train(False)
        device = next(self._model.parameters()).device
        with torch.inference_mode():
            rows = [
                self._model.encode_text(self.tokens(texts[start : start + batch_size]).to(device), normalize=True)
                for start in range(0, len(texts), batch_size)
            ]
        return torch.cat(rows).float().cpu().numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Both towers of one open_clip model; they share ``model``'s parameters."""

    name: str
    model: Any  # open_clip.CLIP, which has no types
    config: dict[str, Any]  # open_clip's own dictionary that builds the model
    image: ImageEncoder
    text: TextEncoder

    def with_crops(self, crops: int) -> "Clip":
        """The same towers, of which the one of images looks at so many squares beside the whole picture."""
        preprocessing = self.image.preprocessing.model_copy(update={"crops": crops})
        return replace(self, image=replace(self.image, preprocessing=preprocessing))

    def save(self, folder: str | Path) -> None:
        """Write a folder that `load_clip` and open_clip read."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"model_cfg": self.config, "preprocess_cfg": self.model.visual.preprocess_cfg}
        (folder / "open_clip_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        tensors = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(tensors, folder / "open_clip_model.safetensors")


def load_clip(name: str, pretrained: str | None = None, seed: int = 0, device: str = "cpu") -> Clip:
    """Both towers by open_clip name, ``hf-hub:`` name or local folder.

    Args:
        name: as `BackboneConfig.name`.
        pretrained: a tag or a file; None for a hub name or a folder, which bring their weights, and for random ones.
        seed: of random weights.
        device: where both towers go, as torch spells it.

    Raises:
        ConfigError: no such model, tag or file, or the download failed.
    """
    with without_scikit_learn():
        import open_clip

    identifier = f"local-dir:{name}" if Path(name).is_dir() else name
    has_weights = identifier.startswith(("local-dir:", "hf-hub:"))
    if has_weights and pretrained is not None:
        raise ConfigError(f"backbone.pretrained must be null, for {name!r} brings its own weights; got {pretrained!r}")
    # OpenAI's weights were trained with another activation than the plain model name gives.
    quick_gelu = bool(pretrained and open_clip.get_pretrained_cfg(name.replace("/", "-"), pretrained).get("quick_gelu"))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = open_clip.create_model(identifier, pretrained, force_quick_gelu=quick_gelu, device=device).eval()
        tokenizer = open_clip.get_tokenizer(identifier)
        config = open_clip.get_model_config(identifier)
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"backbone {name!r} with weights {pretrained!r} cannot be loaded: {error}") from error
    config["quick_gelu"] = quick_gelu or config.get("quick_gelu", False)
    image = ImageEncoder(
        tower=model.visual,
        architecture=Architecture(**{key: config[key] for key in Architecture.model_fields}),
        preprocessing=Preprocessing.from_open_clip(model.visual.preprocess_cfg),
    )
    return Clip(name=name, model=model, config=config, image=image, text=TextEncoder(model, tokenizer))


def build_tower(architecture: Architecture) -> nn.Module:
    """An image tower with random weights: [n, 3, S, S] -> [n, D].

    Raises:
        ConfigError: open_clip cannot build it.
    """
    with without_scikit_learn():
        import open_clip

    one_word = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}
    try:
        model = open_clip.CLIP(
            embed_dim=architecture.embed_dim,
            vision_cfg={**architecture.vision_cfg, "timm_model_pretrained": False},
            text_cfg=one_word,  # thrown away
            quick_gelu=architecture.quick_gelu,
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"open_clip cannot build the image tower {architecture.vision_cfg}: {error}") from error
    return model.visual
