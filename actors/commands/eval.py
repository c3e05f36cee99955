"""`ray-iqa eval`."""

import argparse
from typing import Any, get_args

from ray_iqa.config.jobs.evaluate import Decoding, EvalConfig, SuiteName
from ray_iqa.config.load import build_config, read_tree
from ray_iqa.errors import ConfigError


def add_eval_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `eval` to the commands of `ray-iqa`."""
    evaluate = commands.add_parser(
        "eval",
        help="any models on any labelled datasets: predictions, correlations with intervals, tests, papers' tables",
        description="Exit codes: 0 done, 1 failure, 2 wrong usage, 3 done, but some images have no prediction.",
    )
    evaluate.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="[NAME=]MODEL",
        help="policy folder or hub name, folder of a light scorer, csv:FILE:COLUMN (csv:FILE:-COLUMN where lower is "
        "better), http://HOST:PORT[#MODEL], pyiqa:METRIC; repeat for several",
    )
    evaluate.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="DATA[@SPLIT]",
        help="manifest, or NAME=FOLDER of a public dataset as distributed (`ray-iqa data list`); repeat for several",
    )
    evaluate.add_argument("--out", required=True, metavar="FOLDER", help="gets predictions, results and tables")
    evaluate.add_argument("--suite", choices=get_args(SuiteName), help="lay out a paper's tables beside the results")
    evaluate.add_argument("--decoding", choices=get_args(Decoding), help="of policies; default: sampled")
    evaluate.add_argument("--samples", type=int, metavar="K", help="answers per image of sampled decoding")
    evaluate.add_argument("--device", choices=["cpu", "cuda"], help="default: cluster.device of the file, else cpu")
    evaluate.add_argument("--config", metavar="FILE", help="YAML with engine settings, see configs/eval/")
    evaluate.add_argument("overrides", nargs="*", metavar="key.path=value", help="replaces one value of the file")
    evaluate.set_defaults(command=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    tree: dict[str, Any] = {} if arguments.config is None else read_tree(arguments.config)  # Any: YAML values
    tree |= {"models": arguments.model, "data": arguments.data, "out": arguments.out}
    tree |= {key: value for key in ("suite", "decoding") if (value := getattr(arguments, key)) is not None}
    if arguments.samples is not None:
        if tree.get("decoding", "sampled") != "sampled":
            raise ConfigError(f"--samples is for sampled decoding, got --decoding {tree['decoding']}; leave one out")
        tree["rollout"] = {**tree.get("rollout", {}), "num_completions": arguments.samples}
    told = {} if arguments.device is None else {"device": arguments.device}
    tree["cluster"] = {"device": "cpu", **(tree.get("cluster") or {}), **told}
    config = build_config(EvalConfig, tree, arguments.overrides, "ray-iqa eval")
    from actors.jobs.evaluate import run
    from ray_iqa.runs.preflight import output_folder

    output_folder(config.out, "--out")
    return run(config)
