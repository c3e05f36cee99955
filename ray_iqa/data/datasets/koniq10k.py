"""KonIQ-10k: photographs of the web, rated in a crowd.

Traps: the score file has two means. ``MOS`` is 1 to 5 and ``SD`` belongs to it; ``MOS_zscore`` is 0 to 100 and has no
spread, so it is not read; the first author's file of sets has z-scores under ``MOS``, and there the mean follows from
the votes c1 to c5. "The KonIQ test set" is 2,015 images by the authors' ``set`` column, read here as split, and
2,010 images in the lists of Q-Align and DeQA-Score.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import AUTHORS_SPLITS, find_file, label_file
from ray_iqa.data.rows import required_number
from ray_iqa.data.tables import read_table
from ray_iqa.data.unique import once

_SCORES, _SETS = "koniq10k_scores_and_distributions.csv", "koniq10k_distributions_sets.csv"
_VOTES = ("c1", "c2", "c3", "c4", "c5")


def read(root: Path) -> Labels:
    """Labels of either score file; the split is in the second one."""
    labels = label_file(root, _SETS, f"metadata/{_SETS}", _SCORES, f"metadata/{_SCORES}")
    scores = find_file(root, _SCORES) or labels  # more decimals than in the file of sets
    split_of = {}
    if labels.name.lower() == _SETS:
        records = read_table(labels, ["image_name", "set"])
        split_of = once(
            (place, row["image_name"], AUTHORS_SPLITS.get(row["set"], row["set"])) for place, row in records
        )
    for place, row in read_table(scores, ["image_name", "MOS", "SD"], optional=_VOTES):
        name = row["image_name"]
        yield place, {"image_id": name, "mos": _mos(row, place), "mos_std": row["SD"], "split": split_of.get(name)}


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
    labels="MOS 1 to 5 with the standard deviation between about 120 raters",
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
