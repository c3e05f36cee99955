"""The published files, written here in exactly their layout, against the features and scores they stand for."""

import json
import os
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, IncrementalPCA
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from ray_iqa.errors import ConfigError, DataError
from ray_iqa.rali.integrations.pca_pickle import read_pca
from ray_iqa.rali.integrations.released import convert_released
from ray_iqa.rali.scorer import RaliScorer

DATA = np.random.default_rng(0).normal(1, 2, (60, 24))


def random_clip(activation: str = "quick_gelu") -> CLIPModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vision = {
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
            "hidden_act": activation,
        }
        text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
        for parameter in model.parameters():  # biases and norms are constants at the start
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model.eval()


def write_release(folder: Path, model: CLIPModel, pca: PCA | IncrementalPCA) -> dict[str, Tensor]:
    """ckpt.pt, pca.pkl, basis.npz and best/ as the release has them."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(pca.var_) if hasattr(pca, "var_") else np.ones(24)
    scorer = {
        "pca_scale": torch.tensor(scale, dtype=torch.float32),
        "pca_components": torch.tensor(pca.components_, dtype=torch.float32),
        "prototypes": torch.randn(20, 10, generator=torch.Generator().manual_seed(0)),
        "proto_scores": torch.tensor(rng.uniform(1, 5, 20), dtype=torch.float32),
        "logit_scale": torch.tensor(1 / 0.07),
    }
    state = {f"clip.{name}": tensor for name, tensor in model.state_dict().items()}
    state |= {f"scorer.{name}": tensor for name, tensor in scorer.items()}
    (folder / "best").mkdir(parents=True)
    torch.save({"state_dict": state, "epoch": 3}, folder / "ckpt.pt")
    joblib.dump(pca, folder / "pca.pkl")
    np.savez(folder / "basis.npz", vectors=np.zeros((20, 10)), scores=np.zeros(20))  # ckpt.pt overrules the values
    model.save_pretrained(folder / "best")
    preprocessor = {
        "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32},
        "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "best" / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return scorer


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_features_equal_those_of_the_hugging_face_model(tmp_path: Path, activation: str) -> None:
    model = random_clip(activation)
    write_release(tmp_path, model, PCA(10).fit(DATA))
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = model.get_image_features(pixels).pooler_output
        found = convert_released(tmp_path).encoder.tower.eval()(pixels)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.1


@pytest.mark.parametrize("pca", [PCA(10), IncrementalPCA(10)], ids=["without var_", "with var_"])
def test_scores_equal_the_released_formula(tmp_path: Path, pca: PCA | IncrementalPCA) -> None:
    """((x - mean) / |scale|) components^T, unit length, cosines / tau, softmax, sum; mean from pca.pkl only."""
    model = random_clip()
    scorer = write_release(tmp_path, model, pca.fit(DATA))
    artifact = convert_released(tmp_path)
    picture = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    pixels = artifact.encoder.preprocessing.pixels(picture)
    with torch.no_grad():
        x = model.get_image_features(pixels[None]).pooler_output[0]
    z = scorer["pca_components"] @ ((x - torch.tensor(pca.mean_, dtype=torch.float32)) / scorer["pca_scale"].abs())
    cosines = scorer["prototypes"] @ z / z.norm() / scorer["prototypes"].norm(dim=1)
    expected = float(torch.softmax(cosines / 0.07, 0) @ scorer["proto_scores"])
    RaliScorer(artifact).save(tmp_path / "converted")
    converted = RaliScorer.load(tmp_path / "converted").score([picture])[0]
    assert converted.value == pytest.approx(expected, abs=1e-4)
    names = sorted(path.name for path in (tmp_path / "converted").iterdir())
    assert names == ["rali.json", "rali.safetensors"]


def changed(folder: Path, drop: str | None = None, **extra: Tensor) -> None:
    content = torch.load(folder / "ckpt.pt", weights_only=True)
    if drop:
        del content["state_dict"][drop]
    content["state_dict"] |= extra
    torch.save(content, folder / "ckpt.pt")


@pytest.mark.parametrize(
    "name",
    [
        "scorer.pca_scale",
        "scorer.logit_scale",
        "clip.visual_projection.weight",
        "clip.vision_model.encoder.layers.0.mlp.fc1.bias",
    ],
)
def test_missing_key_is_named(tmp_path: Path, name: str) -> None:
    write_release(tmp_path, random_clip(), PCA(10).fit(DATA))
    changed(tmp_path, drop=name)
    with pytest.raises(DataError, match=name.removeprefix("clip.").replace(".", r"\.")):
        convert_released(tmp_path)


@pytest.mark.parametrize("name", ["other.weight", "scorer.surplus", "clip.vision_model.surplus"])
def test_unknown_key_is_named(tmp_path: Path, name: str) -> None:
    write_release(tmp_path, random_clip(), PCA(10).fit(DATA))
    changed(tmp_path, **{name: torch.zeros(1)})
    with pytest.raises(DataError, match=r"surplus|other"):
        convert_released(tmp_path)


@pytest.mark.parametrize(
    "name", ["ckpt.pt", "pca.pkl", "basis.npz", "best/config.json", "best/preprocessor_config.json"]
)
def test_missing_file_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    write_release(tmp_path, random_clip(), PCA(10).fit(DATA))
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=Path(name).name):
        convert_released(tmp_path)


def test_basis_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, random_clip(), PCA(10).fit(DATA))
    np.savez(tmp_path / "basis.npz", vectors=np.zeros((21, 10)), scores=np.zeros(21))
    with pytest.raises(DataError, match=r"basis\.npz vectors.*\[20, 10\], got \[21, 10\]"):
        convert_released(tmp_path)


def test_pca_of_another_fit_is_warned_about(tmp_path: Path) -> None:
    write_release(tmp_path, random_clip(), PCA(10).fit(DATA))
    joblib.dump(PCA(10).fit(DATA[::-2] ** 2), tmp_path / "pca.pkl")
    with pytest.warns(UserWarning, match="different fits"):
        convert_released(tmp_path)


class Malicious:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("hidden_in", ["object", "attribute", "array of objects", "plain pickle"])
def test_pickle_that_runs_code_is_refused_before_it_runs(tmp_path: Path, hidden_in: str) -> None:
    bomb, pca, file = Malicious(), PCA(10).fit(DATA), tmp_path / "pca.pkl"
    bomb.target = str(tmp_path / "was here")
    if hidden_in == "attribute":
        pca.mean_ = bomb
    elif hidden_in == "array of objects":
        pca.mean_ = np.array([bomb, None], dtype=object)
    if hidden_in == "plain pickle":
        file.write_bytes(pickle.dumps(bomb))
    else:
        joblib.dump(bomb if hidden_in == "object" else pca, file)
    with pytest.raises(DataError, match="only"):
        read_pca(file)
    assert not (tmp_path / "was here").exists()


def test_checkpoint_that_runs_code_is_refused_before_it_runs(tmp_path: Path) -> None:
    bomb = Malicious()
    bomb.target = str(tmp_path / "was here")
    write_release(tmp_path / "files", random_clip(), PCA(10).fit(DATA))
    torch.save({"state_dict": bomb}, tmp_path / "files" / "ckpt.pt")
    with pytest.raises(DataError, match=r"ckpt\.pt"):
        convert_released(tmp_path / "files")
    assert not (tmp_path / "was here").exists()


def test_plain_pickle_and_old_numpy_names_are_read(tmp_path: Path) -> None:
    pca = PCA(10).fit(DATA)
    content = pickle.dumps(pca, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "pca.pkl").write_bytes(content)
    np.testing.assert_allclose(read_pca(tmp_path / "pca.pkl").mean, pca.mean_, rtol=1e-6)
