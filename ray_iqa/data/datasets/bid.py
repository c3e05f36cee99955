"""BID: photographs with real blur.

Traps: the sheet has numbers, not file names; a column ``std`` is in some copies only.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import ImageFiles, label_file, sheet_records
from ray_iqa.data.rows import ManifestRow, required_number

_NUMBER, _GRADE = "Image Number", "Average Subjective Grade"


def read(root: Path) -> list[ManifestRow]:
    """Rows of DatabaseGrades.xlsx; image 7 is DatabaseImage0007.JPG."""
    labels = label_file(root, "DatabaseGrades.xlsx")
    images = ImageFiles(root, ["ImageDatabase", "Image", "images", "."])
    rows = []
    for place, record in sheet_records(labels, [_NUMBER, _GRADE], optional=["std"]):
        name = f"DatabaseImage{int(required_number(record, _NUMBER, place)):04d}.JPG"
        rows.append(
            DATASET.row(place, image_id=name, path=images.path(name), mos=record[_GRADE], mos_std=record.get("std"))
        )
    return rows


DATASET = PublicDataset(
    name="bid",
    title="BID",
    num_images=586,
    direction="higher",
    scale=(0, 5),
    labels="MOS 0 to 5; spread in some copies",
    licence="research use; see the notice of the download",
    citation=(
        "A. Ciancio et al. No-Reference Blur Assessment of Digital Pictures Based on Multifeature Classifiers. "
        "IEEE Transactions on Image Processing 20(1), 2011"
    ),
    obtain="http://www02.smt.ufrj.br/~eduardo/ImageDatabase.htm",
    read=read,
)
