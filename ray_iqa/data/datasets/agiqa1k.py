"""AGIQA-1K: pictures of two text-to-image models.

Trap: pictures of one prompt share their content, so the prompt is the reference that a split keeps together.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import ImageFiles, label_file, sheet_records
from ray_iqa.data.rows import ManifestRow


def read(root: Path) -> list[ManifestRow]:
    """Rows of AIGC_MOS_Zscore.xlsx."""
    labels = label_file(root, "AIGC_MOS_Zscore.xlsx")
    images = ImageFiles(root, ["file", "images", "image", "."])
    return [
        DATASET.row(
            place,
            image_id=str(row["Image"]),
            path=images.path(str(row["Image"])),
            mos=row["MOS"],
            ref_id=str(row["Prompt"]).strip(),
        )
        for place, row in sheet_records(labels, ["Image", "Prompt", "MOS"])
    ]


DATASET = PublicDataset(
    name="agiqa-1k",
    title="AGIQA-1K",
    num_images=1_080,
    direction="higher",
    scale=(0, 5),
    labels="z-scored MOS 0 to 5; no spread",
    licence="MIT according to its listing",
    citation=("Z. Zhang et al. A Perceptual Quality Assessment Exploration for AIGC Images. ICME Workshops 2023"),
    obtain="https://github.com/lcysyzxdxc/AGIQA-1k-Database",
    read=read,
    repeats_contents=True,
)
