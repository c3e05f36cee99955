"""Pristine photographs that ship inside installed packages, and which split each belongs to.

Left out, though they ship too: drawings, diagrams and text (colour wheel, logos, pages, silhouettes,
phantom, chessboards), where natural quality means nothing; pictures that are degraded or tiny already
(the motion-blurred clock, the phase image of a cell, faces of 25 pixels, vessels of 102 pixels);
pictures that are almost everywhere black or smooth (the Hubble deep field, the moon, the retina).

The split was chosen once, by looking at the contents and before anything was trained. It never
changes: test photographs show a person, a wall, an animal, a building and a still life.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ray_iqa.data.images import load_image
from ray_iqa.errors import ResourceError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_SKIMAGE, _SKLEARN, _MATPLOTLIB = "skimage/data", "sklearn/datasets/images", "matplotlib/mpl-data/sample_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One scene. Everything cut from any of its views belongs to one split."""

    name: str
    split: Split
    licence: str
    views: tuple[NDArray[np.uint8], ...]  # each [H, W, 3]


@dataclass(frozen=True, slots=True)
class Photograph:
    """Where a photograph lies; ``files`` has two for a stereo pair, which is one content."""

    name: str
    split: Split
    folder: str  # package and path inside it
    files: tuple[str, ...]
    licence: str


PHOTOGRAPHS = (
    Photograph("astronaut", "test", _SKIMAGE, ("astronaut.png",), "public domain (NASA)"),
    Photograph("brick", "test", _SKIMAGE, ("brick.png",), "CC0-1.0 (CC0Textures Bricks25)"),
    Photograph("chelsea", "test", _SKIMAGE, ("chelsea.png",), "CC0-1.0 (Stefan van der Walt)"),
    Photograph("china", "test", _SKLEARN, ("china.jpg",), "CC-BY-2.0 (danielbuechele, Flickr 6061409035)"),
    Photograph("coffee", "test", _SKIMAGE, ("coffee.png",), "CC0-1.0 (Rachel Michetti)"),
    Photograph("camera", "val", _SKIMAGE, ("camera.png",), "CC0-1.0 (Lav Varshney)"),
    Photograph("flower", "val", _SKLEARN, ("flower.jpg",), "CC-BY-2.0 (vultilion, Flickr 6056698931)"),
    Photograph("coins", "train", _SKIMAGE, ("coins.png",), "no known restrictions (Brooklyn Museum)"),
    Photograph(
        "grace_hopper", "train", _MATPLOTLIB, ("grace_hopper.jpg",), "public domain (United States Navy portrait)"
    ),
    Photograph("grass", "train", _SKIMAGE, ("grass.png",), "CC0-1.0 (linolafett, DeviantArt)"),
    Photograph("gravel", "train", _SKIMAGE, ("gravel.png",), "CC0-1.0 (CC0Textures Gravel04)"),
    Photograph("ihc", "train", _SKIMAGE, ("ihc.png",), "no known restrictions (CMMI)"),
    Photograph(
        "motorcycle",
        "train",
        _SKIMAGE,
        ("motorcycle_left.png", "motorcycle_right.png"),
        "not stated for these files, distributed by scikit-image (BSD-3-Clause); Middlebury stereo benchmark 2014",
    ),
    Photograph("rocket", "train", _SKIMAGE, ("rocket.jpg",), "public domain (SpaceX)"),
)


def load_photographs(split: Split) -> list[Content]:
    """The photographs of a split, decoded.

    Raises:
        ResourceError: a package that ships them is not installed.
    """
    return [
        Content(
            name=photograph.name,
            split=split,
            licence=photograph.licence,
            views=tuple(np.asarray(load_image(_folder(photograph) / file)) for file in photograph.files),
        )
        for photograph in PHOTOGRAPHS
        if photograph.split == split
    ]


def _folder(photograph: Photograph) -> Path:
    """Found without importing the package, which would take a second."""
    package, _, inside = photograph.folder.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ResourceError(
            f"photograph {photograph.name!r} ships inside the package {package}, which is not installed; "
            f"install ray-iqa[train]"
        )
    return Path(spec.submodule_search_locations[0]) / inside
