import pytest

from ray_iqa.data.datasets.listing import NAMES, PUBLIC_DATASETS, known_dataset, public_dataset
from ray_iqa.errors import DataError


def test_every_dataset_says_on_what_terms_and_where_it_is_to_be_had() -> None:
    assert len(set(NAMES)) == len(NAMES) == 20  # PIQ23 has three attributes, KonIQ-10k two labels
    for dataset in PUBLIC_DATASETS:
        assert all((dataset.title, dataset.labels, dataset.licence, dataset.citation, dataset.obtain))
    assert {dataset.name for dataset in PUBLIC_DATASETS if dataset.direction == "lower"} == {"csiq", "live"}
    scenes = {dataset.name for dataset in PUBLIC_DATASETS if dataset.per_scene}
    assert scenes == {"sriqa-bench", "piq23-overall", "piq23-details", "piq23-exposure"}


def test_sizes_of_the_papers() -> None:
    sizes = {dataset.name: dataset.num_images for dataset in PUBLIC_DATASETS}
    assert (sizes["koniq10k"], sizes["live-challenge"], sizes["csiq"]) == (10_073, 1_162, 866)
    assert sizes["kadid10k"] == 81 * 25 * 5
    assert sizes["tid2013"] == 25 * 24 * 5
    assert sizes["pipal"] == 200 * 116


def test_an_unknown_name_suggests_the_nearest() -> None:
    assert known_dataset("mine") is None
    with pytest.raises(DataError, match="no adapter called 'kadid', did you mean 'kadid10k'"):
        public_dataset("kadid")
