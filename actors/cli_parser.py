"""Sub-commands of `ray-iqa`, each imported only when it runs, so that --help answers at once."""

import argparse
import sys
from pathlib import Path

from actors.commands.cluster import add_cluster_commands
from actors.commands.data import add_data_commands
from actors.commands.eval import add_eval_command
from actors.commands.rali import add_change_learning, add_rali_commands
from actors.commands.reports import add_report_commands
from actors.commands.serve import add_serve_commands


def parser() -> argparse.ArgumentParser:
    """All sub-commands; ``command`` of what is parsed runs one."""
    root = argparse.ArgumentParser(prog="ray-iqa", description="Image quality judged by a reasoning policy.")
    commands = root.add_subparsers(required=True, metavar="COMMAND", dest="command_name")

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
    return root


def _train(arguments: argparse.Namespace) -> int:
    from actors.training.train import run

    overrides = list(arguments.overrides)
    if arguments.profile is not None:
        overrides += [f"learner.profile={Path(arguments.profile).absolute()}", "cluster.timeline=true"]
    return run(arguments.config, overrides, arguments.stop, change_learning=arguments.change_learning)


def _export(arguments: argparse.Namespace) -> int:
    from actors.commands.export import run

    return run(arguments.run, arguments.step, arguments.out, arguments.set)


def _demo(arguments: argparse.Namespace) -> int:
    from actors.demo.demo import run

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
