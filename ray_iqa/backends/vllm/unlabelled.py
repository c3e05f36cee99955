"""Pictures without labels, as the sampler takes them: it looks at no label, and seeds by the id."""

import hashlib

from PIL import Image

from ray_iqa.types import LabelledImage


def content_of(picture: Image.Image | None) -> bytes:
    """Size and pixels, or nothing."""
    return b"" if picture is None else f"{picture.size}".encode() + picture.tobytes()


def named_by_content(picture: Image.Image | None) -> LabelledImage:
    """A picture that has no file; its id is its content."""
    return unlabelled(hashlib.sha256(content_of(picture)).hexdigest())


def unlabelled(name: str) -> LabelledImage:
    """A picture of that id."""
    return LabelledImage(
        image_id=name, image_path="", dataset="", mos=float("nan"), mos_std=None, higher_is_better=True
    )
