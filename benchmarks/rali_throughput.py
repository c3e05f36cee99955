"""Throughput of RaliScorer beside its parts: a bare tower on ready tensors, and bare Pillow decode and resize.

    python benchmarks/rali_throughput.py [--images 500] [--repeats 5] [--batch-size 32] [--device cpu]
                                         [--model ViT-B-32] [--precision fp32]

Random weights (cost does not depend on them); JPEG bytes of 1024 x 768, cut out of photographs. Each
repeat takes its own share of the pictures, and all sides take turns on it. Prints images per second of each part, of
both parts one after the other, and of the scorer, by the median repeat; the scorer must reach 0.9 of the parts.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from table import report
from torch import nn

from ray_iqa.config.precision import Precision
from ray_iqa.quickstart.pictures import SPLITS, load_photographs
from ray_iqa.rali.fit.basis import no_projection
from ray_iqa.rali.model.artifact import Artifact
from ray_iqa.rali.model.encoders import load_clip
from ray_iqa.rali.model.head import RaliHead, ScoreBasis
from ray_iqa.rali.model.precision import in_precision
from ray_iqa.rali.scorer import RaliScorer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500, help="over all repeats")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="ViT-B-32", help="as open_clip names it")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of the scorer and of the tower")
    arguments = parser.parse_args()

    scorer = random_scorer(arguments.device, arguments.model, arguments.precision)
    tower = in_precision(scorer.artifact.encoder.tower, arguments.precision, arguments.device)
    side = scorer.artifact.encoder.preprocessing.size
    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    batch = torch.rand(arguments.batch_size, 3, side, side, device=arguments.device, dtype=dtype)
    pictures = jpeg_photographs(arguments.images, (1024, 768))
    scorer.score(pictures[: arguments.batch_size])
    seconds: dict[str, list[float]] = {"tower": [], "decode": [], "scorer": []}
    count = len(pictures) // arguments.repeats
    for start in range(0, count * arguments.repeats, count):
        share = pictures[start : start + count]
        seconds["tower"].append(timed(lambda: run_tower(tower, batch, count), arguments.device))
        seconds["decode"].append(timed(partial(run_decode, share, side), arguments.device))
        seconds["scorer"].append(
            timed(lambda own=share: run_scorer(scorer, own, arguments.batch_size), arguments.device)
        )

    found = {name: median(own) for name, own in seconds.items()}
    parts = found["tower"] + found["decode"]
    print(f"{torch.get_num_threads()} threads, device {arguments.device}, {arguments.repeats} x {count} images")
    print(f"bare tower on ready tensors   {count / found['tower']:8.1f} images/s")
    print(f"bare Pillow decode and resize {count / found['decode']:8.1f} images/s")
    print(f"both, one after the other     {count / parts:8.1f} images/s")
    print(f"RaliScorer                    {count / found['scorer']:8.1f} images/s")
    sizes = f"{len(pictures)} JPEG photographs of 1024x768"
    kind = arguments.model + f", {arguments.precision}" * (arguments.precision != "fp32")
    claim = f"RaliScorer, {kind}, {arguments.device}, {sizes}, against its parts"
    rates = f"{count / found['scorer']:.1f} / {count / parts:.1f} images/s"
    report(claim, parts / found["scorer"], ">= 0.9", rates)


def random_scorer(device: str, model: str = "ViT-B-32", precision: Precision = "fp32") -> RaliScorer:
    """A tower and a head of the published size over its features."""
    rng = np.random.default_rng(0)
    encoder = load_clip(model).image
    width = encoder.architecture.embed_dim
    basis = ScoreBasis(
        vectors=rng.normal(size=(250, width)).astype(np.float32), scores=rng.uniform(1, 5, 250).astype(np.float32)
    )
    head = RaliHead.from_parts(no_projection(width), basis, temperature=0.07)
    return RaliScorer(Artifact(encoder=encoder, head=head, provenance={}), device, precision)


def jpeg_photographs(count: int, size: tuple[int, int]) -> list[bytes]:
    """JPEG files of ``size`` (width, height): random windows of enlarged photographs, with a camera's noise."""
    rng = np.random.default_rng(0)
    views = [Image.fromarray(view) for split in SPLITS for content in load_photographs(split) for view in content.views]
    files = []
    for number in range(count):
        view = views[number % len(views)]
        factor = rng.uniform(1.0, 1.5) * max(size[0] / view.width, size[1] / view.height)
        width, height = size[0] / factor, size[1] / factor
        left, top = rng.uniform(0, view.width - width), rng.uniform(0, view.height - height)
        window = view.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        pixels = np.asarray(window) + rng.normal(0, 3, (size[1], size[0], 3)).astype(np.float32)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Files of `jpeg_photographs`, 512 x 384."""
    files = [folder / f"{number}.jpg" for number in range(count)]
    for file, content in zip(files, jpeg_photographs(count, (512, 384)), strict=True):
        file.write_bytes(content)
    return files


def run_tower(tower: nn.Module, batch: torch.Tensor, count: int) -> None:
    """As many batches as the pictures fill."""
    with torch.inference_mode():
        for start in range(0, count, len(batch)):
            tower(batch[: count - start])


def run_decode(pictures: Sequence[bytes], side: int) -> None:
    """Decode, resize the short side, cut out the centre."""
    for content in pictures:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        factor = side / min(image.size)
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image.crop((left, top, left + side, top + side)).load()


def run_scorer(scorer: RaliScorer, pictures: Sequence[bytes], batch_size: int) -> None:
    """The whole way from files to scores."""
    assert all(row.status == "ok" for row in scorer.score(pictures, batch_size)), "the pictures are sound"


def timed(turn: Callable[[], None], device: str) -> float:
    """Seconds until the device is done."""
    start = time.perf_counter()
    turn()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
