"""LIVE In the Wild Image Quality Challenge (CLIVE): photographs of mobile devices.

Trap: the first seven of 1,169 images (``t1.bmp`` to ``t7.bmp``) trained the raters; the field leaves
them out, and so does every reader of this dataset here.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import check_lengths, label_file, matlab_variable


def read(root: Path) -> Labels:
    """Labels of the three .mat files, the images that trained the raters too."""
    files = {
        name: label_file(root, f"Data/{name}.mat", f"{name}.mat", f"ChallengeDB_release/Data/{name}.mat")
        for name in ("AllImages_release", "AllMOS_release", "AllStdDev_release")
    }
    names, scores, spreads = (matlab_variable(file, name) for name, file in files.items())
    file = files["AllImages_release"]
    check_lengths(file, len(names), AllMOS_release=len(scores), AllStdDev_release=len(spreads))
    return [
        (f"{file.name} image {number}", {"image_id": str(name), "mos": float(mos), "mos_std": float(std)})
        for number, (name, mos, std) in enumerate(zip(names, scores, spreads, strict=True), start=1)
    ]


DATASET = PublicDataset(
    name="live-challenge",
    title="LIVE In the Wild Challenge",
    num_images=1_162,
    direction="higher",
    scale=(0, 100),
    labels="MOS 0 to 100 with the standard deviation between raters",
    licence="notice of The University of Texas at Austin: free for any purpose with notice and citation",
    citation=(
        "D. Ghadiyaram, A. C. Bovik. Massive Online Crowdsourced Study of Subjective and Objective Picture Quality. "
        "IEEE Transactions on Image Processing 25(1), 2016"
    ),
    obtain="https://live.ece.utexas.edu/research/ChallengeDB/index.html: request form",
    read=read,
    folders=("Images", "ChallengeDB_release/Images"),
    practice_name=r"t[1-7]\.bmp",
)
