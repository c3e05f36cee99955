from dataclasses import replace
from pathlib import Path

from ray_iqa.runs.digests import files_digest, images_digest, model_digest
from ray_iqa.types import LabelledImage

IMAGES = [
    LabelledImage(
        image_id=name, image_path=f"/data/{name}.png", dataset="d", mos=2.0, mos_std=None, higher_is_better=True
    )
    for name in "abc"
]


def test_images_are_the_same_wherever_they_lie_and_in_any_order() -> None:
    moved = [replace(image, image_path=f"s3://bucket/{image.image_id}", content="x") for image in reversed(IMAGES)]
    assert images_digest(moved) == images_digest(IMAGES)


def test_another_label_name_or_number_of_images_is_noticed() -> None:
    first, *rest = IMAGES
    others = [
        [replace(first, mos=2.5), *rest],
        [replace(first, mos_std=1.0), *rest],
        [replace(first, image_id="z"), *rest],
        [replace(first, scene_id="scene"), *rest],
        [replace(first, higher_is_better=False), *rest],
        rest,
    ]
    assert len({images_digest(images) for images in [IMAGES, *others]}) == 1 + len(others)


def _model(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_is_the_same_in_another_folder_and_beside_other_files(tmp_path: Path) -> None:
    here, there = _model(tmp_path / "a", b"weights"), _model(tmp_path / "b", b"weights")
    (there / "README.md").touch()
    assert model_digest(str(here)) == model_digest(str(there))
    assert model_digest(str(here)) != model_digest(str(_model(tmp_path / "c", b"weighty")))


def test_weights_that_differ_all_over_are_noticed_without_reading_all(tmp_path: Path) -> None:
    size = 20 * 2**20
    here, there = _model(tmp_path / "a", bytes(size)), _model(tmp_path / "b", b"\x01".ljust(100_000, b"\0") * 210)
    with (there / "model.safetensors").open("r+b") as stream:
        stream.truncate(size)
    assert files_digest([here / "model.safetensors"]) != files_digest([there / "model.safetensors"])


def test_a_name_of_a_hub_is_a_name() -> None:
    assert model_digest("Qwen/Qwen2.5-VL-7B-Instruct", "main") == "Qwen/Qwen2.5-VL-7B-Instruct@main"
