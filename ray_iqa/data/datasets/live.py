"""LIVE image quality assessment database, release 2: 29 references, five distortions.

Traps: DMOS, so lower is better. Of 982 rows 203 are pristine copies (``orgs`` is 1) and left out here; Q-Align counts
them. The realigned file has the spread and values a little outside 0 to 100; the older dmos.mat has neither. Names
such as jp2k/img1.bmp are unique with their folder only and do not tell the reference, which is in refnames_all.mat.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import check_lengths, label_file, matlab_variable

_REFERENCES = (
    "bikes building2 buildings caps carnivaldolls cemetry churchandcapitol coinsinfountain dancers "
    "flowersonih35 house lighthouse lighthouse2 manfishing monarch ocean paintedhouse parrots plane "
    "rapids sailing1 sailing2 sailing3 sailing4 statue stream studentsculpture woman womanhat"
)
_FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}


def read(root: Path) -> Labels:
    """Labels of dmos_realigned.mat, or of dmos.mat where it is not there."""
    labels = label_file(root, "dmos_realigned.mat", "dmos.mat")
    realigned = labels.name.lower() == "dmos_realigned.mat"
    scores = matlab_variable(labels, "dmos_new" if realigned else "dmos")
    spreads = matlab_variable(labels, "dmos_std") if realigned else [None] * len(scores)
    pristine = matlab_variable(labels, "orgs")
    references = matlab_variable(label_file(root, "refnames_all.mat"), "refnames_all")
    names = [(folder, f"img{number}.bmp") for folder, count in _FOLDERS.items() for number in range(1, count + 1)]
    found = {"dmos": len(scores), "dmos_std": len(spreads), "orgs": len(pristine), "refnames_all": len(references)}
    check_lengths(root / "its five folders", len(names), **found)
    for place, (folder, name) in enumerate(names):
        if not pristine[place]:
            yield (
                f"{labels.name} image {place + 1}",
                {
                    "image_id": f"{folder}/{name}",
                    "files": (f"{folder}/{name}", f"{folder.removeprefix('g')}/{name}"),
                    "mos": float(scores[place]),
                    "mos_std": spreads[place],
                    "ref_id": Path(str(references[place])).stem,
                    "distortion": folder,
                },
            )


DATASET = PublicDataset(
    name="live",
    title="LIVE, release 2",
    num_images=779,
    direction="lower",
    scale=None,
    labels="DMOS, about 0 to 100, lower is better; standard deviation with the realigned scores",
    licence="notice of The University of Texas at Austin: free for any purpose with notice and citation",
    citation=(
        "H. R. Sheikh, M. F. Sabir, A. C. Bovik. A Statistical Evaluation of Recent Full Reference Image Quality "
        "Assessment Algorithms. IEEE Transactions on Image Processing 15(11), 2006"
    ),
    obtain="https://live.ece.utexas.edu/research/quality/subjective.htm: request form",
    read=read,
    folders=(".",),
    repeats_contents=True,
    content_name=rf"({'|'.join(_REFERENCES.split())})",
    mute_name=r"(?:jp2k|jpeg|wn|g?blur|fastfading)/img\d+\.bmp",
)
