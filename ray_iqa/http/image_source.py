"""The text that stands for a picture in a JSON body -> the content of its file."""

import base64
import binascii
import re

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.problems import Problem
from ray_iqa.http.settings import Settings

_DATA_URI = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),(.*)", re.DOTALL)
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


async def picture_of(text: str, pointer: str, settings: Settings) -> bytes:
    """Content of base64, of a data: URI, or behind a URL where the service allows its host.

    Raises:
        Problem: 403 a URL that is not allowed, 413 too large, 422 none of these, or it cannot be fetched.
    """
    limits = settings.limits
    if not _REMOTE.match(text):
        return _decoded(text, pointer, limits)
    if not limits.fetch_hosts:
        detail = "this service fetches no URLs; send the picture itself as base64 or a data: URI"
        raise Problem(403, "url-fetching-off", detail, pointer=pointer)
    return await settings.fetcher.fetch(text, limits, pointer)


def image_too_large(pointer: str, limits: LimitsConfig) -> Problem:
    """What is said about a file above the limit."""
    return Problem(413, "image-too-large", f"an image may have at most {limits.max_image_bytes} bytes", pointer=pointer)


def _decoded(text: str, pointer: str, limits: LimitsConfig) -> bytes:
    payload = text
    if text.startswith("data:"):
        match = _DATA_URI.fullmatch(text)
        if match is None or not match[2].endswith(";base64"):
            raise Problem(422, "invalid-image", "a data: URI must look like data:image/png;base64,...", pointer=pointer)
        payload = match[3]
    try:
        content = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        detail = f"an image must be base64 or a data: URI: {error}"
        raise Problem(422, "invalid-image", detail, pointer=pointer) from error
    if len(content) > limits.max_image_bytes:
        raise image_too_large(pointer, limits)
    return content
