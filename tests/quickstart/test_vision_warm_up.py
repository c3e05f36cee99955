from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor

from ray_iqa.data.manifest import read_rows, write_rows
from ray_iqa.errors import DataError
from ray_iqa.quickstart.ladder_pictures import load_training_pictures
from ray_iqa.quickstart.synthesise import synthesise
from ray_iqa.quickstart.tiny_policy import Family, build_tiny_policy
from ray_iqa.quickstart.vision_warm_up import pixel_statistics, warm_up


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures whose validation and test files are gone: whoever opens one of them fails."""
    synthesise(tmp_path / "data", num_train=80, num_val=8, num_test=8)
    for split in ("val", "test"):
        for file in (tmp_path / "data").glob(f"*/{split}/*.png"):
            file.unlink()
    return tmp_path / "data"


def test_only_training_pictures_are_read_and_their_attributes_kept(data: Path) -> None:
    pictures = load_training_pictures(data)
    rows = [row for name in "ab" for row in read_rows(data / f"ladder-{name}" / "manifest.csv") if row.split == "train"]
    assert len(rows) == 80
    assert pictures.pixels.shape == (80, 3, 56, 56)
    assert pictures.kinds == tuple(row.distortion for row in rows)
    assert pictures.levels.tolist() == [row.level for row in rows]
    last = np.array(Image.open(data / "ladder-b" / rows[-1].path))
    assert torch.equal(pictures.pixels[-1], torch.from_numpy(last).permute(2, 0, 1))


def test_rows_without_attributes_are_refused(data: Path) -> None:
    manifest = data / "ladder-b" / "manifest.csv"
    kept = "dataset,image_id,path,mos,direction,split\n"
    row = read_rows(manifest)[0]
    manifest.write_text(f"{kept}{row.dataset},{row.image_id},{row.path},{row.mos},{row.direction},train\n")
    with pytest.raises(DataError, match=f"need distortion and level, {row.image_id!r} lacks"):
        load_training_pictures(data)


def test_a_folder_without_training_pictures_is_refused(data: Path) -> None:
    for name in "ab":
        manifest = data / f"ladder-{name}" / "manifest.csv"
        write_rows(manifest, [row for row in read_rows(manifest) if row.split != "train"])
    with pytest.raises(DataError, match="whose split is 'train', found none"):
        load_training_pictures(data)


def test_warm_up_trains_the_tower_alone_and_repeats(data: Path, tmp_path: Path) -> None:
    blank = build_tiny_policy(tmp_path / "blank")
    first = warm_up(blank, data, tmp_path / "first", num_steps=3, seed=1)
    again = warm_up(blank, data, tmp_path / "again", num_steps=3, seed=1)
    before, after, repeated = (load_file(folder / "model.safetensors") for folder in (blank, first, again))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if ".visual." in name}
    assert all(torch.equal(after[name], repeated[name]) for name in after)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_statistics_are_those_of_each_tokens_region(tmp_path: Path, family: Family) -> None:
    processor = AutoProcessor.from_pretrained(build_tiny_policy(tmp_path, family)).image_processor
    side, patch = (56, 14) if family == "qwen2_5_vl" else (64, 16)
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixel_values = processor(images=[Image.fromarray(picture)], return_tensors="pt")["pixel_values"]
    statistics = pixel_statistics(pixel_values, 4, patch).numpy()

    normalised = (picture / 255 - processor.image_mean) / processor.image_std
    half = side // 2
    regions = [normalised[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    for found, region in zip(statistics, regions, strict=True):
        luma = region.mean(2)
        assert found[:3] == pytest.approx(region.mean((0, 1)), abs=1e-4)
        assert found[3:6] == pytest.approx(region.std((0, 1), ddof=1), abs=1e-4)
        assert found[6:8] == pytest.approx([luma.min(), luma.max()], abs=1e-4)
        # Steps inside the region's four patches only.
        blocks = [luma[y : y + patch, x : x + patch] for y in (0, patch) for x in (0, patch)]
        energy = np.mean([np.diff(block, axis=1) ** 2 for block in blocks])
        assert found[8] == pytest.approx(np.log(energy + 1e-4), abs=1e-4)
