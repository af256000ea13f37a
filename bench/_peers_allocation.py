"""The least headroom that survives every failure, by HiGHS: the whole linear program, and the same cuts as ours.

The program is built once, outside the timing, in vectors; from service to service numbers change, also outside. What is
timed is `run()` alone: neither the numbers that are handed over nor the answer that is fetched. Of the cuts it is the
rows that are added and `run()`, beside all of it with NumPy's search for the next cut.
"""

import itertools
import time
from dataclasses import dataclass, field

import numpy as np

from _compare import importable
from _services import World

NEEDS = ("highspy", "scipy")
QUIET = {"output_flag": False, "threads": 1}
BROKEN = 1e-10  # of a load, unplaced: a cut is added for more


@dataclass(frozen=True)
class Peer:
    name: str
    options: dict = field(default_factory=dict)
    warm: bool = False  # from the basis of the service before
    cuts: str = ""  # "one" or "all" of the broken ones a round; none: the whole program

    def prepare(self, world: World) -> "Program | Master":
        return Master(world, self.options, self.cuts == "all") if self.cuts else Program(world, self.options, self.warm)


class NoVerdict(Exception):
    """HiGHS ends without an answer: neither optimal nor infeasible."""


class Program:
    """Columns h, then the load y that moves in each failure; rows: each load is placed, each room holds."""

    def __init__(self, world, options, warm):
        self.solver, self.warm, self.costs = _solver(options), warm, np.empty(world.services)
        failures, n, k = world.failures, world.regions, world.together
        fails = np.zeros((len(failures), n), bool)
        np.put_along_axis(fails, failures, True, axis=1)
        pairs = (world.share[failures] > 0) & ~fails[:, None, :]
        failure, which, target = np.nonzero(pairs)
        source = failures[failure, which]
        rooms = pairs.any(axis=1)
        room_row = failures.size - 1 + np.cumsum(rooms).reshape(rooms.shape)
        room_of = np.nonzero(rooms)[1]
        y = n + np.arange(len(source))
        rows = np.concatenate([failure * k + which, room_row[failure, target], room_row[rooms]])
        columns = np.concatenate([y, y, room_of])
        values = np.concatenate([np.ones(2 * len(y)), np.full(len(room_of), -1.0)])
        self.shape = failures.size + len(room_of), n + len(y)
        self._pass(rows, columns, values)
        self.numbers = [
            (
                np.concatenate([cost, np.zeros(len(y))]),
                np.concatenate([raisable, world.share[source, target] * load[source]]),
                np.concatenate([load[failures.ravel()], np.full(len(room_of), -np.inf)]),
                np.concatenate([load[failures.ravel()], existing[room_of]]),
            )
            for load, existing, cost, raisable in zip(
                world.load, world.existing, world.cost, world.raisable, strict=True
            )
        ]

    def _pass(self, rows, columns, values):
        import highspy
        from scipy.sparse import csc_array

        matrix, lp = csc_array((values, (rows, columns)), shape=self.shape), highspy.HighsLp()
        lp.num_row_, lp.num_col_ = self.shape
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        lp.row_lower_ = lp.row_upper_ = np.zeros(self.shape[0])
        lp.col_lower_ = lp.col_upper_ = lp.col_cost_ = np.zeros(self.shape[1])
        self.solver.passModel(lp)
        self.rows, self.columns = (np.arange(count, dtype=np.int32) for count in self.shape)

    def seconds(self):
        """Solve every service: seconds in run()."""
        solver, zeros, total = self.solver, np.zeros(self.shape[1]), 0.0
        solver.clearSolver()  # so that every round is the same
        for s, (cost, upper, row_lower, row_upper) in enumerate(self.numbers):
            solver.changeColsCost(self.shape[1], self.columns, cost)
            solver.changeColsBounds(self.shape[1], self.columns, zeros, upper)
            solver.changeRowsBounds(self.shape[0], self.rows, row_lower, row_upper)
            if not self.warm:
                solver.clearSolver()
            start = time.perf_counter()
            solver.run()
            total += time.perf_counter() - start
            self.costs[s] = _cost(solver)
        return total


