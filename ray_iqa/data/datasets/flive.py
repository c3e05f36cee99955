"""FLIVE (PaQ-2-PiQ): pictures of the web; the patches that were rated beside them are not read.

Traps: names have a folder in front. Pictures listed in labels640.csv (a side above 640 pixels) are the test set; of
the others, those that labels=640_padded.csv calls valid are for validation; without that list they have no split, for
it is not known which of them are for training.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import find_file, label_file
from ray_iqa.data.tables import read_table
from ray_iqa.errors import DataError


def read(root: Path) -> Labels:
    """Labels of labels_image.csv; without labels640.csv no row has a split."""
    labels = label_file(root, "labels_image.csv", "database/labels_image.csv")
    test = _names(find_file(labels.parent, "labels640.csv"))
    padded = find_file(labels.parent, "labels=640_padded.csv")
    val = _names(padded, valid_only=True) - test
    records = list(read_table(labels, ["name", "mos"]))
    if test and test.isdisjoint(record["name"] for _, record in records):
        raise DataError(f"labels640.csv must name pictures of {labels.name}, but none of its {len(test):,} is there")
    for place, record in records:
        name = record["name"]
        split = "test" if name in test else None if padded is None else "val" if name in val else "train"
        yield place, {"image_id": name, "mos": record["mos"], "split": split if test else None}


def _names(file: Path | None, *, valid_only: bool = False) -> set[str]:
    if file is None:
        return set()
    columns = ["name_image", "is_valid"] if valid_only else ["name_image"]
    records = read_table(file, columns)
    return {row["name_image"] for _, row in records if not valid_only or row["is_valid"].strip() in _TRUE}


_TRUE = ("True", "TRUE", "true", "1", "1.0")

DATASET = PublicDataset(
    name="flive",
    title="FLIVE (PaQ-2-PiQ), pictures",
    num_images=39_810,
    direction="higher",
    scale=(0, 100),
    labels="MOS 0 to 100; no spread",
    licence="see the notice of the authors' repository; research use",
    citation=(
        "Z. Ying et al. From Patches to Pictures (PaQ-2-PiQ): Mapping the Perceptual Space of Picture Quality. "
        "CVPR 2020"
    ),
    obtain="https://github.com/niu-haoran/FLIVE_Database, with the label files of https://github.com/baidut/PaQ-2-PiQ",
    read=read,
    folders=("database", "images", "."),
)
