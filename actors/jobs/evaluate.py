"""`ray-iqa eval`: any mixture of models on any mixture of datasets; predictions, numbers with intervals, tables.

Models come one after another, so that each has all the GPUs; each has workers that share its images. The statistics
of all models and datasets are Ray tasks.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from pathlib import Path

import ray
from ray.util import ActorPool
from rich.console import Console
from rich.progress import Progress

from actors.cluster.connection import connected, worker_environment
from actors.cluster.placement import require
from actors.cluster.processes import LOST_ACTOR, Handle, last_line, own_errors
from actors.exit_codes import SOME_FAILED
from actors.jobs.evaluation_worker import EvaluationActor, open_scorer
from ray_iqa import __version__
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.answers.verdict import Verdict
from ray_iqa.config.jobs.evaluate import EvalConfig
from ray_iqa.data.labelled_sets import LabelledSet, read_labelled_sets
from ray_iqa.data.rows import labelled_image
from ray_iqa.errors import ResourceError
from ray_iqa.evaluation.ceiling import ceiling, ratings_per_image
from ray_iqa.evaluation.differences import Difference, corrected, difference
from ray_iqa.evaluation.measure import Measurement, measure, with_ceiling
from ray_iqa.evaluation.records import PredictionRow, prediction_rows, write_predictions
from ray_iqa.evaluation.result_files import write_results
from ray_iqa.evaluation.scorers.pyiqa_metric import check_installed
from ray_iqa.evaluation.scorers.scorer import ModelSpec, read_models
from ray_iqa.evaluation.suites import lay_out, read_suite
from ray_iqa.evaluation.tables import differences_table, results_table
from ray_iqa.files import writable_folder
from ray_iqa.runs.preflight import check_hub, check_model
from ray_iqa.tables import to_text

Rows = dict[tuple[str, str], list[PredictionRow]]  # by dataset and model


def evaluate(config: EvalConfig) -> int:
    """Evaluate; exit code 0, or 3 when an image has no prediction."""
    models = read_models(config.models)
    _check(models, config)
    sets = read_labelled_sets(config.data)
    told = {model.name: _in_file(model, sets, config) for model in models if model.kind == "column"}
    folder = writable_folder(config.out)
    with connected(config.cluster):
        rows = {
            (each.dataset, model.name): prediction_rows(model.name, each, found)
            for model in models
            for each, found in zip(sets, told.get(model.name) or _predict(model, sets, config), strict=True)
        }
        write_predictions(folder, [row for each in sets for model in models for row in rows[each.dataset, model.name]])
        measurements, differences, remarks = _measure(rows, models, sets, config)
    _report(config, models, measurements, differences, remarks)
    return SOME_FAILED if any(row.status == "failed" for own in rows.values() for row in own) else 0


def decoding_of(model: ModelSpec, config: EvalConfig) -> str:
    """How a model's score comes about, as the results state it."""
    match model.kind:
        case "column":
            return "as in the file"
        case "endpoint":
            return "as served"
        case "light" | "pyiqa":
            return "one pass"
        case "policy":
            return _policy_decoding(config)


def _policy_decoding(config: EvalConfig) -> str:
    rollout = config.rollout
    match config.decoding:
        case "greedy":
            return "one greedy answer"
        case "expected":
            return "expected score of the greedy answer"
        case "sampled":
            sampling = f"temperature {rollout.temperature:g}, top-p {rollout.top_p:g}, top-k {rollout.top_k or 'off'}"
            return f"mean of {rollout.num_completions} samples, {sampling}"


def _check(models: Sequence[ModelSpec], config: EvalConfig) -> None:
    """Everything about the models that can be said in seconds, before any process is started."""
    prompt_by_id(config.policy.prompt)
    for model in models:
        match model.kind:
            case "policy":
                check_model(model.source)
                check_hub(model.source)
            case "endpoint":
                open_scorer(model, config)  # imports what it needs, and asks nobody
            case "pyiqa":
                check_installed()


def _in_file(model: ModelSpec, sets: Sequence[LabelledSet], config: EvalConfig) -> list[list[Verdict]]:
    """Scores of a column, a list per dataset: all at once, for what a row means depends on all images."""
    found = iter(open_scorer(model, config).predict([labelled_image(row) for each in sets for row in each.rows]))
    return [list(islice(found, len(each.rows))) for each in sets]


