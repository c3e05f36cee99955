"""SRIQA-Bench: 100 scenes, each restored by ten super-resolution methods.

Traps: labels are scaled to 0 to 100 inside each scene, so pooling scenes has no meaning; the original of each scene
is rated among the methods, so there are 1,100 rows and not 1,000. Say which of them a result counts.
"""

from pathlib import Path

from ray_iqa.data.datasets.description import PublicDataset
from ray_iqa.data.datasets.native_files import ImageFiles, label_file
from ray_iqa.data.formats.visualquality_r1 import read_lines
from ray_iqa.data.rows import ManifestRow


def read(root: Path) -> list[ManifestRow]:
    """Rows of the label list: ``online50_Original.png online50_SeeSRx4.png 100.0``."""
    labels = label_file(root, "SRIQA-Bench_test_all.txt", "SRIQA-Bench.txt")
    images = ImageFiles(root, ["images", "SRIQA-Bench", "."])
    rows = []
    for line in read_lines(labels):
        scene, _, method = Path(line.name).stem.rpartition("_")
        rows.append(
            DATASET.row(
                line.place,
                image_id=line.name,
                path=images.path(line.name),
                mos=_within_scale(line.mos),
                ref_id=scene,
                group_id=scene,
                distortion=method.removesuffix("x4"),
            )
        )
    return rows


def _within_scale(mos: float) -> float:
    return min(100.0, max(0.0, mos)) if abs(mos - 50) < 50 + 1e-9 else mos  # the list has 100.00000000000001


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
    repeats_contents=True,
    per_scene=True,
)
