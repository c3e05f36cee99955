"""The folder a scorer is kept in: tensors in safetensors, everything else in JSON. No pickle is read.

``rali.safetensors`` holds ``tower.*`` (the image tower alone) and ``head.*`` (mean, scale, components, vectors,
scores, temperature); ``rali.json`` is an `ArtifactCard`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ray_iqa.config.load import error_sentences
from ray_iqa.config.section import Section
from ray_iqa.errors import DataError
from ray_iqa.files import reading, whole_file, write_text
from ray_iqa.rali.model.encoders import Architecture, ImageEncoder, build_tower, pooled
from ray_iqa.rali.model.head import RaliHead
from ray_iqa.rali.model.preprocessing import Preprocessing

TENSORS, CARD = "rali.safetensors", "rali.json"
_HEAD_TENSORS = ("mean", "scale", "components", "temperature", "vectors", "scores")


class ArtifactCard(Section):
    """What a scorer must know beside its tensors."""

    format_version: Literal[1] = 1
    architecture: Architecture
    preprocessing: Preprocessing
    scale: tuple[float, float] = (1.0, 5.0)
    """Ends of the score's scale."""
    higher_is_better: Literal[True] = True
    provenance: dict[str, Any]
    """Where it came from: backbone, configuration, data sets, validation; for people, no code depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A scorer taken apart."""

    encoder: ImageEncoder
    head: RaliHead
    provenance: dict[str, Any]  # Any: JSON


class ScoringNetwork(nn.Module):
    """The whole scorer as one module: pixels [n, 3, S, S] in [0, 1], resized and cropped -> scores [n]."""

    def __init__(self, artifact: Artifact) -> None:
        super().__init__()
        self.preprocessing = artifact.encoder.preprocessing
        self.tower, self.head = artifact.encoder.tower, artifact.head

    def forward(self, images: Tensor) -> Tensor:
        """Scores, higher is better."""
        scores: Tensor = self.head(pooled(self.tower, self.preprocessing.normalised(images)).to(self.head.scores.dtype))
        return scores


def save_artifact(artifact: Artifact, folder: str | Path) -> None:
    """Write both files, each of which appears whole or not at all; the card comes last."""
    folder = Path(folder)
    card = ArtifactCard(
        architecture=artifact.encoder.architecture,
        preprocessing=artifact.encoder.preprocessing,
        provenance=artifact.provenance,
    )
    tensors = {f"tower.{name}": tensor for name, tensor in artifact.encoder.tower.state_dict().items()}
    tensors |= {f"head.{name}": tensor for name, tensor in artifact.head.state_dict().items()}
    with whole_file(folder / TENSORS) as partial:
        try:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)
        except SafetensorError as error:  # it has no error of its own for a full disk
            raise OSError(str(error)) from error
    write_text(folder / CARD, card.model_dump_json(indent=2) + "\n")


def load_artifact(folder: str | Path) -> Artifact:
    """Read both files; the tower is built by open_clip.

    Raises:
        ConfigError: the folder has no such files.
        DataError: a file is damaged, of another format version, or lacks or exceeds the tensors of its card.
    """
    folder = Path(folder)
    card = read_card(folder)
    with reading(folder / TENSORS, "a complete safetensors file, written by fit-rali or convert-rali"):
        tensors = load_file(folder / TENSORS)
    missing = [name for name in _HEAD_TENSORS if f"head.{name}" not in tensors]
    if missing:
        raise DataError(
            f"{folder / TENSORS} must hold head.{missing[0]}; the file is damaged, write the artifact again"
        )
    head_tensors = {name: tensors.pop(f"head.{name}") for name in _HEAD_TENSORS}
    components, vectors = head_tensors["components"], head_tensors["vectors"]
    try:
        head = RaliHead(components.shape[1], components.shape[0], vectors.shape[0])
        head.load_state_dict(head_tensors)
        tower = build_tower(card.architecture)
        tower.load_state_dict({name.removeprefix("tower."): tensor for name, tensor in tensors.items()})
    except (RuntimeError, IndexError) as error:
        raise DataError(f"{folder / TENSORS} does not hold the tensors of its {CARD}: {error}") from error
    encoder = ImageEncoder(tower=tower, architecture=card.architecture, preprocessing=card.preprocessing)
    return Artifact(encoder=encoder, head=head, provenance=card.provenance)


def read_card(folder: Path) -> ArtifactCard:
    """What an artifact's folder says of it, without its tensors.

    Raises:
        ConfigError: the folder has no card.
        DataError: the card is damaged or of another format version.
    """
    file = folder / CARD
    with reading(file, "the JSON that fit-rali or convert-rali writes beside its tensors"):
        content = json.loads(file.read_text(encoding="utf-8"))
    try:
        return ArtifactCard.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{file}: {'; '.join(error_sentences(error, ArtifactCard))}") from error
