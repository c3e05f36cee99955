"""BID: photographs with real blur.

Traps: the sheet has numbers, not file names. Each picture has 10 to 20 grades, whose sample standard deviation is the
spread; in seven rows they are not those that the average was taken of, which is kept as distributed. Copies have the
average alone, some with a column ``std``.
"""

from pathlib import Path
from statistics import stdev

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import label_file
from ray_iqa.data.rows import required_number
from ray_iqa.data.tables import read_table

_NUMBER, _GRADE = "Image Number", "Average Subjective Grade"
_GRADES = tuple(f"Grade #{number}" for number in range(1, 21))


def read(root: Path) -> Labels:
    """Labels of DatabaseGrades.xls, or of a copy as xlsx; image 7 is DatabaseImage0007.JPG."""
    labels = label_file(root, "DatabaseGrades.xls", "DatabaseGrades.xlsx")
    for place, record in read_table(labels, [_NUMBER, _GRADE], optional=["std", *_GRADES]):
        grades = [required_number(record, name, place) for name in _GRADES if record.get(name) is not None]
        std = stdev(grades) if len(grades) > 1 else record.get("std")
        name = f"DatabaseImage{int(required_number(record, _NUMBER, place)):04d}.JPG"
        yield place, {"image_id": name, "mos": record[_GRADE], "mos_std": std}


DATASET = PublicDataset(
    name="bid",
    title="BID",
    num_images=586,
    direction="higher",
    scale=(0, 5),
    labels="MOS 0 to 5 with the standard deviation of its 10 to 20 grades",
    licence="research use; see the notice of the download",
    citation=(
        "A. Ciancio et al. No-Reference Blur Assessment of Digital Pictures Based on Multifeature Classifiers. "
        "IEEE Transactions on Image Processing 20(1), 2011"
    ),
    obtain="http://www02.smt.ufrj.br/~eduardo/ImageDatabase.htm",
    read=read,
    folders=("ImageDatabase", "Image", "images", "."),
)
