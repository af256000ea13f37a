"""Slow, obvious twins of the stem `allocation`: the model of every failure as one linear program, for a general solver.

The fast path never has transfers as variables; here every one of them is. SciPy's HiGHS solves it.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest


def failure_sets(regions, k):
    return list(itertools.combinations(range(regions), k))


class _Program:
    """Rows and columns of a linear program, one by one."""

    def __init__(self):
        self.cost, self.upper = [], []
        self.rows, self.cols, self.values, self.low, self.high = [], [], [], [], []

    def column(self, cost=0.0, upper=np.inf):
        self.cost.append(cost)
        self.upper.append(upper)
        return len(self.cost) - 1

    def row(self, terms, low=-np.inf, high=np.inf):
        for col, value in terms:
            self.rows.append(len(self.low))
            self.cols.append(col)
            self.values.append(value)
        self.low.append(low)
        self.high.append(high)

    def solve(self):
        """The least cost, or None; the test is skipped where there is no SciPy to ask."""
        pytest.importorskip("scipy", reason="the twin of `allocate` needs SciPy")
        from scipy.optimize import linprog
        from scipy.sparse import coo_matrix, vstack

        low, high = np.array(self.low), np.array(self.high)
        matrix = coo_matrix((self.values, (self.rows, self.cols)), shape=(len(low), len(self.cost))).tocsr()
        equal = low == high
        upper, lower = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
        found = linprog(
            self.cost,
            A_ub=vstack([matrix[upper], -matrix[lower]]) if (upper | lower).any() else None,
            b_ub=np.concatenate([high[upper], -low[lower]]) if (upper | lower).any() else None,
            A_eq=matrix[equal] if equal.any() else None,
            b_eq=low[equal] if equal.any() else None,
            bounds=[(0, u if np.isfinite(u) else None) for u in self.upper],
            method="highs-ds",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        assert found.status in (0, 2), found.message
        return found.fun if found.status == 0 else None


def least_cost(load, existing, cost, sets, *, share=None, raisable=None, reserved=0.0, multiplier=1.0, critical=1.0,
               unplaced=0.0, alpha=0.95):  # fmt: skip
    """The objective of one service, or None where it is infeasible. load, existing: (R,) or (T, R)."""
    load, existing = np.atleast_2d(load).astype(float), np.atleast_2d(existing).astype(float)
    load = np.broadcast_to(load, (max(len(load), len(existing)), load.shape[1]))
    count = load.shape[1]
    cost = np.broadcast_to(cost, count)
    share = np.ones((count, count)) if share is None else share
    raisable = np.broadcast_to(np.inf if raisable is None else raisable, count)
    moved = critical * multiplier * load
    room = np.broadcast_to(existing, load.shape) - reserved + (1 - critical) * load
    program = _Program()
    h = [program.column(cost[r], raisable[r]) for r in range(count)]
    scenarios = []
    for t in range(len(load)):
        for failed in sets:
            left = [r for r in range(count) if r not in failed]
            total = sum(moved[t, s] for s in failed)
            y = {(s, r): program.column(upper=share[s, r] * moved[t, s]) for s in failed for r in left}
            missing = []
            for s in failed:
                terms = [(y[s, r], 1.0) for r in left]
                if unplaced > 0:
                    missing.append(program.column(upper=moved[t, s]))
                    terms.append((missing[-1], 1.0))
                program.row(terms, moved[t, s], moved[t, s])
            for r in left:
                program.row([(h[r], -1.0), *((y[s, r], 1.0) for s in failed)], high=room[t, r])
            scenarios.append([(m, 1 / total) for m in missing] if total > 0 else [])
    if unplaced > 0:  # Rockafellar and Uryasev: level + mean excess / (1 − alpha) ≤ unplaced, shares are 0 or more
        level = program.column()
        tail = [program.column() for _ in scenarios]
        weight = 1 / (max((1 - alpha) * len(scenarios), 1.0))
        program.row([(level, 1.0), *((e, weight) for e in tail)], high=unplaced)
        for excess, shares in zip(tail, scenarios, strict=True):
            program.row([*shares, (level, -1.0), (excess, -1.0)], high=0.0)
    return program.solve()


def least_unplaced(load, room, failed, share):
    """The least load that stays unplaced in one failure with that room, by enumeration of every set of sources."""
    worst = 0.0
    sources = [s for s in failed if load[s] > 0]
    for size in range(1, len(sources) + 1):
        for some in itertools.combinations(sources, size):
            fits = sum(min(sum(share[s, r] * load[s] for s in some), room[r]) for r in range(len(load))
                       if r not in failed)  # fmt: skip
            worst = max(worst, sum(load[s] for s in some) - fits)
    return worst


def share_out(need, free, preference, share_cap=1.0, room_cap=0.8):
    """Rounds of proportional shares in exact arithmetic: what a full Region cannot take goes around again."""
    need = Fraction(need)
    usable = [Fraction(f) * Fraction(room_cap) for f in free]
    limit = [min(u, need * Fraction(share_cap)) for u in usable]
    weight = [u * Fraction(p) for u, p in zip(usable, preference, strict=True)]
    taken = [Fraction(0)] * len(usable)
    left = need
    while left > 0:
        open_ = [i for i, w in enumerate(weight) if w > 0 and taken[i] < limit[i]]
        if not open_:
            break
        total = sum(weight[i] for i in open_)
        given = {i: min(left * weight[i] / total, limit[i] - taken[i]) for i in open_}
        for i, amount in given.items():
            taken[i] += amount
        left -= sum(given.values())
        if all(taken[i] < limit[i] for i in open_):
            break  # nobody was full: everything is placed
    return taken, left
