"""Photographs: licences, split, what ships."""

from ray_iqa.quickstart.pictures import PHOTOGRAPHS, SPLITS, load_photographs


def test_the_split_is_the_one_chosen_at_the_start() -> None:
    names = {split: {photograph.name for photograph in PHOTOGRAPHS if photograph.split == split} for split in SPLITS}
    assert names["test"] == {"astronaut", "brick", "chelsea", "china", "coffee"}
    assert names["val"] == {"camera", "flower"}
    assert names["train"] == {"coins", "grace_hopper", "grass", "gravel", "ihc", "motorcycle", "rocket"}


def test_no_file_belongs_to_two_contents() -> None:
    files = [(photograph.folder, file) for photograph in PHOTOGRAPHS for file in photograph.files]
    assert len(set(files)) == len(files)
    assert len({photograph.name for photograph in PHOTOGRAPHS}) == len(PHOTOGRAPHS)


def test_a_stereo_pair_is_one_content() -> None:
    (motorcycle,) = [content for content in load_photographs("train") if content.name == "motorcycle"]
    left, right = motorcycle.views
    assert left.shape == right.shape == (500, 741, 3)
    assert (left != right).any()


def test_every_photograph_ships_and_names_its_terms() -> None:
    contents = [content for split in SPLITS for content in load_photographs(split)]
    assert len(contents) == len(PHOTOGRAPHS)
    for content in contents:
        assert len(content.licence) > 8
        assert all(view.ndim == 3 and min(view.shape[:2]) >= 300 for view in content.views)