class Master:
    """A linear program in h alone; NumPy looks for the cuts that its answer breaks, HiGHS goes on from its basis."""

    def __init__(self, world, options, every):
        self.solver, self.every, self.world = _solver(options), every, world
        self.costs, self.cuts, self.highs_s = np.empty(world.services), 0, 0.0
        # Every set of sources within every failure: whose load it is, and who fails.
        subsets = [s for k in range(1, world.together + 1) for s in itertools.combinations(range(world.together), k)]
        failures, n = world.failures, world.regions
        fails = np.zeros((len(failures), n))
        np.put_along_axis(fails, failures, 1.0, axis=1)
        self.sources = np.zeros((len(subsets), len(failures), n))
        for which, subset in zip(self.sources, subsets, strict=True):
            np.put_along_axis(which, failures[:, subset], 1.0, axis=1)
        self.sources = self.sources.reshape(-1, n)
        self.survive = np.tile(1 - fails, (len(subsets), 1))
        self.moments = world.load.reshape(-1, world.services, n)

    def seconds(self):
        """Solve every service: seconds of HiGHS and NumPy together; `highs_s` of them are HiGHS's."""
        self.cuts, self.highs_s, total = 0, 0.0, 0.0
        for s in range(self.world.services):
            self._start(s)
            load = self.moments[:, s]
            start = time.perf_counter()
            limits = (load[:, None, :] * self.sources @ self.world.share * self.survive).reshape(-1, load.shape[1])
            asked = (load @ self.sources.T).ravel()
            self.costs[s] = self._solve(self.world.existing[s], limits, asked)
            total += time.perf_counter() - start
        return total

    def _start(self, s):
        import highspy

        lp, world = highspy.HighsLp(), self.world
        lp.num_col_, lp.num_row_ = world.regions, 0
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = world.cost[s], np.zeros(world.regions), world.raisable[s]
        self.solver.clearSolver()
        self.solver.passModel(lp)

    def _solve(self, existing, limits, asked):
        """Cost of one service. limits: what each Region may take of each set; asked: the load of the set."""
        solver, h, allowed = self.solver, np.zeros(len(existing)), BROKEN * asked
        while True:
            room = existing + h
            missing = asked - np.minimum(limits, room).sum(axis=1)
            broken = np.flatnonzero(missing > allowed) if self.every else [missing.argmax()]
            if len(broken) == 0 or missing[broken[0]] <= allowed[broken[0]]:
                return float(h @ self._costs())
            limit = limits[broken]
            short = limit > room
            least = asked[broken] - np.where(short, existing, limit).sum(axis=1)
            self.cuts += len(broken)
            if not self._add_and_run(short, least):
                return np.inf
            h = np.maximum(np.array(solver.getSolution().col_value), 0)

    def _costs(self):
        return np.array(self.solver.getLp().col_cost_)

    def _add_and_run(self, short, least):
        row, at = np.nonzero(short)
        starts = np.searchsorted(row, np.arange(len(least))).astype(np.int32)
        solver, at, ones, unbounded = self.solver, at.astype(np.int32), np.ones(len(at)), np.full(len(least), np.inf)
        start = time.perf_counter()
        if len(least) == 1:
            solver.addRow(least[0], np.inf, len(at), at, ones)
        else:
            solver.addRows(len(least), least, unbounded, len(at), starts, at, ones)
        solver.run()
        self.highs_s += time.perf_counter() - start
        return np.isfinite(_cost(solver))


def _solver(options):
    import highspy

    solver = highspy.Highs()
    for name, value in (QUIET | options).items():
        solver.setOptionValue(name, value)
    return solver


def _cost(solver):
    """The least cost; inf where no headroom is enough."""
    from highspy import HighsModelStatus as Status

    status = solver.getModelStatus()
    if status == Status.kOptimal:
        return solver.getInfo().objective_function_value
    if status == Status.kInfeasible:
        return np.inf
    raise NoVerdict(status.name)


OFF = {"presolve": "off"}
DANTZIG = OFF | {"simplex_dual_edge_weight_strategy": 0}
DEVEX = OFF | {"simplex_dual_edge_weight_strategy": 1}
PRIMAL = OFF | {"simplex_strategy": 4}
PEERS = (
    Peer("presolve on", {"presolve": "on"}),
    Peer("presolve off", OFF),
    Peer("warm-started", OFF, warm=True),
    Peer("Dantzig", DANTZIG),
    Peer("Dantzig, warm-started", DANTZIG, warm=True),
    Peer("Devex", DEVEX),
    Peer("primal simplex", PRIMAL),
    Peer("primal simplex, warm-started", PRIMAL, warm=True),
    Peer("interior point", {"solver": "ipm"}),
    Peer("same cuts, one at a time", OFF, cuts="one"),
    Peer("same cuts, all broken at once", OFF, cuts="all"),
)


def available() -> tuple[Peer, ...]:
    return PEERS if importable(NEEDS) else ()
