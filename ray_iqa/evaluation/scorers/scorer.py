"""What every scorer does, and which one a word on the command line means."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from ray_iqa.answers.verdict import Verdict
from ray_iqa.data.pictures import Picture
from ray_iqa.errors import ConfigError
from ray_iqa.types import LabelledImage

Kind = Literal["policy", "light", "column", "endpoint", "pyiqa"]


class Scorer(Protocol):
    """Scores pictures."""

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """One answer per image, in their order; no label is looked at. A broken picture is a failed answer."""
        ...


class PictureScorer(Protocol):
    """Scores pictures of any kind that `Picture` names."""

    def score(self, pictures: Sequence[Picture]) -> list[Verdict]:
        """One answer per picture, in their order; a broken one is a failed answer."""
        ...


class OnImages:
    """A `Scorer` that asks a `PictureScorer` about the images' files; ``seconds`` is an equal share of the call."""

    def __init__(self, scorer: PictureScorer) -> None:
        self._scorer = scorer

    def predict(self, images: Sequence[LabelledImage]) -> list[Verdict]:
        """See `Scorer.predict`."""
        began = time.perf_counter()
        verdicts = self._scorer.score([image.image_path for image in images])
        seconds = (time.perf_counter() - began) / max(1, len(images))
        return [replace(verdict, seconds=seconds) for verdict in verdicts]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as it was named."""

    name: str  # in the results
    kind: Kind
    source: str  # folder or hub name, FILE:COLUMN, URL, name of a metric


def read_models(words: Sequence[str]) -> list[ModelSpec]:
    """Tell the kinds of models apart.

    Args:
        words: ``[NAME=]MODEL`` each, where MODEL is ``csv:FILE:COLUMN``, ``http://HOST:PORT``, ``pyiqa:METRIC``, a
            folder of a light scorer, or a policy folder or hub name.

    Raises:
        ConfigError: a word is none of them, or two models have one name.
    """
    specs = [_spec(word) for word in words]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two models are called {name!r}; give one another name with --model NAME=MODEL")
    return specs


def _spec(word: str) -> ModelSpec:
    name, equals, source = word.partition("=")
    if not equals or not re.fullmatch(r"[^/:=]+", name) or not source or Path(word).exists():
        name, source = "", word
    kind, source, short = _kind(source)
    return ModelSpec(name=name or short, kind=kind, source=source)


def _kind(source: str) -> tuple[Kind, str, str]:
    """(kind, what is left of the word, the name it gets by itself)."""
    if source.startswith("csv:"):
        file, colon, column = source.removeprefix("csv:").rpartition(":")
        if not (file and colon and column):
            raise ConfigError(f"a column of scores must be csv:FILE:COLUMN, got {source!r}")
        return "column", f"{Path(file).absolute()}:{column}", column.removeprefix("-")
    if source.startswith(("http://", "https://")):
        return "endpoint", source, source.split("://", 1)[1].rstrip("/")
    if source.startswith("pyiqa:"):
        metric = source.removeprefix("pyiqa:")
        return "pyiqa", metric, metric
    folder = Path(source).absolute()  # workers have working directories of their own
    if not folder.is_dir():
        return "policy", source, source
    return ("light" if (folder / "rali.json").is_file() else "policy"), str(folder), "/".join(folder.parts[-2:])
