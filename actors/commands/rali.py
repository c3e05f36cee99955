"""Sub-commands about the light scorer."""

import argparse
import sys

from ray_iqa.files import writable_file, writable_folder

DEFAULT_MODEL = "/data/runs/rali/fit/scorer"  # where configs/rali/fit.yaml puts it


def add_rali_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `annotate`, `fit-rali`, `fit-ract`, `batch-score`, `score`, `convert-rali` and `export-onnx`."""
    for name, what, command in (
        ("annotate", "a policy's reasoning texts on pictures, with embeddings, for fit-rali", _annotate),
        ("fit-rali", "a light scorer from annotated pictures", _fit_rali),
        ("fit-ract", "a policy that learns the reasoning texts of several data sets", _fit_ract),
        ("batch-score", "the light scorer on a cluster, for more pictures than `score` is for", _batch_score),
    ):
        job = commands.add_parser(name, help=what)
        job.add_argument("--config", required=True, help="YAML file, see configs/rali/")
        job.add_argument("overrides", nargs="*", metavar="key.path=value", help="replaces one value of the file")
        if command is _fit_ract:
            add_change_learning(job)
        job.set_defaults(command=command)

    score = commands.add_parser(
        "score",
        help="quality of pictures by the light scorer",
        description="Exit codes: 0 all scored, 1 failure, 2 wrong usage, 3 some pictures failed.",
    )
    score.add_argument("paths", nargs="+", metavar="PATH", help="files, folders, patterns")
    score.add_argument("--model", default=DEFAULT_MODEL, metavar="FOLDER", help="default: %(default)s")
    score.add_argument("--out", metavar="FILE", help="csv, jsonl or parquet; standard output when left out")
    score.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    score.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "int8"), help="of the image tower")
    score.add_argument("--profile", metavar="FILE", help="write a trace that ui.perfetto.dev opens, and print a table")
    score.add_argument("--strict", action="store_true", help="exit with 1 where some pictures failed")
    score.set_defaults(command=_score)

    convert = commands.add_parser("convert-rali", help="the four published files of RALI to a folder that score reads")
    convert.add_argument("source", metavar="FOLDER", help="with ckpt.pt, pca.pkl, basis.npz and best/")
    convert.add_argument("out", metavar="OUT")
    convert.set_defaults(command=_convert)

    export = commands.add_parser("export-onnx", help="a light scorer as one ONNX file")
    export.add_argument("model", metavar="FOLDER")
    export.add_argument("out", metavar="FILE")
    export.set_defaults(command=_export)


def add_change_learning(job: argparse.ArgumentParser) -> None:
    """Add the option that lets a resumed run learn otherwise than before."""
    job.add_argument(
        "--change-learning",
        action="store_true",
        help="resume with other values of keys that say how the policy learns, such as learner.learning_rate",
    )


def _annotate(arguments: argparse.Namespace) -> int:
    from actors.jobs.annotate import run

    return run(arguments.config, arguments.overrides)


def _fit_rali(arguments: argparse.Namespace) -> int:
    from actors.jobs.fit_rali import run

    return run(arguments.config, arguments.overrides)


def _fit_ract(arguments: argparse.Namespace) -> int:
    from actors.jobs.fit_ract import run

    return run(arguments.config, arguments.overrides, arguments.stop, change_learning=arguments.change_learning)


def _batch_score(arguments: argparse.Namespace) -> int:
    from actors.jobs.batch_score import run

    return run(arguments.config, arguments.overrides)


def _score(arguments: argparse.Namespace) -> int:
    from actors.commands.score import run

    def score() -> int:
        model, out, device, precision = arguments.model, arguments.out, arguments.device, arguments.precision
        return run(arguments.paths, model, out, device, precision, strict=arguments.strict)

    if arguments.profile is None:
        return score()
    from ray_iqa.backends.profiling import traced

    with traced(arguments.profile):
        return score()


def _convert(arguments: argparse.Namespace) -> int:
    from ray_iqa.rali.integrations.released import convert_released
    from ray_iqa.rali.model.artifact import save_artifact

    writable_folder(arguments.out)
    save_artifact(convert_released(arguments.source), arguments.out)
    sys.stdout.write(f"Scorer: {arguments.out}\n")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from ray_iqa.rali.integrations.onnx import export_onnx
    from ray_iqa.rali.scorer import RaliScorer

    writable_file(arguments.out)
    export_onnx(RaliScorer.load(arguments.model), arguments.out)
    sys.stdout.write(f"ONNX: {arguments.out}\n")
    return 0
