"""KonIQ-10k: photographs of the web, rated in a crowd; two datasets here, since it has two labels.

Traps: the score file has two means. ``MOS`` is 1 to 5 and ``SD`` belongs to it; ``MOS_zscore`` is 0 to 100, of votes
standardised by rater, and has no spread. Their SRCC is .992, and papers print numbers against either: Q-Align,
VisualQuality-R1, pyiqa and hyperIQA against z-scores, DeQA-Score and RALI against the MOS. The first author's file of
sets has z-scores under ``MOS``; there the MOS follows from c1 to c5, which are shares of votes. "The KonIQ test set" is
2,015 images by the authors' ``set`` column, read here as split, and 2,010 in the lists of Q-Align and DeQA-Score.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import AUTHORS_SPLITS, find_file, label_file
from ray_iqa.data.rows import required_number
from ray_iqa.data.tables import read_table
from ray_iqa.data.unique import once
from ray_iqa.errors import DataError

_SCORES, _SETS = "koniq10k_scores_and_distributions.csv", "koniq10k_distributions_sets.csv"
_VOTES = ("c1", "c2", "c3", "c4", "c5")


def read(root: Path) -> Labels:
    """MOS and spread of either score file; the split is in the second one."""
    for place, row, split in _records(root):
        label = {"mos": _mos(row, place), "mos_std": row["SD"]}
        yield place, {"image_id": row["image_name"], **label, "split": split}


def read_z_scores(root: Path) -> Labels:
    """z-scores of the first file, or what the first author's second file has under ``MOS``."""
    for place, row, split in _records(root):
        column = "MOS_zscore" if "MOS_zscore" in row else "MOS"
        z_score = required_number(row, column, place)
        if column == "MOS" and z_score == _mos(row, place):
            raise DataError(
                f"{place}: z-scores must be under MOS_zscore of {_SCORES} or under MOS of the first author's {_SETS}, "
                f"found the MOS itself, {z_score:g}; read the dataset as {DATASET.name}, or bring {_SCORES}"
            )
        yield place, {"image_id": row["image_name"], "mos": z_score, "split": split}


def _records(root: Path) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:  # Any: as `read_table`
    """Rows of the file with more decimals, and the authors' split of each where the other one is there."""
    labels = label_file(root, _SETS, f"metadata/{_SETS}", _SCORES, f"metadata/{_SCORES}")
    scores = find_file(root, _SCORES) or labels
    split_of = {}
    if labels.name.lower() == _SETS:
        records = read_table(labels, ["image_name", "set"])
        split_of = once(
            (place, row["image_name"], AUTHORS_SPLITS.get(row["set"], row["set"])) for place, row in records
        )
    for place, row in read_table(scores, ["image_name", "MOS", "SD"], optional=(*_VOTES, "MOS_zscore")):
        yield place, row, split_of.get(row["image_name"])


def _mos(record: Mapping[str, Any], place: str) -> float:  # Any: as `read_table`
    """The mean as written, or where it is not that of the votes, theirs."""
    mos = required_number(record, "MOS", place)
    if not set(_VOTES) <= record.keys():
        return mos
    votes = [required_number(record, column, place) for column in _VOTES]
    mean = sum(grade * count for grade, count in enumerate(votes, start=1)) / sum(votes)
    return mos if abs(mos - mean) < 0.01 else mean


DATASET = PublicDataset(
    name="koniq10k",
    title="KonIQ-10k",
    num_images=10_073,
    direction="higher",
    scale=(1, 5),
    labels="MOS 1 to 5 with the standard deviation between raters, 93 to 157 of them, 107 on average",
    licence="photographs under Creative Commons licences (Flickr, YFCC100M); see the terms of the database's page",
    citation=(
        "V. Hosu, H. Lin, T. Sziranyi, D. Saupe. KonIQ-10k: An Ecologically Valid Database for Deep Learning of Blind "
        "Image Quality Assessment. IEEE Transactions on Image Processing 29, 2020"
    ),
    obtain="https://database.mmsp-kn.de/koniq-10k-database.html: images and both score files",
    read=read,
    folders=("1024x768", "512x384", "images", "koniq10k_1024x768", "koniq10k_512x384"),
    whole_number_votes=True,
)
Z_SCORES = replace(
    DATASET,
    name="koniq10k-zscore",
    title="KonIQ-10k, z-scored",
    scale=(0, 100),
    labels="MOS 0 to 100 of votes standardised by rater, without a spread",
    read=read_z_scores,
    whole_number_votes=False,
)
DATASETS = (DATASET, Z_SCORES)
