"""Sub-commands that look at what others made: reports, generators over time, two folders."""

import argparse

from actors.commands.rali import DEFAULT_MODEL


def add_report_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report`, `track` and `compare`."""
    report = commands.add_parser("report", help="runs and evaluations as one HTML page, figures beside it")
    report.add_argument("runs", nargs="+", metavar="RUN", help="run directories and folders of ray-iqa eval")
    report.add_argument("--out", metavar="FILE", help="default: report.html in the first RUN")
    report.add_argument("--model", metavar="FOLDER", help="light scorer to ask about changed pictures (invariance)")
    report.add_argument("--device", default="cpu", help="of that scorer: cpu, cuda, cuda:1")
    report.add_argument(
        "--pair", nargs=2, metavar=("NAME", "NAME"), help="models to compare image by image, as the tables call them"
    )
    report.add_argument("--no-images", action="store_true", help="leave pictures out, as some licences want")
    report.set_defaults(command=_report)

    track = commands.add_parser(
        "track",
        help="quality of a generator's samples over training steps",
        description="Pictures with the same name are taken for the same prompt. Exit codes: 0 all scored, 1 failure, "
        "2 wrong usage, 3 some pictures failed.",
    )
    track.add_argument("folders", nargs="+", metavar="DIR", help="a folder per step, or one that holds such folders")
    track.add_argument("--out", default="runs/track", metavar="FOLDER", help="scores and curves; default: %(default)s")
    _add_scorer(track)
    track.set_defaults(command=_track)

    compare = commands.add_parser(
        "compare",
        help="is B worse than A? two folders of pictures or two evaluations",
        description="Pictures are paired by name. Exit codes: 0 B is not worse, 1 failure, 2 wrong usage, 3 not worse "
        "but some pictures have no partner or failed, 4 B is worse.",
    )
    compare.add_argument("before", metavar="A", help="folder of pictures, or of ray-iqa eval")
    compare.add_argument("after", metavar="B", help="folder of the same kind")
    compare.add_argument("--tolerance", type=float, default=0.0, help="loss that does not count, in points or SRCC")
    _add_scorer(compare)
    compare.set_defaults(command=_compare)


def _add_scorer(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default=DEFAULT_MODEL, metavar="FOLDER", help="light scorer; default: %(default)s")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    command.add_argument("--seed", type=int, default=0, help="of intervals and tests")


def _report(arguments: argparse.Namespace) -> int:
    from actors.commands.report import run

    return run(
        arguments.runs,
        arguments.out,
        arguments.model,
        arguments.device,
        arguments.pair,
        with_images=not arguments.no_images,
    )


def _track(arguments: argparse.Namespace) -> int:
    from actors.commands.track import run

    return run(arguments.folders, arguments.model, arguments.out, arguments.device, arguments.seed)


def _compare(arguments: argparse.Namespace) -> int:
    from actors.commands.compare import run

    return run(
        arguments.before, arguments.after, arguments.model, arguments.device, arguments.tolerance, arguments.seed
    )
