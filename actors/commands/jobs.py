"""The table of commands that run on a Ray cluster; most are a configuration and the function that gets it."""

import argparse
from pathlib import Path
from typing import get_args

from actors.commands.command import CHANGE_LEARNING, Command, job, option, overrides
from ray_iqa.config.jobs.annotate import AnnotateConfig
from ray_iqa.config.jobs.batch_score import BatchScoreConfig
from ray_iqa.config.jobs.evaluate import Decoding, SuiteName
from ray_iqa.config.jobs.fit_ract import FitRactConfig
from ray_iqa.config.jobs.fit_rali import FitRaliConfig
from ray_iqa.config.jobs.supervised import SftConfig
from ray_iqa.config.train import TrainConfig


def _profile(file: str) -> list[str]:
    return [f"learner.profile={Path(file).absolute()}", "cluster.timeline=true"]


JOBS = {
    "train": job(
        "reinforcement learning to rank",
        TrainConfig,
        "actors.training.train:run",
        option(
            "--profile",
            metavar="FILE",
            dest="overrides",
            action="extend",
            type=_profile,
            help="write a trace of one update and the timeline of all actors",
        ),
        CHANGE_LEARNING,
        folder="train",
        stops=True,
    ),
    "export": Command(
        "a policy folder from a run: its best validated step, or a checkpoint",
        "actors.commands.export:run",
        (
            option("run_dir", metavar="RUN", help="run directory, or its schedule.checkpoint_uri"),
            option("--step", required=True, metavar="best|N", help="of the best validation, or of a checkpoint"),
            option("--out", metavar="FOLDER", help="default: policy-best or policy-step-N in RUN"),
            option(  # arguments without a name could not follow the others
                "--set",
                dest="overrides",
                action="append",
                default=[],
                metavar="key.path=value",
                help="replaces a value of the run's config",
            ),
        ),
    ),
    "doctor": job(
        "check this machine or a cluster against a training config",
        TrainConfig,
        "actors.doctor.doctor:run",
        folder="train",
    ),
    "submit": Command(
        "run a command on a cluster under a name; again: attach or resume",
        "actors.cluster.submit:run",
        (
            option("name", help="of the job; its attempts are NAME-1, NAME-2, ..."),
            option("--address", help="of the dashboard; else RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265"),
            option("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="e.g. train --config FILE"),
        ),
    ),
    "annotate": job(
        "a policy's reasoning texts on pictures, with embeddings, for fit-rali",
        AnnotateConfig,
        "actors.jobs.annotate:annotate",
    ),
    "fit-rali": job("a light scorer from annotated pictures", FitRaliConfig, "actors.jobs.fit_rali:fit_rali"),
    "sft": job(
        "a policy that learns given answers about pictures: a supervised start before `train`",
        SftConfig,
        "actors.jobs.sft:run",
        CHANGE_LEARNING,
        folder="sft",
        stops=True,
    ),
    "fit-ract": job(
        "a policy that learns the reasoning texts of several data sets",
        FitRactConfig,
        "actors.jobs.fit_ract:run",
        CHANGE_LEARNING,
        stops=True,
    ),
    "batch-score": job(
        "the light scorer on a cluster, for more pictures than `score` is for",
        BatchScoreConfig,
        "actors.jobs.batch_score:run",
    ),
    "eval": Command(
        "any models on any labelled datasets: predictions, correlations with intervals, tests, papers' tables",
        "actors.commands.eval:run",
        (
            option(
                "--model",
                action="append",
                required=True,
                dest="models",
                metavar="[NAME=]MODEL",
                help="policy folder or hub name, folder of a light scorer, csv:FILE:COLUMN (csv:FILE:-COLUMN where "
                "lower is better), http://HOST:PORT[#MODEL], pyiqa:METRIC; repeat for several",
            ),
            option(
                "--data",
                action="append",
                required=True,
                metavar="DATA[@SPLIT]",
                help="manifest, or NAME=FOLDER of a public dataset as distributed (`ray-iqa data list`); repeat for "
                "several",
            ),
            option("--out", required=True, metavar="FOLDER", help="gets predictions, results and tables"),
            option("--suite", choices=get_args(SuiteName), help="lay out a paper's tables beside the results"),
            option("--decoding", choices=get_args(Decoding), help="of policies; default: sampled"),
            option("--samples", type=int, metavar="K", help="answers per image of sampled decoding"),
            option("--device", choices=["cpu", "cuda"], help="default: cluster.device of the file, else cpu"),
            option("--config", metavar="FILE", help="YAML with engine settings, see configs/eval/"),
            overrides(),
        ),
        description="Exit codes: 0 done, 1 failure, 2 wrong usage, 3 done, but some images have no prediction.",
    ),
    "demo": Command(
        "train a tiny policy on synthetic distortions, on a laptop",
        "actors.demo.demo:run",
        (
            option("--run-dir", default="runs/demo", dest="folder"),
            option("--seed", type=int, default=0),
            option("--permute-labels", action="store_true", help="control: permute training labels within datasets"),
            overrides("replaces a value of the training config"),
            CHANGE_LEARNING,
        ),
        stops=True,
    ),
}
