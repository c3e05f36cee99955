"""CSIQ: 30 references, six distortions, four or five levels.

Traps: DMOS, so lower is better. In the workbook the header is on row 4 and the reference 1600 is a number; the
distortion names of the sheet are not those of the folders and files. Copies have csiq_label.txt instead, without
spread, or one flat folder of images.
"""

from collections.abc import Iterator
from pathlib import Path

from ray_iqa.data.datasets.description import Labels, PublicDataset
from ray_iqa.data.datasets.native_files import find_file, label_file, name_parts
from ray_iqa.data.rows import required_number, required_text
from ray_iqa.data.tables import read_table, read_words

_FILE_WORDS = {"noise": "AWGN", "blur": "BLUR", "jpeg": "JPEG", "jpeg 2000": "jpeg2000"}
_REFERENCES = (
    "1600 aerial_city boston bridge butter_flower cactus child_swimming couple elk family fisher foxy "
    "geckos lady_liberty lake log_seaside monument native_american redwood roping rushmore shroom "
    "snow_leaves sunset_sparrow sunsetcolor swarm trolley turtle veggies woman"
)
_COLUMNS = ("image", "dst_type", "dst_lev", "dmos_std", "dmos")
_Label = tuple[str, str, object, object]  # place, file name, DMOS, standard deviation


def read(root: Path) -> Labels:
    """Labels of the workbook, or of csiq_label.txt where there is no workbook."""
    labels = label_file(root, "csiq.DMOS.xlsx", "csiq_label.txt")
    for place, name, dmos, std in _of_workbook(labels) if find_file(root, "csiq.DMOS.xlsx") else _of_text(labels):
        _, kind, level, _ = name_parts(name, ".", 4, place)
        yield (
            place,
            {
                "image_id": name,
                "files": (f"{kind.lower()}/{name}", name),
                "mos": dmos,
                "mos_std": std,
                "ref_id": DATASET.content_of(name),
                "distortion": kind.lower(),
                "level": level,
            },
        )


def _of_workbook(file: Path) -> Iterator[_Label]:
    for place, record in read_table(file, _COLUMNS, sheet="all_by_image"):
        word, level = str(record["dst_type"]).strip(), int(required_number(record, "dst_lev", place))
        name = f"{required_text(record, 'image', place)}.{_FILE_WORDS.get(word, word)}.{level}.png"
        yield place, name, record["dmos"], record["dmos_std"]


def _of_text(file: Path) -> Iterator[_Label]:
    for place, name, dmos in read_words(file, "a file name and a DMOS", (2,)):
        yield place, Path(name).name, dmos, None


DATASET = PublicDataset(
    name="csiq",
    title="CSIQ",
    num_images=866,
    direction="lower",
    scale=(0, 1),
    labels="DMOS 0 to 1, lower is better, with standard deviation in the workbook",
    licence="not stated; research use",
    citation=(
        "E. C. Larson, D. M. Chandler. Most apparent distortion: full-reference image quality assessment and the role "
        "of strategy. Journal of Electronic Imaging 19(1), 2010"
    ),
    obtain="https://s2.smu.edu/~eclarson/csiq.html: src_imgs, dst_imgs and csiq.DMOS.xlsx",
    read=read,
    folders=("dst_imgs", "dst_imgs_all", "distorted_images"),
    repeats_contents=True,
    content_name=rf"({'|'.join(_REFERENCES.split())})(?:\.(?:awgn|blur|contrast|fnoise|jpeg|jpeg2000)\.[1-5])?",
)
