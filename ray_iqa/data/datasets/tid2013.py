"""TID2013: 25 references, 24 distortions, 5 levels.

Traps: file names mix upper and lower case between copies (``I01_01_1.bmp``, ``i01_01_1.bmp``, ``.BMP``); the 25th
reference is spelt in lower case; the spread is in a file of its own, line by line, and is no standard deviation but the
standard error of the mean: each of the 3,000 values is the population standard deviation of whole-number votes over the
root of their number. The number differs from image to image and is told by mean and standard error together: 2,949
images leave one number from 5 to 60 only, 30 to 45, the median 38. The other 51 count as 38 votes.
"""

import math
from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import check_lengths, coded_name, label_file
from ray_iqa.data.rows import required_number
from ray_iqa.data.tables import read_words
from ray_iqa.data.votes import num_votes_behind

_KINDS = (
    "additive gaussian noise",
    "additive noise in colour components",
    "spatially correlated noise",
    "masked noise",
    "high frequency noise",
    "impulse noise",
    "quantization noise",
    "gaussian blur",
    "image denoising",
    "jpeg",
    "jpeg2000",
    "jpeg transmission errors",
    "jpeg2000 transmission errors",
    "non-eccentricity pattern noise",
    "local block-wise distortions",
    "mean shift",
    "contrast change",
    "change of colour saturation",
    "multiplicative gaussian noise",
    "comfort noise",
    "lossy compression of noisy images",
    "colour quantization with dither",
    "chromatic aberrations",
    "sparse sampling and reconstruction",
)
_TYPICAL_NUM_VOTES = 38


def read(root: Path) -> Labels:
    """Labels of mos_with_names.txt (score, name) beside mos_std.txt."""
    labels, stds = label_file(root, "mos_with_names.txt"), label_file(root, "mos_std.txt")
    lines, spreads = read_words(labels, "a score and a file name", (2,)), read_words(stds, "a spread", (1,))
    check_lengths(labels, len(lines), **{stds.name: len(spreads)})
    means = [required_number({"mos": score}, "mos", place) for place, score, _ in lines]
    errors = [required_number({"mos_std": error}, "mos_std", place) for place, error in spreads]
    nums_votes = num_votes_behind(means, errors, digits=5)
    for (place, _, name), mean, error, num_votes in zip(lines, means, errors, nums_votes, strict=True):
        kind, level = coded_name(name, _KINDS, place)
        yield (
            place,
            {
                "image_id": f"I{name[1:].lower()}",
                "files": (name,),
                "mos": mean,
                "mos_std": error * math.sqrt(num_votes or _TYPICAL_NUM_VOTES),
                "ref_id": DATASET.content_of(name),
                "distortion": kind,
                "level": level,
            },
        )


DATASET = PublicDataset(
    name="tid2013",
    title="TID2013",
    num_images=3_000,
    direction="higher",
    scale=(0, 9),
    labels="MOS 0 to 9 with the standard deviation between raters, see the adapter",
    licence="free for research and education with citation",
    citation=(
        "N. Ponomarenko et al. Image database TID2013: Peculiarities, results and perspectives. "
        "Signal Processing: Image Communication 30, 2015"
    ),
    obtain="https://www.ponomarenko.info/tid2013.htm",
    read=read,
    folders=("distorted_images", "images/distorted_images"),
    repeats_contents=True,
    whole_number_votes=True,
    content_name=r"(I\d\d)(?:_\d\d_[1-5])?",
    content_spelling=str.upper,
)
