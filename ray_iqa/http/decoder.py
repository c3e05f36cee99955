"""The program of one decoder process: files in, pixels out, over pipes.

Nothing that comes back is unpickled, so a decoder that a file has taken over can say wrong pixels and nothing else.

A message is its kind (one byte) and length (8 bytes, big endian), then the content. In: a file. Out: a picture, whose
content starts with width and height (4 bytes each), or the sentence that says why there is none.
"""

import os
import resource
import struct
import sys
from pathlib import Path

from PIL import Image

from ray_iqa.config.serve import DecodingConfig
from ray_iqa.data.images import load_image
from ray_iqa.errors import DataError

HEADER, SIZE = struct.Struct(">cQ"), struct.Struct(">II")
FILE, PICTURE, REFUSAL = b"F", b"P", b"R"


def main() -> None:
    """Serve files until the other end closes the pipe."""
    config = DecodingConfig.model_validate_json(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    limit = _data_bytes() + config.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    while len(header := sys.stdin.buffer.read(HEADER.size)) == HEADER.size:
        kind, content = answer(sys.stdin.buffer.read(HEADER.unpack(header)[1]), config)
        answers.write(HEADER.pack(kind, len(content)) + content)
        answers.flush()


def answer(content: bytes, config: DecodingConfig) -> tuple[bytes, bytes]:
    """Kind and content of the answer to a file."""
    name = f"image of {len(content)} bytes"
    try:
        picture = load_image(content, config.max_pixels)
        check_shape(picture, config.max_aspect_ratio, name)
        return PICTURE, SIZE.pack(*picture.size) + picture.tobytes()
    except DataError as error:
        return REFUSAL, str(error).encode(errors="replace")
    except MemoryError:
        return REFUSAL, f"{name}: decoding takes more memory than allowed".encode()


def check_shape(picture: Image.Image, max_aspect_ratio: float, name: str) -> None:
    """Refuse thin lines: models enlarge the short side.

    Raises:
        DataError: one side is too long for the other.
    """
    if max(picture.size) > max_aspect_ratio * min(picture.size):
        raise DataError(
            f"{name}: one side may be at most {max_aspect_ratio:g} times the other, "
            f"got {picture.width} x {picture.height}"
        )


def _data_bytes() -> int:
    """Private writable memory of this process as it started."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


if __name__ == "__main__":
    main()
