"""Liu13: results of motion deblurring on 40 blurred images.

The labels are those of the list that VisualQuality-R1 publishes (``ref name mos``), rescaled there to 1 to 5 over
the whole set. One of 40 x 30 results is not in it.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import label_file
from ray_iqa.data.formats.visualquality_r1 import read_lines


def read(root: Path) -> Labels:
    """Labels of the list: ``16_0.png 16_4.png 4.8``, where 16_0 is the blurred image."""
    for place, line in read_lines(label_file(root, "Deblur_test_all.txt", "Deblur.txt")):
        ref = line["ref_id"] and Path(line["ref_id"]).stem
        yield place, {"image_id": line["name"], "mos": line["mos"], "ref_id": ref}


DATASET = PublicDataset(
    name="liu13",
    title="Liu13, motion deblurring",
    num_images=1_199,
    direction="higher",
    scale=(1, 5),
    labels="scores of pairwise comparisons, rescaled to 1 to 5 over the whole set; no spread",
    licence="not stated; research use",
    citation=(
        "Y. Liu, J. Wang, S. Cho, A. Finkelstein, S. Rusinkiewicz. A No-Reference Metric for Evaluating the Quality of "
        "Motion Deblurring. ACM Transactions on Graphics 32(6), 2013"
    ),
    obtain="from the authors; label list: https://github.com/TianheWu/VisualQuality-R1",
    read=read,
    folders=("images", "Deblur", "."),
    repeats_contents=True,
)
