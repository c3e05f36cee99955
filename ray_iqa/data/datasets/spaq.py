"""SPAQ: photographs of 66 smartphones.

Traps: copies rename the workbook with underscores; the standard deviations that circulate in other people's lists
are not in the distributed sheet, and belong to the 0 to 100 scale even where those lists rescale the MOS.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import ImageFiles, label_file
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import read_table

_BOOKS = ("MOS and Image attribute scores.xlsx", "MOS_and_Image_attribute_scores.xlsx")


def read(root: Path) -> list[ManifestRow]:
    """Rows of the workbook's overall MOS."""
    labels = label_file(
        root, *(f"{folder}{book}" for folder in ("Annotations/", "annotations/", "") for book in _BOOKS)
    )
    images = ImageFiles(root, ["TestImage", "SPAQ/TestImage", "images", "512x384"])
    return [
        DATASET.row(place, image_id=str(row["Image name"]), path=images.path(str(row["Image name"])), mos=row["MOS"])
        for place, row in read_table(labels, ["Image name", "MOS"])
    ]


DATASET = PublicDataset(
    name="spaq",
    title="SPAQ",
    num_images=11_125,
    direction="higher",
    scale=(0, 100),
    labels="MOS 0 to 100; no spread is distributed",
    licence="not stated in the authors' repository; research use",
    citation=(
        "Y. Fang, H. Zhu, Y. Zeng, K. Ma, Z. Wang. Perceptual Quality Assessment of Smartphone Photography. CVPR 2020"
    ),
    obtain="https://github.com/h4nwei/SPAQ: TestImage and Annotations",
    read=read,
)
