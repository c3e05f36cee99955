"""`ray-iqa`: one sub-command per job, each imported only when it runs, so that --help answers at once."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from actors.cli_cluster import add_cluster_commands
from actors.cli_data import add_data_commands
from actors.cli_eval import add_eval_command
from actors.cli_failures import check_words, flush_output, is_unread, open_streams, sentence_of
from actors.cli_rali import add_change_learning, add_rali_commands
from actors.cli_report import add_report_commands
from actors.cli_serve import add_serve_commands
from actors.exit_codes import FAILURE, UNREAD
from actors.stop_signal import stop_on_signal
from ray_iqa.errors import RayIqaError
from ray_iqa.telemetry.terminal import say


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but for some pictures, 141 nobody reads the output, 143 stopped
    after saving, or 128 and the number of the signal that ended it at once (130: Ctrl-C).
    """
    words = sys.argv[1:] if argv is None else argv
    name = ""
    open_streams()
    with stop_on_signal() as stop:
        try:
            check_words(words)
            arguments = _parser().parse_args(words, argparse.Namespace(stop=stop))
            name = " ".join(filter(None, (arguments.command_name, getattr(arguments, "part_name", None))))
            command: Callable[[argparse.Namespace], int] = arguments.command
            code = command(arguments)
            sys.stdout.flush()
        except (RayIqaError, ModuleNotFoundError, OSError) as error:
            if isinstance(error, BrokenPipeError) and is_unread():
                return UNREAD
            sentence = sentence_of(error, name)
            if sentence is None:
                raise
            say(f"ray-iqa: {sentence}")
            return FAILURE
        except KeyboardInterrupt:
            say(f"ray-iqa: ended by {stop.name} before it was done")
            return stop.exit_code
        else:
            return code
        finally:
            flush_output()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ray-iqa", description="Image quality judged by a reasoning policy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command_name")

    train = commands.add_parser("train", help="reinforcement learning to rank")
    train.add_argument("--config", required=True, help="YAML file, see configs/train/")
    train.add_argument("--profile", metavar="FILE", help="write a trace of one update and the timeline of all actors")
    train.add_argument("overrides", nargs="*", metavar="key.path=value", help="replaces one value of the file")
    add_change_learning(train)
    train.set_defaults(command=_train)

    export = commands.add_parser("export", help="a policy folder from a run: its best validated step, or a checkpoint")
    export.add_argument("run", metavar="RUN", help="run directory, or its schedule.checkpoint_uri")
    export.add_argument("--step", required=True, metavar="best|N", help="of the best validation, or of a checkpoint")
    export.add_argument("--out", metavar="FOLDER", help="default: policy-best or policy-step-N in RUN")
    export.add_argument(  # arguments without a name could not follow the others
        "--set", action="append", default=[], metavar="key.path=value", help="replaces a value of the run's config"
    )
    export.set_defaults(command=_export)

    add_cluster_commands(commands)
    add_rali_commands(commands)
    add_report_commands(commands)
    add_eval_command(commands)

    demo = commands.add_parser("demo", help="train a tiny policy on synthetic distortions, on a laptop")
    demo.add_argument("--run-dir", default="runs/demo")
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--permute-labels", action="store_true", help="control: permute training labels within datasets")
    demo.add_argument("overrides", nargs="*", metavar="key.path=value", help="replaces a value of the training config")
    add_change_learning(demo)
    demo.set_defaults(command=_demo)

    data = commands.add_parser("data", help="make and inspect datasets").add_subparsers(
        required=True, metavar="COMMAND", dest="part_name"
    )
    synth = data.add_parser("synth", help="write a distortion ladder with known quality: image files and manifests")
    synth.add_argument("folder")
    synth.add_argument("--images", type=int, default=20_000, help="training images over both datasets")
    synth.add_argument("--val-images", type=int, default=240, help="validation images, likewise")
    synth.add_argument("--test-images", type=int, default=640, help="test images, likewise")
    synth.add_argument("--size", type=int, default=56, help="pixels per side")
    synth.add_argument("--kinds", nargs="*", help="distortions; all that this size can show when left out")
    synth.add_argument("--seed", type=int, default=0)
    synth.set_defaults(command=_synth)
    add_data_commands(data)

    serve = commands.add_parser("serve", help="around `serve run` and `serve deploy`")
    add_serve_commands(serve.add_subparsers(required=True, metavar="COMMAND", dest="part_name"))
    return parser


def _train(arguments: argparse.Namespace) -> int:
    from actors.train import run

    overrides = list(arguments.overrides)
    if arguments.profile is not None:
        overrides += [f"learner.profile={Path(arguments.profile).absolute()}", "cluster.timeline=true"]
    return run(arguments.config, overrides, arguments.stop, change_learning=arguments.change_learning)


def _export(arguments: argparse.Namespace) -> int:
    from actors.export import run

    return run(arguments.run, arguments.step, arguments.out, arguments.set)


def _demo(arguments: argparse.Namespace) -> int:
    from actors.demo import run

    options = {"permute_labels": arguments.permute_labels, "change_learning": arguments.change_learning}
    return run(arguments.run_dir, arguments.seed, arguments.overrides, arguments.stop, **options)


def _synth(arguments: argparse.Namespace) -> int:
    from ray_iqa.quickstart.distortions import kinds_sentence, visible_kinds
    from ray_iqa.quickstart.synthesise import synthesise

    kinds = visible_kinds(arguments.size) if arguments.kinds is None else arguments.kinds
    manifests = synthesise(
        arguments.folder,
        num_train=arguments.images,
        num_val=arguments.val_images,
        num_test=arguments.test_images,
        size=arguments.size,
        kinds=kinds,
        seed=arguments.seed,
    )
    sys.stdout.write(f"Pictures {kinds_sentence(kinds)}\nWrote {' and '.join(map(str, manifests))}\n")
    return 0
