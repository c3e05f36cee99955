"""Measurements and differences as tables for people."""

from collections.abc import Callable, Iterable, Sequence

from ray_iqa.evaluation.differences import Difference
from ray_iqa.evaluation.measure import Measurement
from ray_iqa.tables import Table, formatted, with_interval


def results_table(measurements: Sequence[Measurement], remarks: Sequence[str], *, whole: bool = True) -> Table:
    """One row per model and dataset; without ``whole`` the columns that fit into a terminal. Remarks follow below."""
    columns = [(title, cell) for title, cell, is_short in _COLUMNS if whole or is_short]
    decodings = dict.fromkeys(f"{item.model}: {item.decoding}" for item in measurements)
    drawn = dict.fromkeys(
        f"{item.num_resampled:,} {item.resampled} of {item.dataset}" for item in measurements if item.num_resampled
    )
    return Table(
        title="Agreement with labels",
        header=tuple(title for title, _ in columns),
        rows=tuple(tuple(cell(item) for _, cell in columns) for item in measurements),
        notes=(
            f"Decoding: {'; '.join(decodings)}.",
            "Correlations are oriented: +1 is perfect, also where lower labels are better. "
            f"{'RMSE, MAE and outliers are' if whole else 'RMSE is'} after the logistic mapping, in the unit of the "
            f"labels. Intervals leave out one content at a time: {', '.join(drawn) or 'none'}.",
            *_notes((item.dataset, item.model, item.note) for item in measurements),
            *remarks,
        ),
        num_labels=2,
    )


def differences_table(differences: Sequence[Difference]) -> Table:
    """One row per pair of models and dataset."""
    return Table(
        title="Differences between models",
        header=(
            "dataset",
            "first",
            "second",
            "n",
            "contents",
            "SRCC first - second [95 %]",
            "p",
            "p, Holm",
            *_VARIANCE_COLUMNS,
        ),
        rows=tuple(
            (
                item.dataset,
                item.first,
                item.second,
                f"{item.n:,}",
                formatted(item.num_contents, ",d"),
                with_interval(item.srcc_difference, item.srcc_low, item.srcc_high, ".3f"),
                _p(item.p_value),
                _p(item.p_holm),
                formatted(item.variance_ratio, ".4g"),
                _p(item.variance_p_value),
                _p(item.variance_p_holm),
            )
            for item in differences
        ),
        notes=(
            "On the images that both models predicted: paired tests over contents (jackknife) of the SRCC difference "
            "and of the variances of the residuals; Holm's correction over all pairs of models on all datasets.",
            *_notes((item.dataset, f"{item.first} - {item.second}", item.note) for item in differences),
        ),
        num_labels=3,
    )


def _notes(found: Iterable[tuple[str, str, str]]) -> list[str]:
    """Sentences about (dataset, who, note), each said once."""
    who_of: dict[tuple[str, str], list[str]] = {}
    for dataset, who, note in found:
        if note:
            who_of.setdefault((dataset, note), []).append(who)
    return [f"{dataset} ({', '.join(who)}): {note}" for (dataset, note), who in who_of.items()]


def _p(value: float | None) -> str:
    return "-" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"


_VARIANCE_COLUMNS = ("residual variance ratio", "p", "p, Holm")
_COLUMNS: tuple[tuple[str, Callable[[Measurement], str], bool], ...] = (  # the last: also in a terminal
    ("dataset", lambda item: item.dataset, True),
    ("model", lambda item: item.model, True),
    ("n", lambda item: f"{item.n:,}", True),
    ("failed", lambda item: f"{item.n_failed:,}", True),
    ("distinct", lambda item: f"{item.n_distinct:,}", True),
    ("tied pairs", lambda item: f"{item.n_ties:,}", True),
    ("SRCC [95 %]", lambda item: with_interval(item.srcc, item.srcc_low, item.srcc_high, ".3f"), True),
    ("PLCC [95 %]", lambda item: with_interval(item.plcc, item.plcc_low, item.plcc_high, ".3f"), True),
    ("PLCC mapped", lambda item: formatted(item.plcc_mapped, ".3f"), True),
    ("KRCC", lambda item: formatted(item.krcc, ".3f"), True),
    ("RMSE", lambda item: formatted(item.rmse, ".3g"), True),
    ("MAE", lambda item: formatted(item.mae, ".3g"), False),
    ("pairs right", lambda item: formatted(item.pair_accuracy, ".3f"), False),
    ("outliers", lambda item: formatted(item.outlier_ratio, ".3f"), False),
    ("AUC different", lambda item: formatted(item.different_similar, ".3f"), False),
    ("AUC better", lambda item: formatted(item.better_worse, ".3f"), False),
    ("SRCC, splits", lambda item: formatted(item.srcc_split_median, ".3f"), False),
    ("PLCC, splits", lambda item: formatted(item.plcc_split_median, ".3f"), False),
    ("ceiling SRCC", lambda item: formatted(item.ceiling_srcc, ".3f"), True),
    ("ceiling PLCC", lambda item: formatted(item.ceiling_plcc, ".3f"), False),
)
