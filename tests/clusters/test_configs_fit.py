"""Every configuration beside those of training loads and fits the clusters that its header names."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from autoscaler_plan import REPOSITORY, launched, named_clusters, read

from actors.serving.check import check_file
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.config.jobs.batch_score import BatchScoreConfig
from ray_iqa.config.jobs.evaluate import EvalConfig
from ray_iqa.config.jobs.fit_ract import FitRactConfig
from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.config.jobs.supervised import SftConfig
from ray_iqa.config.load import load_config

CONFIGS = [path for path in sorted((REPOSITORY / "configs").glob("*/*.yaml")) if path.parent.name != "train"]
PAIRS = [(config, cluster) for config in CONFIGS for cluster in named_clusters(config)]
_CPUS = {"Ingress": 0.25, "LightScorer": 0.75, "ReasoningScorer": 1}  # of serve_app.py
Bundles = Sequence[dict[str, float]]


def annotation(path: Path) -> Bundles:
    config = load_config(AnnotateConfig, str(path))
    gpus = float(config.rollout.tensor_parallel_size) if config.cluster.device == "cuda" else 0.0
    engine = {"CPU": config.cluster.cpus_per_actor, "GPU": gpus}
    others = [{"CPU": config.pipeline.cpus_per_decoder}, {"CPU": 0.5, "GPU": config.pipeline.gpus_per_text_encoder}]
    return [*[engine] * config.rollout.min_workers, *others]


def rali_fit(path: Path) -> Bundles:
    config = load_config(FitRaliConfig, str(path))
    gpus = 1.0 if config.cluster.device == "cuda" else 0.0
    return [{"CPU": config.cluster.cpus_per_actor, "GPU": gpus}] * config.workers.num_workers + [{"CPU": 0.5}]


def learners(path: Path) -> Bundles:
    config = load_config(SftConfig if path.parent.name == "sft" else FitRactConfig, str(path))
    return [{"CPU": config.cluster.cpus_per_actor, "GPU": 1.0}] * config.learner.num_ranks


def scoring(path: Path) -> Bundles:
    pipeline = load_config(BatchScoreConfig, str(path)).pipeline
    scorer = {"CPU": pipeline.cpus_per_scorer, "GPU": pipeline.gpus_per_scorer}
    return [*[scorer] * pipeline.min_scorers, {"CPU": pipeline.cpus_per_decoder}]


def evaluation(path: Path) -> Bundles:
    told = ["models=[policy]", "data=[manifest.csv]", "out=results", "cluster.device=cuda"]
    config = load_config(EvalConfig, str(path), told)
    engine = {"CPU": config.cluster.cpus_per_actor, "GPU": float(config.rollout.tensor_parallel_size)}
    return [engine] * config.rollout.min_workers


def service(path: Path) -> Bundles:
    """Of the fewest replicas; the numbers of `serve_app` where the file gives none."""
    assert not check_file(path)
    bundles = []
    for application in yaml.safe_load(path.read_text())["applications"]:
        for deployment in application.get("deployments", []):
            options = deployment.get("ray_actor_options", {})
            cpus = options.get("num_cpus", _CPUS[deployment["name"]])
            bundle = {"CPU": float(cpus), "GPU": float(options.get("num_gpus", 0))}
            bundles += [bundle] * deployment.get("autoscaling_config", {}).get("min_replicas", 1)
    return bundles


NEEDS = {
    "rali/annotate": annotation,
    "rali/annotate_small": annotation,
    "rali/fit": rali_fit,
    "rali/fit_small": rali_fit,
    "rali/ract": learners,
    "sft/chats": learners,
    "rali/batch_score": scoring,
    "eval/small": evaluation,
    "eval/vl_7b": evaluation,
    "serve/light": service,
    "serve/reasoning": service,
    "serve/both": service,
}


def test_every_config_names_a_cluster_or_says_that_it_needs_none() -> None:
    laptop = {REPOSITORY / "configs/serve" / name for name in ("dev.yaml", "both_cpu.yaml")}
    assert {config for config, _ in PAIRS} == set(CONFIGS) - laptop
    assert [check_file(path) for path in laptop] == [[], []]
    assert {f"{config.parent.name}/{config.stem}" for config, _ in PAIRS} == set(NEEDS)


@pytest.mark.parametrize(("config", "cluster"), PAIRS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_job_fits_the_cluster_its_config_names(config: Path, cluster: Path) -> None:
    bundles = NEEDS[f"{config.parent.name}/{config.stem}"](config)
    assert bundles
    assert launched(read(cluster), [{name: amount for name, amount in own.items() if amount} for own in bundles])
