"""PIQ23: portraits of 50 scenes, rated for overall quality, details and exposure.

Traps: JOD are comparable inside a scene only; image paths have back-slashes; each attribute shows other crops and has
labels of its own, so each is a dataset here. Of the two official splits the scene split is read; the device split is
a list for `ray-iqa data split`, with every scene on both sides. The authors ask for results on both.
"""

from functools import partial
from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import find_file, label_file
from ray_iqa.data.tables import read_table
from ray_iqa.data.unique import once


def read(root: Path, attribute: str) -> Labels:
    """Labels of Scores_<attribute>.csv, the scene as group and as content."""
    name = f"Scores_{attribute}.csv"
    labels = label_file(root, name, f"Scores/{name}")
    scenes = find_file(root, "Scene Split.csv", "Test split/Scene Split.csv")
    split_of = {}
    if scenes is not None:
        records = read_table(scenes, ["SCENE", "SPLIT"])
        split_of = once((place, row["SCENE"], row["SPLIT"].lower()) for place, row in records)
    for place, row in read_table(labels, ["IMAGE PATH", "JOD", "JOD STD", "IMAGE", "SCENE"]):
        yield (
            place,
            {
                "image_id": row["IMAGE"],
                "files": (row["IMAGE PATH"].replace("\\", "/"),),
                "mos": row["JOD"],
                "mos_std": row["JOD STD"],
                "ref_id": row["SCENE"],
                "scene_id": row["SCENE"],
                "split": split_of.get(row["SCENE"]),
            },
        )


def _attribute(name: str) -> PublicDataset:
    return PublicDataset(
        name=f"piq23-{name.lower()}",
        title=f"PIQ23, {name.lower()}",
        num_images=5_116,
        direction="higher",
        scale=None,
        labels="JOD with standard deviation, comparable inside a scene only",
        licence="non-commercial research after a request form, revocable; faces: images must be removed on request",
        citation="N. Chahine et al. An Image Quality Assessment Dataset for Portraits. CVPR 2023",
        obtain="https://corp.dxomark.com/data-base-piq23/; splits: https://github.com/DXOMARK-Research/PIQ2023",
        read=partial(read, attribute=name),
        folders=(".",),
        repeats_contents=True,
        per_scene=True,
        split_inside_contents=True,
    )


DATASETS = tuple(_attribute(name) for name in ("Overall", "Details", "Exposure"))
