"""UHD-IQA: photographs 3,840 pixels wide, each rated twice by ten experts.

Trap: copies of the challenge keep the images in one folder or below ``challenge``.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import AUTHORS_SPLITS, label_file
from ray_iqa.data.tables import read_table


def read(root: Path) -> Labels:
    """Labels of uhd-iqa-metadata.csv."""
    labels = label_file(root, "uhd-iqa-metadata.csv", "challenge/uhd-iqa-metadata.csv")
    for place, row in read_table(labels, ["image_name", "quality_mos", "set"]):
        values = {"image_id": row["image_name"], "mos": row["quality_mos"]}
        files = (f"{row['set']}/{row['image_name']}", row["image_name"])
        yield place, {**values, "files": files, "split": AUTHORS_SPLITS.get(row["set"], row["set"])}


DATASET = PublicDataset(
    name="uhd-iqa",
    title="UHD-IQA",
    num_images=6_073,
    direction="higher",
    scale=(0, 1),
    labels="MOS 0 to 1; no spread",
    licence="photographs CC0 (Pixabay)",
    citation=(
        "V. Hosu et al. UHD-IQA Benchmark Database: Pushing the Boundaries of Blind Photo Quality Assessment. "
        "ECCV Workshops 2024"
    ),
    obtain="https://database.mmsp-kn.de/uhd-iqa-benchmark-database.html",
    read=read,
    folders=(".", "challenge", "database", "images"),
)
