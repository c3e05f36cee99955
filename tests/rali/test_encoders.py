"""Towers built by open_clip, saved, loaded, fed."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray

from ray_iqa.errors import ConfigError
from ray_iqa.rali.fit.small_clip import build_small_clip
from ray_iqa.rali.model.encoders import Architecture, Clip, build_tower, load_clip


def test_folder_loads_in_open_clip_itself_with_the_same_features(small_clip: Clip, tmp_path: Path) -> None:
    small_clip.save(tmp_path)
    theirs = open_clip.create_model(f"local-dir:{tmp_path}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(["looks very blurred"])
    pixels = torch.rand(2, 3, 56, 56)
    with torch.no_grad():
        # Sums of float32 depend on where in memory the weights lie.
        torch.testing.assert_close(theirs.visual(pixels), small_clip.image.tower(pixels), rtol=0, atol=1e-5)
        expected = theirs.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(small_clip.text.embeddings(["looks very blurred"]), expected, atol=1e-6)


def test_the_same_seed_gives_the_same_weights(small_clip: Clip, tmp_path: Path) -> None:
    def first(clip: Clip) -> torch.Tensor:
        return clip.image.tower.state_dict()["conv1.weight"]

    assert torch.equal(first(build_small_clip(tmp_path / "a", seed=0)), first(small_clip))
    assert not torch.equal(first(build_small_clip(tmp_path / "b", seed=1)), first(small_clip))


def test_features_are_not_normalised_and_do_not_depend_on_the_batch(
    small_clip: Clip, pictures: list[NDArray[np.uint8]]
) -> None:
    features = small_clip.image.features(pictures, batch_size=3)
    one_by_one = np.concatenate([small_clip.image.features([picture]) for picture in pictures])
    np.testing.assert_allclose(features, one_by_one, rtol=1e-4, atol=1e-5)
    lengths = np.linalg.norm(features, axis=1)
    assert lengths.std() > 1e-3 * lengths.mean()


def test_num_tokens_counts_what_is_cut_and_the_zero_token(small_clip: Clip) -> None:
    # "!" has token id 0, which is also the padding; one token per word, start and end included.
    assert small_clip.text.num_tokens(["", "word", "! word", "word !", "word " * 75, "word " * 90]) == [
        2,
        3,
        4,
        4,
        77,
        92,
    ]
    assert small_clip.text.fits("word " * 75)
    assert not small_clip.text.fits("word " * 76)


def test_tower_alone_takes_the_weights_of_the_whole_model(small_clip: Clip) -> None:
    tower = build_tower(small_clip.image.architecture)
    tower.load_state_dict(small_clip.image.tower.state_dict())
    pixels = torch.rand(2, 3, 56, 56)
    with torch.no_grad():
        expected = small_clip.image.tower.eval()(pixels)
        torch.testing.assert_close(tower.eval()(pixels), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("vision_cfg", "size"),
    [
        ({"layers": [1, 1, 1, 1], "width": 8, "image_size": 32}, 32),
        ({"timm_model_name": "test_vit", "timm_model_pretrained": True, "timm_pool": "", "image_size": 160}, 160),
    ],
)
def test_other_kinds_of_towers_build_without_a_download(vision_cfg: dict, size: int) -> None:
    tower = build_tower(Architecture(embed_dim=16, vision_cfg=vision_cfg, quick_gelu=False)).eval()
    assert tower(torch.rand(2, 3, size, size)).shape == (2, 16)


def test_wrong_names_are_configuration_errors(small_clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ViT-Z-99"):
        load_clip("ViT-Z-99")
    with pytest.raises(ConfigError, match="no-such-tag"):
        load_clip("ViT-B-32", "no-such-tag")
    small_clip.save(tmp_path)
    with pytest.raises(ConfigError, match="must be null"):
        load_clip(str(tmp_path), "openai")
    with pytest.raises(ConfigError, match="cannot build"):
        build_tower(Architecture(embed_dim=16, vision_cfg={"no_such_key": 1}, quick_gelu=False))
