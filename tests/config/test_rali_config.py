"""The sections of a RALI fit: defaults of the paper, keys of its ablations."""

from pathlib import Path

import pytest

from ray_iqa.config.load import load_config
from ray_iqa.config.rali import RaliFitConfig
from ray_iqa.errors import ConfigError


def test_defaults_are_those_of_the_paper() -> None:
    config = RaliFitConfig()
    assert (config.projection.num_components, config.basis.num_buckets, config.basis.num_vectors) == (512, 240, 250)
    assert config.temperature == 0.07
    assert config.target == "mos"


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("alignment.enabled=false", "alignment", "enabled", False),
        ("projection.enabled=false", "projection", "enabled", False),
        ("basis.bucketed=false", "basis", "bucketed", False),
        ("fine_tuning.enabled=false", "fine_tuning", "enabled", False),
    ],
)
def test_each_ablation_is_one_key(tmp_path: Path, override: str, section: str, key: str, value: object) -> None:
    (tmp_path / "a.yaml").write_text("texts_per_image: 1\n")
    config = load_config(RaliFitConfig, str(tmp_path / "a.yaml"), [override])
    changed = RaliFitConfig(texts_per_image=1).model_dump()
    changed[section][key] = value
    assert config.model_dump() == changed


def test_fewer_vectors_than_buckets_names_both_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1\n")
    with pytest.raises(ConfigError, match="got 100 < 240"):
        load_config(RaliFitConfig, str(tmp_path / "a.yaml"), ["basis.num_vectors=100"])
