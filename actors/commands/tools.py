"""The tables of commands that work in this process, on files."""

from pathlib import Path

from actors.commands.command import Command, option

_MODEL = option(
    "--model",
    default="/data/runs/rali/fit/scorer",  # where configs/rali/fit.yaml puts it
    help="folder of a light scorer, policy folder or hub name, http://HOST:PORT, pyiqa:METRIC; default: %(default)s",
)
_DEVICE = option("--device", default="cpu", help="cpu, cuda, cuda:1")
_SEED = option("--seed", type=int, default=0, help="of intervals and tests")

TOOLS = {
    "score": Command(
        "quality of pictures by any model",
        "actors.commands.score:run",
        (
            option("names", nargs="+", metavar="PATH", help="files, folders, patterns"),
            _MODEL,
            option("--out", metavar="FILE", help="csv, jsonl or parquet; standard output when left out"),
            _DEVICE,
            option("--precision", default="fp32", choices=("fp32", "bf16", "int8"), help="of the image tower"),
            option("--profile", metavar="FILE", help="write a trace that ui.perfetto.dev opens, and print a table"),
            option("--strict", action="store_true", help="exit with 1 where some pictures failed"),
        ),
        description="Exit codes: 0 all scored, 1 failure, 2 wrong usage, 3 some pictures failed.",
    ),
    "convert-rali": Command(
        "the four published files of RALI to a folder that score reads",
        "actors.commands.scorers:convert",
        (
            option("source", metavar="FOLDER", help="with ckpt.pt, pca.pkl, basis.npz and best/"),
            option("out", metavar="OUT"),
        ),
    ),
    "export-onnx": Command(
        "a light scorer as one ONNX file",
        "actors.commands.scorers:export_onnx",
        (option("model", metavar="FOLDER"), option("out", metavar="FILE")),
    ),
    "report": Command(
        "runs and evaluations as one HTML page, figures beside it",
        "actors.commands.report:run",
        (
            option("folders", nargs="+", metavar="RUN", help="run directories and folders of ray-iqa eval"),
            option("--out", metavar="FILE", help="default: report.html in the first RUN"),
            option("--model", metavar="FOLDER", help="light scorer to ask about changed pictures (invariance)"),
            option("--device", default="cpu", help="of that scorer: cpu, cuda, cuda:1"),
            option(
                "--pair",
                nargs=2,
                metavar=("NAME", "NAME"),
                help="models to compare image by image, as the tables call them",
            ),
            option(
                "--no-images",
                action="store_false",
                dest="with_images",
                help="leave pictures out, as some licences want",
            ),
        ),
    ),
    "track": Command(
        "quality of a generator's samples over training steps",
        "actors.commands.track:run",
        (
            option("names", nargs="+", metavar="DIR", help="a folder per step, or one that holds such folders"),
            option("--out", default="runs/track", metavar="FOLDER", help="scores and curves; default: %(default)s"),
            _MODEL,
            _DEVICE,
            _SEED,
        ),
        description="Pictures with the same name are taken for the same prompt. Exit codes: 0 all scored, 1 failure, "
        "2 wrong usage, 3 some pictures failed.",
    ),
    "compare": Command(
        "is B worse than A? two folders of pictures or two evaluations",
        "actors.commands.compare:run",
        (
            option("before", metavar="A", help="folder of pictures, or of ray-iqa eval"),
            option("after", metavar="B", help="folder of the same kind"),
            option("--tolerance", type=float, default=0.0, help="loss that does not count, in points or SRCC"),
            _MODEL,
            _DEVICE,
            _SEED,
        ),
        description="Pictures are paired by name. Exit codes: 0 B is not worse, 1 failure, 2 wrong usage, 3 not worse "
        "but some pictures have no partner or failed, 4 B is worse.",
    ),
}

DATA = {
    "synth": Command(
        "write a distortion ladder with known quality: image files and manifests",
        "actors.commands.data:synthesise",
        (
            option("folder"),
            option("--images", dest="num_train", type=int, default=20_000, help="training images over both datasets"),
            option("--val-images", dest="num_val", type=int, default=240, help="validation images, likewise"),
            option("--test-images", dest="num_test", type=int, default=640, help="test images, likewise"),
            option("--size", type=int, default=56, help="pixels per side"),
            option("--kinds", nargs="*", help="distortions; all that this size can show when left out"),
            option("--seed", type=int, default=0),
        ),
    ),
    "list": Command(
        "public datasets: labels, licence, citation, how to obtain",
        "actors.commands.data:list_datasets",
        (option("names", nargs="*", help="all when left out"),),
    ),
    "check": Command(
        "counts, files, duplicates, labels, direction, units, leakage",
        "actors.commands.data:check",
        (
            option("manifests", nargs="+", type=Path, help="checked one by one and against each other"),
            option("--part", action="store_true", help="the manifests hold a part of a public dataset"),
            option("--labels-only", action="store_true", help="do not open the images"),
            option("--policy", metavar="MODEL", help="folder or hub name of a policy that is to look at the images"),
        ),
    ),
    "convert": Command(
        "a public dataset or an interchange file to another format",
        "actors.commands.data:convert",
        (
            option("source", type=Path, help="a file, or the folder of a public dataset as distributed"),
            option("out", type=Path),
            option("--from", dest="read", required=True, metavar="KIND", help="public dataset or format"),
            option("--to", dest="write", default="manifest", metavar="FORMAT"),
            option("--images", type=Path, help="the folder that image names are relative to"),
            option("--dataset", help="name of the dataset in an interchange file"),
            option("--direction", choices=["higher", "lower"], help="which labels are better"),
            option("--scale", nargs=2, type=float, metavar=("LOW", "HIGH"), help="ends of the label scale"),
            [
                option("--split", help="the split of all rows"),
                option("--split-column", help="of a pyiqa csv, e.g. official_split"),
                option("--split-pickle", type=Path, help="of pyiqa"),
            ],
            option("--split-number", type=int, default=1, help="which of the splits in a split pickle, from 1"),
            option("--std-in-mos-units", action="store_true", help="read the std of a VisualQuality-R1 list"),
            option("--columns", nargs="+", default=[], metavar="CANONICAL=COLUMN", help="of a table"),
        ),
    ),
    "split": Command(
        "split a manifest by reference, or as published lists say",
        "actors.commands.data:split",
        (
            option("manifest", type=Path),
            option("out", type=Path),
            [
                option("--shares", nargs="+", metavar="SPLIT=SHARE", default=["train=0.6", "val=0.2", "test=0.2"]),
                option(
                    "--list",
                    dest="lists",
                    type=Path,
                    metavar="FILE",
                    help="csv of name and split, or split.json of DeQA-Score",
                ),
                option("--published", metavar="PAPER", help="e.g. visualquality-r1 for KADID-10k"),
            ],
            option("--seed", type=int, default=0),
        ),
    ),
}

SERVE = {
    "check": Command(
        "find misspelt keys and bad values in Serve config files",
        "actors.commands.serve:check",
        (option("files", nargs="+", type=Path, metavar="FILE", help="see configs/serve/"),),
    ),
    "key": Command(
        "make an API key and the line for access.keys_file",
        "actors.commands.serve:make_key",
        (option("name", help="whose key it is, one word"),),
    ),
}
