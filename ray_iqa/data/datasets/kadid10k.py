"""KADID-10k: 81 references, 25 distortions, 5 levels.

Traps: the column is called ``dmos``, but higher is better. The fourth column is called ``var`` and read as the variance
it is called, so ``mos_std`` is its root, as in the lists of VisualQuality-R1; pyiqa keeps it as it is. But 95 % of the
10,125 numbers that those lists give (squared again) are, to the last digit, the *standard deviation* of 30 whole-number
votes with that mean; as variances 1 % fit, which is chance. A file whose numbers are so decided is believed over its
header, and no root is taken.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import coded_name, label_file
from ray_iqa.data.rows import required_number
from ray_iqa.data.tables import read_table
from ray_iqa.data.votes import share_of_votes

_KINDS = (
    "gaussian blur",
    "lens blur",
    "motion blur",
    "colour diffusion",
    "colour shift",
    "colour quantization",
    "colour saturation 1",
    "colour saturation 2",
    "jpeg2000",
    "jpeg",
    "white noise",
    "white noise in colour component",
    "impulse noise",
    "multiplicative noise",
    "denoise",
    "brighten",
    "darken",
    "mean shift",
    "jitter",
    "non-eccentricity patch",
    "pixelate",
    "quantization",
    "colour block",
    "high sharpen",
    "contrast change",
)
_NUM_VOTES = 30
_ENOUGH_ROWS = 20  # a number that is something else fits with a chance of 3 %


def read(root: Path) -> Labels:
    """Labels of dmos.csv; ``I01_04_05.png`` shows reference I01 with distortion 4 at level 5."""
    records = list(
        read_table(label_file(root, "dmos.csv", "kadid10k/dmos.csv"), ["dist_img", "ref_img", "dmos", "var"])
    )
    means = [required_number(row, "dmos", place) for place, row in records]
    spreads = [required_number(row, "var", place) for place, row in records]
    is_std = len(records) >= _ENOUGH_ROWS and share_of_votes(means, spreads, _NUM_VOTES, digits=3) > 0.5
    for (place, record), mean, spread in zip(records, means, spreads, strict=True):
        name = record["dist_img"].strip()
        kind, level = coded_name(name, _KINDS, place)
        yield (
            place,
            {
                "image_id": name,
                "mos": mean,
                "mos_std": spread if is_std else spread**0.5,
                "ref_id": DATASET.content_of(name),
                "distortion": kind,
                "level": level,
            },
        )


DATASET = PublicDataset(
    name="kadid10k",
    title="KADID-10k",
    num_images=10_125,
    direction="higher",
    scale=(1, 5),
    labels="called DMOS, but a MOS: 1 to 5, higher is better; spread between 30 raters, see the adapter",
    licence="reference photographs from Pixabay; see the terms of the database's page",
    citation=("H. Lin, V. Hosu, D. Saupe. KADID-10k: A Large-scale Artificially Distorted IQA Database. QoMEX 2019"),
    obtain="https://database.mmsp-kn.de/kadid-10k-database.html",
    read=read,
    folders=("images", "distorted_images", "kadid10k/images"),
    repeats_contents=True,
    content_name=r"(I\d\d)(?:_\d\d_0[1-5])?",
    content_spelling=str.upper,
    whole_number_votes=True,
)
