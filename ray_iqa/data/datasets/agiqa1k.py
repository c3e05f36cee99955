"""AGIQA-1K: pictures of two text-to-image models.

Traps: pictures of one prompt share their content, so the prompt is the reference that a split keeps together. The
authors' workbook has two labels for one name, dreamStudio_8_9_1_1.jpg (0.44 and 2.08), and none for
dreamStudio_8_5_0_0.jpg; which label is whose cannot be told, so a name that is there twice has no row.
"""

import logging
from collections import Counter
from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import label_file
from ray_iqa.data.tables import read_table

logger = logging.getLogger(__name__)


def read(root: Path) -> Labels:
    """Labels of AIGC_MOS_Zscore.xlsx."""
    labels = label_file(root, "AIGC_MOS_Zscore.xlsx")
    records = list(read_table(labels, ["Image", "Prompt", "MOS"]))
    counts = Counter(str(row["Image"]) for _, row in records)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        logger.warning("%s has several labels for %s, which get no row", labels.name, ", ".join(twice))
    return [
        (place, {"image_id": row["Image"], "mos": row["MOS"], "ref_id": str(row["Prompt"]).strip()})
        for place, row in records
        if counts[str(row["Image"])] == 1
    ]


DATASET = PublicDataset(
    name="agiqa-1k",
    title="AGIQA-1K",
    num_images=1_078,
    direction="higher",
    scale=(0, 5),
    labels="z-scored MOS 0 to 5; no spread; of 1,080 pictures two have no label of their own",
    licence="MIT according to its listing",
    citation=("Z. Zhang et al. A Perceptual Quality Assessment Exploration for AIGC Images. ICME Workshops 2023"),
    obtain="https://github.com/lcysyzxdxc/AGIQA-1k-Database",
    read=read,
    folders=("file", "images", "image", "."),
    repeats_contents=True,
)
