"""SPAQ: photographs of 66 smartphones.

Traps: copies rename the workbook with underscores; the standard deviations that circulate in other people's lists
are not in the distributed sheet, and belong to the 0 to 100 scale even where those lists rescale the MOS.
"""

from functools import partial

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import columns_of

_BOOKS = ("MOS and Image attribute scores.xlsx", "MOS_and_Image_attribute_scores.xlsx")

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
    read=partial(
        columns_of,
        files=[f"{folder}{book}" for folder in ("Annotations/", "annotations/", "") for book in _BOOKS],
        columns={"image_id": "Image name", "mos": "MOS"},
    ),
    folders=("TestImage", "SPAQ/TestImage", "images", "512x384"),
)
