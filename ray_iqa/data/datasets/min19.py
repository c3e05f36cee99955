"""Min19 (SHRQ): results of eight dehazing algorithms on 75 hazy images, 45 regular and 30 aerial.

The labels are those of the list that VisualQuality-R1 publishes (``ref name mos``), rescaled there to 1 to 5 over
the whole set. Trap: names of scenes hold underscores too.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import label_file
from ray_iqa.data.formats.visualquality_r1 import read_lines


def read(root: Path) -> Labels:
    """Labels of the list: ``lawn1_D1.png lawn1_D1_He09.png 3.4``; the distortion is the algorithm."""
    for place, line in read_lines(label_file(root, "dehaze_test_all.txt", "dehaze.txt")):
        scene, _, algorithm = Path(line["name"]).stem.rpartition("_")
        yield place, {"image_id": line["name"], "mos": line["mos"], "ref_id": scene, "distortion": algorithm}


DATASET = PublicDataset(
    name="min19",
    title="Min19 (SHRQ), dehazing",
    num_images=600,
    direction="higher",
    scale=(1, 5),
    labels="MOS, rescaled to 1 to 5 over the whole set; no spread",
    licence="not stated; research use",
    citation=(
        "X. Min et al. Quality Evaluation of Image Dehazing Methods Using Synthetic Hazy Images. "
        "IEEE Transactions on Multimedia 21(9), 2019"
    ),
    obtain="from the authors; label list: https://github.com/TianheWu/VisualQuality-R1",
    read=read,
    folders=("images", "dehaze", "."),
    repeats_contents=True,
)
