"""Usage as a caller may give it, with the names of its series."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Floats
from .history import History


@dataclass(frozen=True, kw_only=True)
class Given:
    """Usage as the core takes it: (T, N), the shape of one instant, and what the series are called."""

    matrix: Floats
    shape: tuple[int, ...]
    names: tuple[str, ...]
    history: History | None  #: None for arrays, which know neither instants nor step

    @classmethod
    def read(cls, usage: ArrayLike | History) -> Given:
        """Arrays pass without a copy where the core can take them; frames become a History."""
        history = History.of(usage)
        if history is not None:
            names = tuple(str(key) for key in history.keys)
            return cls(matrix=history.usage, shape=history.usage.shape[1:], names=names, history=history)
        matrix, shape = _bridge.samples(usage)  # type: ignore[arg-type]
        places = product(*(tuple(map(str, range(n))) for n in shape))  # (faster than np.ndindex, for thousands)
        names = tuple(map(",".join, places)) if shape else ("usage",)
        return cls(matrix=matrix, shape=shape, names=names, history=None)
