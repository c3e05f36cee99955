"""The monotone mapping of predictions onto the labels' scale, fitted before PLCC, RMSE and MAE are taken.

The customary single start (VQEG report, Sheikh et al. 2006, and the scripts that follow them) often stops at the
iteration cap or in a poor minimum. Departures: predictions are standardised, twelve starts are tried, and the line
is kept where no logistic beats it, so a fit never fails and never has a larger squared error than the line. At
every step all linear parameters (asymptotes, slope) are solved exactly and only centre and width are searched
(variable projection, Golub and Pereyra 1973): the asymptotes and the sign need no starting value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import leastsq
from scipy.special import expit

from ray_iqa.errors import StatisticsError
from ray_iqa.statistics.correlation import scores_and_labels

Vector = NDArray[np.float64]
Form = Literal["logistic4", "logistic5"]

_MAX_EVALUATIONS = 20_000
_TOLERANCE = 1e-8  # relative, of squared error, parameters and gradient
_CONVERGED = (1, 2, 3, 4)  # MINPACK's codes of those three
# (centre, width) in standard deviations of the predictions
_STARTS = tuple((centre, width) for width in (0.1, 0.3, 1.0, 3.0) for centre in (-1.0, 0.0, 1.0))
_NEGLIGIBLE = 1e-14
_NUM_PARAMETERS = {"logistic4": 4, "logistic5": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A fitted mapping f, in units of the predictions and the labels.

    ``form`` is what was kept: with s(t) = 1 / (1 + exp(-t)) and ``parameters`` in this order

    - ``logistic4``: lower + (upper - lower) s((x - centre) / width)
    - ``logistic5``: intercept + slope x + height s((x - centre) / width), not monotone in general; the sum of
      a logistic and a line that the field writes as b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5
    - ``line``: intercept + slope x
    """

    form: Literal["logistic4", "logistic5", "line"]
    parameters: tuple[float, ...]
    converged: bool  # of the start that was kept; True for the line, which is solved exactly
    decreasing: bool  # between the smallest and the largest prediction: better predictions have lower labels
    squared_error: float  # sum over the images of the fit

    def __call__(self, predictions: ArrayLike) -> Vector:
        """Mapped predictions, [n]."""
        x = np.asarray(predictions, dtype=np.float64)
        if self.form == "line":
            intercept, slope = self.parameters
            return intercept + slope * x
        if self.form == "logistic4":
            lower, upper, centre, width = self.parameters
            return lower + (upper - lower) * expit((x - centre) / width)
        intercept, slope, height, centre, width = self.parameters
        return intercept + slope * x + height * expit((x - centre) / width)


def fit_mapping(
    predictions: ArrayLike, labels: ArrayLike, form: Form = "logistic4", *, near: Mapping | None = None
) -> Mapping:
    """Least-squares fit of labels by mapped predictions, the line where it is no worse or n is too small.

    Args:
        predictions: [n], finite, not all equal.
        labels: [n], finite.
        form: the logistic to try; it needs more images than it has parameters.
        near: of the same form or a line, on much the same images: the one start, instead of twelve.

    Raises:
        StatisticsError: a value is not finite, or all predictions are equal.
    """
    x, y = scores_and_labels(predictions, labels)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise StatisticsError("a mapping can be fitted to finite predictions and labels only; leave failed images out")
    if np.ptp(x) == 0:
        raise StatisticsError(f"a mapping needs predictions that differ, but all {len(x)} are {float(x[0])!r}")
    location, scale = float(x.mean()), float(x.std())
    standard = (x - location) / scale
    with_slope = form == "logistic5"
    intercept, slope = _linear_parameters(np.stack([np.ones_like(x), standard], axis=1), y)
    line_error = float(((intercept + slope * standard - y) ** 2).sum())
    starts = _STARTS if near is None else _start_at(near, location, scale)
    fit = _best_start(standard, y, with_slope, starts) if len(x) > _NUM_PARAMETERS[form] else None
    if fit is None or line_error <= fit[0]:
        parameters = (intercept - slope * location / scale, slope / scale)
        return _mapping("line", parameters, converged=True, squared_error=line_error, x=x)
    error, converged, (base, tilt, height, centre, width) = fit
    centre, width = centre * scale + location, width * scale
    if with_slope:
        parameters5 = (base - tilt * location / scale, tilt / scale, height, centre, width)
        return _mapping("logistic5", parameters5, converged=converged, squared_error=error, x=x)
    parameters4 = (base, base + height, centre, width)
    return _mapping("logistic4", parameters4, converged=converged, squared_error=error, x=x)


