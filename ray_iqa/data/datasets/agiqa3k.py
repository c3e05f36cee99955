"""AGIQA-3K: pictures of six text-to-image models.

Traps: the file has two targets. ``mos_quality`` is read; ``mos_align`` says how well a picture fits its prompt.
Pictures of one prompt share their content, so the prompt is the reference that a split keeps together.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import ImageFiles, label_file
from ray_iqa.data.rows import ManifestRow
from ray_iqa.data.tables import read_table


def read(root: Path) -> list[ManifestRow]:
    """Rows of data.csv with the quality target."""
    labels = label_file(root, "data.csv", "agiqa3k_data.csv")
    images = ImageFiles(root, ["images", "image", "file", "."])
    return [
        DATASET.row(
            place,
            image_id=row["name"],
            path=images.path(row["name"]),
            mos=row["mos_quality"],
            mos_std=row["std_quality"],
            ref_id=row["prompt"],
        )
        for place, row in read_table(labels, ["name", "prompt", "mos_quality", "std_quality"])
    ]


DATASET = PublicDataset(
    name="agiqa-3k",
    title="AGIQA-3K",
    num_images=2_982,
    direction="higher",
    scale=(0, 5),
    labels="MOS of perceptual quality 0 to 5 with standard deviation",
    licence="not stated in the authors' repository; research use",
    citation=(
        "C. Li et al. AGIQA-3K: An Open Database for AI-Generated Image Quality Assessment. "
        "IEEE Transactions on Circuits and Systems for Video Technology, 2023"
    ),
    obtain="https://github.com/lcysyzxdxc/AGIQA-3k-Database",
    read=read,
    repeats_contents=True,
)