def _predict(model: ModelSpec, sets: Sequence[LabelledSet], config: EvalConfig) -> Iterator[list[Verdict]]:
    """Answers of one model, a list per dataset."""
    workers = _start(model, config)
    pool = ActorPool(workers)
    try:
        with own_errors(), Progress(console=Console(stderr=True)) as progress:
            ray.get([worker.ready.remote() for worker in workers])
            for each in sets:
                images = [labelled_image(row) for row in each.rows]
                batches = [
                    images[start : start + config.batch_size] for start in range(0, len(images), config.batch_size)
                ]
                bar = progress.add_task(f"{model.name} on {each.dataset}", total=len(images))
                found: list[Verdict] = []
                # Asks again where the worker died and came back; one that cannot even start is not asked twice.
                for answers in pool.map(
                    lambda worker, own: worker.predict.options(max_task_retries=1).remote(own), batches
                ):
                    found += answers
                    progress.update(bar, completed=len(found))
                yield found
    except LOST_ACTOR as error:
        raise ResourceError(f"model {model.name} could not be run: {last_line(error)}") from error
    finally:
        for worker in workers:
            ray.kill(worker)


def _start(model: ModelSpec, config: EvalConfig) -> list[Handle]:
    on_gpu = config.cluster.device == "cuda" and model.kind in ("policy", "light", "pyiqa")
    is_policy = model.kind == "policy"
    num_workers = config.rollout.min_workers if is_policy else config.num_workers
    cpus = config.cluster.cpus_per_actor
    gpus = (config.rollout.tensor_parallel_size if is_policy else 1) if on_gpu else 0
    require({"CPU": num_workers * cpus} | ({"GPU": float(num_workers * gpus)} if gpus else {}))
    actor = EvaluationActor.options(
        num_cpus=cpus,
        num_gpus=gpus,
        max_restarts=1,
        runtime_env=worker_environment(config.rollout.num_threads, config.cluster.device),
    )
    return [actor.remote(model, config) for _ in range(num_workers)]


def _measure(
    rows: Rows, models: Sequence[ModelSpec], sets: Sequence[LabelledSet], config: EvalConfig
) -> tuple[list[Measurement], list[Difference], list[str]]:
    """All statistics, each a task; the remarks are on what the noise of labels would allow."""
    stored = {key: ray.put(own) for key, own in rows.items()}
    ratings = {each.dataset: ratings_per_image(each.dataset, config.num_ratings) for each in sets}
    measured = [
        ray.remote(measure).remote(
            stored[each.dataset, model.name], decoding_of(model, config), config.seed, ratings[each.dataset]
        )
        for each in sets
        for model in models
    ]
    compared = [
        ray.remote(difference).remote(stored[each.dataset, first.name], stored[each.dataset, second.name], config.seed)
        for each in sets
        for first, second in combinations(models, 2)
    ]
    ceilings = [ray.remote(ceiling).remote(each.rows, ratings[each.dataset], config.seed) for each in sets]
    ceiling_of = dict(zip((each.dataset for each in sets), ray.get(ceilings), strict=True))
    measurements = [with_ceiling(item, ceiling_of[item.dataset]) for item in ray.get(measured)]
    remarks = [found for found in ceiling_of.values() if isinstance(found, str) and found]
    return measurements, corrected(ray.get(compared)), remarks


def _report(
    config: EvalConfig,
    models: Sequence[ModelSpec],
    measurements: Sequence[Measurement],
    differences: Sequence[Difference],
    remarks: Sequence[str],
) -> None:
    compared = [differences_table(differences)] if differences else []
    suite = None if config.suite is None else read_suite(config.suite)
    whole = [] if suite is None else lay_out(suite, measurements, all_methods=True)
    provenance = {
        "version": f"ray_iqa {__version__}",
        "models": "; ".join(f"{model.name} = {model.source} ({decoding_of(model, config)})" for model in models),
        "prompt": config.policy.prompt if any(model.kind == "policy" for model in models) else "none: no policy",
        "config": config.model_dump(mode="json"),
    }
    folder = Path(config.out)
    short = [] if suite is None else lay_out(suite, measurements, all_methods=False)
    tables = [results_table(measurements, remarks, whole=False), *compared, *short]
    sys.stdout.write("\n".join(to_text(table) for table in tables))  # before a disk may prove full
    tables = [results_table(measurements, remarks), *compared, *whole]
    write_results(folder, measurements, differences, tables, provenance)
    sys.stdout.write(f"\nPredictions and tables: {folder.absolute()}\n")
