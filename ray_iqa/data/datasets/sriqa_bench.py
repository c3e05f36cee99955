"""SRIQA-Bench: 100 scenes, each restored by ten super-resolution methods.

Traps: labels are scaled to 0 to 100 inside each scene, so pooling scenes has no meaning; the original of each scene
is rated among the methods, so there are 1,100 rows and not 1,000. Say which of them a result counts.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import label_file
from ray_iqa.data.formats.visualquality_r1 import read_lines


def read(root: Path) -> Labels:
    """Labels of the list: ``online50_Original.png online50_SeeSRx4.png 100.0``."""
    for place, line in read_lines(label_file(root, "SRIQA-Bench_test_all.txt", "SRIQA-Bench.txt")):
        scene, _, method = Path(line["name"]).stem.rpartition("_")
        mos = min(line["mos"], 100.0) if line["mos"] < 100 + 1e-9 else line["mos"]  # the list has 100.00000000000001
        values = {"image_id": line["name"], "mos": mos, "distortion": method.removesuffix("x4")}
        yield place, {**values, "ref_id": scene, "scene_id": scene}


DATASET = PublicDataset(
    name="sriqa-bench",
    title="SRIQA-Bench",
    num_images=1_100,
    direction="higher",
    scale=(0, 100),
    labels="preference scores scaled to 0 to 100 inside each scene, comparable inside a scene only; no spread",
    licence="see the terms of the authors' repository; research use",
    citation=(
        "D. Chen, T. Wu, K. Ma, L. Zhang. Toward Generalized Image Quality Assessment: Relaxing the Perfect Reference "
        "Quality Assumption. CVPR 2025"
    ),
    obtain="https://github.com/ChrisDud0257/AFINE; label list: https://github.com/TianheWu/VisualQuality-R1",
    read=read,
    folders=("images", "SRIQA-Bench", "."),
    repeats_contents=True,
    per_scene=True,
)
