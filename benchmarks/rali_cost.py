"""What a score costs: the light scorer beside the policy that taught it, on the same pictures, one after the other.

    make demo && .venv/bin/python benchmarks/rali_cost.py                        # the demo's pair, on its test pictures
    .venv/bin/python benchmarks/rali_cost.py --config runs/x/resolved.json --scorer runs/y/scorer --images PATH...

Each runs alone in a fresh process; loading and a warm-up are not timed. The policy answers once per picture, which is
the least it can do; the demo's figures of quality are means of eight answers. Memory is that of the process, or of its
GPU. With --random-vit-l the scorer is ViT-L/14-336 with random weights: cost does not depend on them.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from ray_iqa.backends.scorer_cost import policy_cost, rali_cost
from ray_iqa.config.jobs.annotate import AnnotateConfig, PicturesConfig
from ray_iqa.rali.annotations.pictures import AnnotatedImage, read_pictures
from ray_iqa.types import SamplingSpec


def main() -> None:
    """Measure and print, with a Markdown row at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="runs/demo/annotations/resolved.json", help="of the annotation")
    parser.add_argument("--scorer", default="runs/demo/fit/scorer")
    parser.add_argument("--random-vit-l", action="store_true")
    parser.add_argument("--images", nargs="*", help="files, folders, manifests; the demo's test pictures when left out")
    parser.add_argument("--max-images", type=int, default=320)
    parser.add_argument("--completions", type=int, default=1)
    arguments = parser.parse_args()

    config = AnnotateConfig.model_validate(json.loads(Path(arguments.config).read_text()))
    sources = PicturesConfig(sources=arguments.images or config.images.sources, split="test")
    rows = read_pictures(sources).slice(0, arguments.max_images).to_pylist()
    images = [AnnotatedImage(**row).for_sampler() for row in rows]
    rollout = config.rollout
    spec = SamplingSpec(
        num_completions=arguments.completions,
        temperature=rollout.temperature,
        top_k=rollout.top_k,
        top_p=rollout.top_p,
        max_tokens=rollout.max_tokens,
        seed=0,
    )
    policy = policy_cost(config.policy, rollout, images, spec)
    print(f"policy, {arguments.completions} answers: {policy}")
    with tempfile.TemporaryDirectory() as folder:
        scorer = write_random_vit_l(folder) if arguments.random_vit_l else arguments.scorer
        rali = rali_cost(scorer, images, rollout.num_threads, config.cluster.device)
    print(f"RALI: {rali}")
    parameters = rali.num_parameters / policy.num_parameters
    seconds = rali.seconds_per_image / policy.seconds_per_image
    memory = rali.peak_memory_mib / policy.peak_memory_mib
    print(f"| RALI / policy | {parameters:.1%} parameters | {seconds:.1%} seconds | {memory:.1%} peak memory |")


def write_random_vit_l(folder: str) -> str:
    """A scorer of the published size."""
    from ray_iqa.rali.fit.basis import fit_pca
    from ray_iqa.rali.model.artifact import Artifact, save_artifact
    from ray_iqa.rali.model.encoders import load_clip
    from ray_iqa.rali.model.head import RaliHead, ScoreBasis

    rng = np.random.default_rng(0)
    projection = fit_pca(rng.normal(size=(600, 768)).astype(np.float32), 512)
    vectors = rng.normal(size=(250, 512)).astype(np.float32)
    basis = ScoreBasis(vectors=vectors, scores=rng.uniform(1, 5, 250).astype(np.float32))
    encoder = load_clip("ViT-L-14-336-quickgelu").image
    head = RaliHead.from_parts(projection, basis, temperature=0.07)
    save_artifact(Artifact(encoder=encoder, head=head, provenance={}), folder)
    return folder


if __name__ == "__main__":
    main()
