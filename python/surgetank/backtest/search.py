"""The search over many policies: in parts that are kept in a file, so that an interrupted one goes on where it was."""

from __future__ import annotations

import bisect
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from .. import _core
from .._bridge import Floats
from ..errors import invalid
from .replayed import Replayed
from .result import Backtest, label
from .rules import LevelRule
from .setting import Setting

#: Policies that are replayed between two entries of the file, and two looks at the progress.
AT_A_TIME = 500
#: Of each rung of successive halving so many go on.
KEPT = 1 / 3
#: An estimate is measured at least so long, where there is so much to do.
LONG_ENOUGH_S = 0.5
_VERSION = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Risk and cost of each policy that was looked at on the whole tuning part; NaN of one that was not."""

    risk: Floats
    cost_per_h: Floats


def run_of(template: Backtest, policies: Sequence[Any], setting: Setting) -> Backtest:
    """The same run with other policies, or in another part of the history."""
    return replace(
        template, policies=tuple(policies), setting=setting, replayed=Replayed.of(tuple(policies), setting),
        block=min(template.block, len(setting.usage) - setting.first),
    )  # fmt: skip


def search(
    template: Backtest, policies: Sequence[Any], setting: Setting, *, method: str, trials: int | None, seed: int,
    state: str | os.PathLike[str] | None, progress: Callable[[int, int], None] | None,
) -> Scores:  # fmt: skip
    """Replay policies over the tuning part: all of them, some drawn at random, or by successive halving."""
    chosen = np.arange(len(policies))
    if method == "random":
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(len(policies), size=min(trials or len(policies), len(policies)), replace=False))
    kept = _State(state, template, policies, setting, f"{method} {trials} {seed}")
    rungs = _rungs(method, setting)
    total = sum(round(len(chosen) * KEPT**k) for k in range(len(rungs)))
    done = 0
    scores = np.full((2, len(policies)), np.nan)
    for number, rung in enumerate(rungs):
        found = np.full((2, len(policies)), np.nan)
        for part, some in enumerate(_parts(policies, chosen)):
            make = partial(_score, template, policies, some, rung)
            found[:, some] = kept.get(f"{number}.{part}", len(some), make)
            done += len(some)
            if progress is not None:
                progress(min(done, total), total)
        if number + 1 < len(rungs):
            chosen = np.sort(_promising(found[:, chosen], chosen, round(len(chosen) * KEPT)))
        else:
            scores = found
    return Scores(risk=scores[0], cost_per_h=scores[1])


def _parts(policies: Sequence[Any], chosen: Any) -> list[Any]:
    """What is replayed between two entries of the file: of the slow ones, those that share what is slow."""
    groups: dict[Any, list[int]] = {}
    for i in chosen.tolist():
        policy = policies[i]
        groups.setdefault(policy.key if isinstance(policy, LevelRule) else None, []).append(i)
    return [
        np.array(own[begin : begin + AT_A_TIME]) for own in groups.values() for begin in range(0, len(own), AT_A_TIME)
    ]


def _score(template: Backtest, policies: Sequence[Any], some: Any, setting: Setting) -> Floats:
    total = run_of(template, [policies[i] for i in some], setting).total
    return np.array([total.risk, total.cost_per_h])


def _promising(found: Floats, chosen: Any, count: int) -> Any:
    """Layer by layer of the frontier, the outermost first; of the last one some of every risk, the safest included."""
    layers: list[list[int]] = []
    least: list[float] = []  # the least risk of each layer so far, rising
    for i in np.lexsort((found[0], found[1])):
        if not np.isnan(found[:, i]).any():
            at = bisect.bisect_right(least, found[0, i])
            if at == len(layers):
                layers.append([])
                least.append(0.0)
            layers[at].append(int(i))
            least[at] = found[0, i]
    kept: list[int] = []
    for layer in layers:
        room = max(1, count) - len(kept)
        if room >= len(layer):
            kept += layer
        else:
            kept += [layer[round(at)] for at in np.linspace(len(layer) - 1, 0, room)]
            break
    return chosen[np.array(kept, dtype=int)]


def _rungs(method: str, setting: Setting) -> list[Setting]:
    """The parts of the time that are replayed one after the other."""
    if method != "halving":
        return [setting]
    judged, end = len(setting.usage) - setting.first, len(setting.usage)
    parts = [end - max(1, round(judged * KEPT**k)) for k in (2, 1)]
    return [*(setting.part(first=first, end=end, counted=setting.counted) for first in parts), setting]


def estimate_s(
    template: Backtest, policies: Sequence[Any], setting: Setting, *, method: str = "grid", trials: int | None = None
) -> float:  # fmt: skip
    """How long `search` would take, in seconds: measured on some of the policies."""
    share = min(trials or len(policies), len(policies)) / len(policies) if method == "random" else 1.0
    # Those that size headroom, or learn, are the slow ones, but what they have in common is computed once.
    slow = list({p.key: p for p in policies if isinstance(p, LevelRule)}.values())
    others = [p for p in policies if not isinstance(p, LevelRule)]
    total = 0.0
    for number, rung in enumerate(_rungs(method, setting)):
        alone = _measured_s(template, slow, rung) * len(slow) if slow else 0.0
        each = _measured_s(template, others, rung) if others else 0.0
        total += (alone + each * len(policies)) * share * KEPT**number
    return total


def _measured_s(template: Backtest, policies: Sequence[Any], setting: Setting) -> float:
    """Seconds for each policy, measured on ever more of them until that takes a while, or as many as are replayed."""
    count, most = 24, min(len(policies), AT_A_TIME)
    while True:
        # Neighbours share what they look at: some of them together, from everywhere.
        at = np.linspace(0, len(policies) - 1, 8)[:, None] + np.arange(max(1, count // 8))
        few = [policies[i] for i in np.unique(np.minimum(at, len(policies) - 1).astype(int))]
        started = time.perf_counter()
        run_of(template, few, setting).replayed.figures()
        took = time.perf_counter() - started
        if took > LONG_ENOUGH_S or len(few) >= most or count >= 2 * most:
            return took / len(few)
        count *= 4


class _State:
    """What was found so far, a line of JSON for each part; the first line says of what."""

    def __init__(
        self, path: str | os.PathLike[str] | None, template: Backtest, policies: Sequence[Any], setting: Setting,
        how: str,
    ) -> None:  # fmt: skip
        """Read what is there; refuse a file of another search."""
        self.path = None if path is None else FilePath(path)
        self.found: dict[str, Floats] = {}
        if self.path is None:
            return
        parts = [*(label(p) + repr(p) for p in policies), repr(template.cost), repr(setting.scenarios), how]
        sizes = (
            setting.first,
            setting.every,
            setting.lead,
            _core.backtest_fingerprint(setting.usage),
            setting.usage.shape,
            setting.moments,
        )
        self.head = {
            "surgetank tuning": _VERSION,
            "of": hashlib.sha256("\n".join([*parts, repr(sizes), repr(setting.counted)]).encode()).hexdigest(),
        }
        self._read()

    def _read(self) -> None:
        assert self.path is not None
        if not self.path.exists():
            with self._usable():
                self.path.write_text(json.dumps(self.head) + "\n", encoding="utf-8")
            return
        with self._usable():
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        try:
            head = json.loads(lines[0]) if lines else None
        except ValueError:
            head = None
        if head != self.head:
            rule = "must be a new file, or that of the same search: policies, history and options"
            raise invalid("state", rule, str(self.path))
        whole = [line for line in lines[1:] if line.endswith("\n")]
        if len(whole) < len(lines) - 1:  # interrupted in the middle of a line
            with self._usable():
                self.path.write_text("".join([lines[0], *whole]), encoding="utf-8")
        for number, line in enumerate(whole, start=2):
            self._take(number, line)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise invalid("state", f"must be a file to read and write: {error.strerror}", str(self.path)) from error

    def _take(self, number: int, line: str) -> None:
        try:
            entry = json.loads(line)
            part, found = entry["part"], np.array(entry["found"], dtype=np.float64)
            if not isinstance(part, str) or found.ndim != 2 or len(found) != 2:
                raise ValueError
            self.found[part] = found
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            rule = f"is damaged in line {number}; take that line out, or begin a new file"
            raise invalid("state", rule, str(self.path)) from error

    def get(self, part: str, width: int, make: Callable[[], Floats]) -> Floats:
        """What was found of a part, so many policies, or what is found now."""
        if part in self.found and self.found[part].shape[1] != width:
            rule = f"is damaged: part {part} must hold {width} policies; take its line out, or begin a new file"
            raise invalid("state", rule, str(self.path))
        if part not in self.found:
            found = make()
            if self.path is not None:
                entry = {"part": part, "found": [[None if np.isnan(v) else v for v in row] for row in found.tolist()]}
                with self._usable(), self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            self.found[part] = found
        return self.found[part]
