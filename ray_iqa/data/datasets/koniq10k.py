"""KonIQ-10k: photographs of the web, rated in a crowd.

Traps: the score file has two means. ``MOS`` is 1 to 5 and ``SD`` belongs to it; ``MOS_zscore`` is 0 to 100 and has no
spread, so it is not read. "The KonIQ test set" is 2,015 images by the authors' ``set`` column, read here as split, and
2,010 images in the lists of Q-Align and DeQA-Score.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import ImageFiles, csv_records, find_file, label_file
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.unique import once

_SCORES, _SETS = "koniq10k_scores_and_distributions.csv", "koniq10k_distributions_sets.csv"
_SPLITS = {"training": "train", "validation": "val", "test": "test"}


def read(root: Path) -> list[ManifestRow]:
    """Rows of either score file; the split is in the second one."""
    labels = label_file(root, _SETS, f"metadata/{_SETS}", _SCORES, f"metadata/{_SCORES}")
    images = ImageFiles(root, ["1024x768", "512x384", "images", "koniq10k_1024x768", "koniq10k_512x384"])
    scores = find_file(root, _SCORES) or labels  # more decimals than in the file of sets
    split_of = {}
    if labels.name.lower() == _SETS:
        sets = ((place, row["image_name"], row["set"]) for place, row in _rows(labels, "set"))
        split_of = {name: _SPLITS.get(own, own) for name, own in once(sets).items()}
    return [
        DATASET.row(
            place,
            image_id=row["image_name"],
            path=images.path(row["image_name"]),
            mos=row["MOS"],
            mos_std=row["SD"],
            split=split_of.get(row["image_name"]),
        )
        for place, row in _rows(scores, "SD")
    ]


def _rows(file: Path, column: str) -> list[tuple[str, dict[str, str]]]:
    return [(place, dict(row)) for place, row in csv_records(file, ["image_name", "MOS", column])]


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
    whole_number_votes=True,
)
