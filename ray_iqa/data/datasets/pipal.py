"""PIPAL: 200 training references, 116 distorted and restored versions each.

Traps: labels are Elo ratings without fixed ends; the label files are one per reference; newer archives put the images
of ``Distortion_1`` to ``Distortion_4`` into ``Dist_Imgs``; validation and test labels are behind a challenge.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import name_parts
from ray_iqa.data.tables import read_words
from ray_iqa.errors import DataError

_FOLDERS = ("Dist_Imgs", "Distortion_1", "Distortion_2", "Distortion_3", "Distortion_4", "Train_Dist")


def read(root: Path) -> Labels:
    """Labels of Train_Label/*.txt (name, Elo); ``A0001_03_05.bmp`` shows A0001 with distortion type 3, variant 5."""
    files = sorted((root / "Train_Label").glob("*.txt"))
    if not files:
        raise DataError(f"{root} must have the labels in Train_Label/*.txt, found none")
    for file in files:
        for place, name, score in read_words(file, "a file name and an Elo score", (2,), ","):
            _, kind, _ = name_parts(Path(name).stem, "_", 3, place)
            ref_id = DATASET.content_of(name)
            yield place, {"image_id": name, "mos": score, "ref_id": ref_id, "distortion": f"type {kind}"}


DATASET = PublicDataset(
    name="pipal",
    title="PIPAL",
    num_images=23_200,
    direction="higher",
    scale=None,
    labels="Elo ratings, about 900 to 1,850; no spread",
    licence="academic use; see the notice of the download",
    citation=(
        "J. Gu et al. PIPAL: a Large-Scale Image Quality Assessment Dataset for Perceptual Image Restoration. ECCV 2020"
    ),
    obtain="https://github.com/HaomingCai/PIPAL-dataset: the training set",
    read=read,
    folders=(*_FOLDERS, *(f"images/{folder}" for folder in _FOLDERS), *(f"Train_Dist/{name}" for name in _FOLDERS)),
    repeats_contents=True,
    content_name=r"(A\d{4})(?:_\d\d_\d\d)?",
    content_spelling=str.upper,
)
