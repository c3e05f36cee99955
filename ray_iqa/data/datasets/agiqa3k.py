"""AGIQA-3K: pictures of six text-to-image models.

Traps: the file has two targets. ``mos_quality`` is read; ``mos_align`` says how well a picture fits its prompt.
Pictures of one prompt share their content, so the prompt is the reference that a split keeps together.
"""

from functools import partial

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import columns_of

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
    read=partial(
        columns_of,
        files=("data.csv", "agiqa3k_data.csv"),
        columns={"image_id": "name", "mos": "mos_quality", "mos_std": "std_quality", "ref_id": "prompt"},
    ),
    folders=("images", "image", "file", "."),
    repeats_contents=True,
)
