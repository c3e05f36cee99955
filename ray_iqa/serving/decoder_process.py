"""The program of one decoder process: files in, pixels out, over pipes.

Nothing that comes back is unpickled, and the process gives up what it has no use for (see `_confine`). That is no
sandbox: one that a file has taken over says what pixels it likes, and still runs as the service's user on its network.
It may read and remove what that user may, and signal the user's other processes.

A message is its kind (one byte) and length (8 bytes, big endian), then the content. In: a file. Out: a picture, whose
content starts with width and height (4 bytes each), or the sentence that says why there is none.
"""

import ctypes
import math
import os
import resource
import struct
import sys
from pathlib import Path

from ray_iqa.config.serve import DecodingConfig
from ray_iqa.data.images import load_image
from ray_iqa.errors import DataError

HEADER, SIZE = struct.Struct(">cQ"), struct.Struct(">II")
FILE, PICTURE, REFUSAL = b"F", b"P", b"R"
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of <linux/prctl.h>
_MAX_DESCRIPTORS = 16  # its pipes, and what an import takes


def main() -> None:
    """Serve files until the other end closes the pipe."""
    config = DecodingConfig.model_validate_json(sys.argv[1])
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # uvloop passes on what Ray opened: its connections to the cluster
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    _confine(config)
    while len(header := sys.stdin.buffer.read(HEADER.size)) == HEADER.size:
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = math.ceil(used.ru_utime + used.ru_stime + config.timeout_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))  # should nobody be left to kill it
        kind, content = answer(sys.stdin.buffer.read(HEADER.unpack(header)[1]), config)
        answers.write(HEADER.pack(kind, len(content)) + content)
        answers.flush()


def answer(content: bytes, config: DecodingConfig) -> tuple[bytes, bytes]:
    """Kind and content of the answer to a file."""
    try:
        picture = load_image(content, config.max_pixels, config.max_aspect_ratio)
        return PICTURE, SIZE.pack(*picture.size) + picture.tobytes()
    except DataError as error:
        return REFUSAL, str(error).encode(errors="replace")
    except MemoryError:
        return REFUSAL, f"image of {len(content)} bytes: decoding takes more memory than allowed".encode()


def _confine(config: DecodingConfig) -> None:
    """Bound memory and descriptors; no file grows, no core dump, no more processes but root's, no set-uid."""
    pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()
    size, data = (int(pages[place]) * resource.getpagesize() + config.max_memory_bytes for place in (0, 5))
    for kind, most in (
        (resource.RLIMIT_AS, size),
        (resource.RLIMIT_DATA, data),
        (resource.RLIMIT_NOFILE, _MAX_DESCRIPTORS),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