def _mapping(
    form: Literal["logistic4", "logistic5", "line"],
    parameters: tuple[float, ...],
    *,
    converged: bool,
    squared_error: float,
    x: Vector,
) -> Mapping:
    fitted = Mapping(
        form=form, parameters=parameters, converged=converged, decreasing=False, squared_error=squared_error
    )
    first, last = fitted([x.min(), x.max()])
    return replace(fitted, decreasing=bool(last < first))


def _start_at(near: Mapping, location: float, scale: float) -> tuple[tuple[float, float], ...]:
    if near.form == "line":
        return ()
    centre, width = near.parameters[-2:]
    return (((centre - location) / scale, width / scale),)


def _best_start(
    x: Vector, y: Vector, with_slope: bool, starts: Sequence[tuple[float, float]]
) -> tuple[float, bool, tuple[float, ...]] | None:
    """(squared error, converged, (base, slope, height, centre, width)) of the best start; None without any."""
    target = _without_linear_part(y, x, with_slope)
    best: tuple[float, bool, tuple[float, ...]] | None = None
    for centre, width in starts:
        with np.errstate(over="ignore"):  # of a covariance that comes along
            found, *_, status = leastsq(
                _residuals,
                [centre, np.log(width)],
                (x, target, with_slope),
                _jacobian,
                full_output=True,
                ftol=_TOLERANCE,
                xtol=_TOLERANCE,
                gtol=_TOLERANCE,
                maxfev=_MAX_EVALUATIONS,
            )
        error, parameters = _solved(float(found[0]), _width(found[1]), x, y, with_slope)
        if best is None or error < best[0]:
            best = error, status in _CONVERGED, parameters
    return best


def _residuals(theta: Vector, x: Vector, target: Vector, with_slope: bool) -> Vector:
    """What is left of the labels when the logistic of (centre, log width) has its best height."""
    step = _without_linear_part(expit((x - theta[0]) / _width(theta[1])), x, with_slope)
    power = float(step @ step)
    # A step beyond all predictions is constant and explains nothing.
    height = float(step @ target) / power if power > _NEGLIGIBLE * len(x) else 0.0
    return target - height * step


def _jacobian(theta: Vector, x: Vector, target: Vector, with_slope: bool) -> Vector:
    """Derivatives of `_residuals` by centre and log width, [n, 2]; the height follows both."""
    width = _width(theta[1])
    offset = (x - theta[0]) / width
    logistic = expit(offset)
    step = _without_linear_part(logistic, x, with_slope)
    power = float(step @ step)
    if power <= _NEGLIGIBLE * len(x):
        return np.zeros((len(x), 2))
    height = float(step @ target) / power
    slope = logistic * (1.0 - logistic)
    by_centre = _without_linear_part(-slope / width, x, with_slope)
    by_log_width = _without_linear_part(-slope * offset, x, with_slope)
    moved = np.stack([by_centre, by_log_width], axis=1)
    height_moved = (target - 2.0 * height * step) @ moved / power
    return -(height * moved + np.outer(step, height_moved))


def _without_linear_part(values: Vector, x: Vector, with_slope: bool) -> Vector:
    """Residuals of regressing on a constant, and on x with a slope; x has mean 0 and variance 1."""
    centred = values - values.mean()
    return centred - x * (x @ centred) / len(x) if with_slope else centred


def _width(log_width: float) -> float:
    return float(np.exp(np.clip(log_width, -10.0, 10.0)))


def _solved(centre: float, width: float, x: Vector, y: Vector, with_slope: bool) -> tuple[float, tuple[float, ...]]:
    basis = [np.ones_like(x), expit((x - centre) / width)] + [x] * with_slope
    columns = np.stack(basis, axis=1)
    base, height, *slope = _linear_parameters(columns, y)
    error = float(((columns @ np.array([base, height, *slope]) - y) ** 2).sum())
    return error, (base, sum(slope), height, centre, width)


def _linear_parameters(columns: Vector, y: Vector) -> tuple[float, ...]:
    return tuple(float(value) for value in np.linalg.lstsq(columns, y, rcond=None)[0])
