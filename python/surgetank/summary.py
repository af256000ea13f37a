"""Summary: how much is there of each series, how does it move, how high does it go?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _bridge, _core
from ._bridge import Floats
from ._table import Column, Tabular, quantity
from .history import History
from .history.given import Given


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Summary(Tabular):
    """What `summarize` found, one value per series, in the shape of one instant of usage; NaN where none was observed.

    Values are in the unit of usage.
    """

    series: tuple[str, ...]  #: names of the series, flat
    count: Any  #: observed samples, int64
    mean: Any
    sigma_population: Any  #: standard deviation with n in the denominator
    slope: Any  #: least squares over the observed samples, per step; 0 for a single sample
    min: Any
    max: Any
    last: Any  #: the last observed sample
    last_index: Any  #: its number, int64; −1 where none was observed
    probabilities: tuple[float, ...]  #: what was asked for as ``quantiles``
    quantiles: Floats  #: (Q, …), one row for each of ``probabilities``

    def _columns(self) -> list[Column]:
        # Once each: exports need names that differ.
        rows = {f"p{100 * q:.15g}": np.ravel(row) for q, row in zip(self.probabilities, self.quantiles, strict=True)}
        return [
            Column("series", self.series, "Series", numeric=False),
            Column("count", np.ravel(self.count), "Samples", quantity, priority=2),
            Column("mean", np.ravel(self.mean), "Mean", quantity),
            Column("sigma_population", np.ravel(self.sigma_population), "Sigma", quantity, priority=1),
            Column("slope", np.ravel(self.slope), "Slope per step", quantity, priority=3),
            Column("min", np.ravel(self.min), "Min", quantity, priority=3),
            *(Column(name, row, name.upper(), quantity, priority=1) for name, row in rows.items()),
            Column("max", np.ravel(self.max), "Max", quantity),
            Column("last", np.ravel(self.last), "Last", quantity, priority=2),
        ]


def summarize(
    usage: ArrayLike | History, *, quantiles: Sequence[float] = (0.5, 0.95, 0.99), threads: int = 1
) -> Summary:
    """Count, mean, deviation, slope, extremes and quantiles of every series, in one pass.

    Parameters
    ----------
    usage : (T,), (T, R) or (T, S, R) numbers, a frame, or History
        Samples at equal steps, oldest first; any finite value, NaN for not observed. Float64 in C or Fortran order is
        taken without a copy.
    quantiles : sequence of float in [0, 1], default (0.5, 0.95, 0.99)
        Linear-interpolated between order statistics (NumPy's default). ``()`` is faster, and gives moments only.
    threads : int, default 1
        0 for as many as the machine has. The answer is the same to the last bit.

    Returns
    -------
    Summary
        ``count, mean, sigma_population, slope, min, max, last, last_index`` in the shape of one instant of usage and
        ``quantiles`` (Q, …), in the unit of usage. Missing samples are left out.

    Raises
    ------
    InvalidInput
        Empty or infinite usage, a quantile outside [0, 1], a negative number of threads.

    Notes
    -----
    Moments are updated sample by sample and never subtracted (B. P. Welford, 1962), so 1e9 + noise keeps its sigma
    and slope; quantiles are exact order statistics, found by counting samples in bins
    (R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", 1996, type 7).

    Examples
    --------
    >>> import surgetank
    >>> found = surgetank.summarize([[1.0, 10.0], [2.0, float("nan")], [3.0, 30.0]], quantiles=(0.5,))
    >>> found.mean.tolist(), found.count.tolist(), found.quantiles.tolist()
    ([2.0, 20.0], [3, 2], [[2.0, 20.0]])
    """
    wanted = _bridge.fractions(quantiles, "quantiles")
    workers = _bridge.threads(threads)
    given = Given.read(usage)
    raw = _core.summarize(given.matrix, list(wanted), workers)
    levels = raw["quantiles"]
    columns: dict[str, Any] = {**raw}
    found = {name: _bridge.like_instant(v, given.shape) for name, v in columns.items() if name != "quantiles"}
    rows = np.empty((0, *given.shape)) if levels is None else levels.reshape((len(wanted), *given.shape))
    rows.flags.writeable = False
    return Summary(series=given.names, probabilities=wanted, quantiles=rows, **found)


def cpu() -> str:
    """Say which instruction set the core uses: "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2), "x86-64-v2" or "plain".

    The best that the machine has is chosen at import; the environment variable ``SURGETANK_CPU`` names another one. All
    of them give the same results to the last bit.
    """
    return _core.cpu()
