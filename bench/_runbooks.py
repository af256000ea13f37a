"""Runbooks for the bench of `estimate_recovery`: nine steps in series, and a graph whose load must find room."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import surgetank
from surgetank import Branch, Fixed, History, Lognormal, Pert, Quota, QuotaKey, Runbook, Step, Triangular, Uniform
from surgetank.recovery import Capacity
from surgetank.recovery.capacity import coupling

# Seconds: least, most likely, most.
SPANS = (
    (30, 60, 180), (60, 240, 900), (20, 90, 300), (60, 120, 600), (120, 360, 1200), (10, 25, 60), (60, 90, 300),
    (15, 15, 300), (60, 300, 600),
)  # fmt: skip
SHAPES = {"triangular": Triangular, "PERT": Pert}
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
BIN_SHIFT = 15  # of a float32 from its bits: 256 bins an octave, as ours
FIRST_BIN = int(np.float32(1).view(np.int32)) >> BIN_SHIFT  # 1 s
BINS = 256 * 28
CELLS = 4096  # of an interpolated table
LEAD, DENIAL = Lognormal(14400.0, 86400.0), 0.05


@dataclass(frozen=True)
class Series:
    """Nine steps, one after the other."""

    shape: str

    @property
    def target_s(self):
        return 2400.0 if self.shape == "triangular" else 2000.0

    @cached_property
    def parts(self):
        """(least, width, density at u in [0, 1] to a constant, how PERT's beta is called) of each step."""
        return [Part.of(self.shape, *span) for span in SPANS]

    @cached_property
    def runbook(self):
        make = SHAPES[self.shape]
        steps = [
            Step(f"step {i}", make(*map(float, span)), after=[f"step {i - 1}"] if i else [])
            for i, span in enumerate(SPANS)
        ]
        return Runbook(steps, name=self.shape, target_s=self.target_s)

    def prepare(self):
        """Load and tabulate what a first call would; draw nothing, or its memory would be used again unseen."""
        return surgetank.estimate_recovery, self.runbook._model

    def estimate(self, trials, threads=1, seed=0):
        return surgetank.estimate_recovery(self.runbook, trials=trials, threads=threads, seed=seed)

    @cached_property
    def convolved(self):
        """Edges in seconds and P(at most so many seconds): what nine grids of 1/16 s come to, no draws at all."""
        cell = 1 / 16
        low, high = (sum(span[i] for span in SPANS) for i in (0, 2))
        count = 1 << int(np.ceil(np.log2((high - low) / cell + 1)))
        product = np.ones(count // 2 + 1, complex)
        for part in self.parts:
            x = np.linspace(0, 1, round(part.width / cell) + 1)
            mass = np.diff(part.cdf(x))
            product *= np.fft.rfft(mass, count)
        # Each part stands for its cell's middle.
        at = low + cell * (np.arange(count) + 0.5 * len(SPANS))
        return at + cell / 2, np.cumsum(np.fft.irfft(product, count))


@dataclass(frozen=True)
class Part:
    """A step's duration: least + width · u, u triangular with that mode or beta with those parameters."""

    low: float
    width: float
    mode: float
    beta: tuple[float, float] | None

    @staticmethod
    def of(shape, low, likely, high):
        mode = (likely - low) / (high - low)
        return Part(low, high - low, mode, (1 + 4 * mode, 5 - 4 * mode) if shape == "PERT" else None)

    def cdf(self, x):
        x = np.asarray(x, dtype=float)
        if self.beta:
            # Beta with a + b = 6: by its density, integrated on a fine grid, so that this needs no SciPy.
            fine = np.linspace(0, 1, (1 << 20) + 1)
            middle = (fine[1:] + fine[:-1]) / 2
            a, b = self.beta
            mass = np.concatenate([[0], np.cumsum(middle ** (a - 1) * (1 - middle) ** (b - 1))])
            return np.interp(x, fine, mass / mass[-1])
        m = self.mode
        with np.errstate(divide="ignore", invalid="ignore"):
            left, right = x * x / m, 1 - (1 - x) ** 2 / (1 - m)
        return np.where(x < m, left, right)

    def quantiles(self, p):
        """u at those probabilities, by a fine grid of the distribution function."""
        fine = np.sin(np.linspace(0, np.pi / 2, (1 << 18) + 1)) ** 2  # dense at both ends
        return np.interp(p, self.cdf(fine), fine)

    @cached_property
    def table(self):
        """The inverse in cells of equal probability, float32: seconds = start[cell] + slope[cell] · (CELLS · u)."""
        x = self.width * self.quantiles(np.arange(CELLS + 1) / CELLS)
        slope = np.diff(x)
        return (x[:-1] - slope * np.arange(CELLS)).astype(np.float32), slope.astype(np.float32)

    @cached_property
    def coarse(self):
        """65,536 durations beyond the least, equally likely, float32."""
        return (self.width * self.quantiles((np.arange(65536) + 0.5) / 65536)).astype(np.float32)

    @cached_property
    def knots(self):
        """Probabilities, dense at both ends, and u there."""
        p = np.sin(np.linspace(0, np.pi / 2, CELLS + 1)) ** 2
        return p, self.quantiles(p)


def _plan():
    """Three Regions, two services, 30 days at five minutes: when us-east-1 fails, load fits at five moments in six."""
    rng = np.random.default_rng(5)
    t = np.arange(30 * 288)
    keys, columns, quotas = [], [], {}
    limits = {("ec2", "us-west-2"): 1050, ("ec2", "eu-west-1"): 810, ("lambda", "us-west-2"): 1300}
    limits |= {("lambda", "eu-west-1"): 893}
    for service, levels in (("ec2", (600, 400, 300)), ("lambda", (900, 260, 180))):
        for region, level in zip(("us-east-1", "us-west-2", "eu-west-1"), levels, strict=True):
            key = QuotaKey("-", region, service, "L-1")
            season = 1 + 0.3 * np.cos(2 * np.pi * (t / 288 + len(keys) / 9))
            keys.append(key)
            columns.append(level * season * rng.gamma(400, 1 / 400, len(t)))
            quotas[key] = Quota(key=key, value=float(limits.get((service, region), 4 * level)))
    history = History(
        keys=tuple(keys), start_s=0, step_s=300, usage=np.asfortranarray(np.stack(columns, axis=1)), quotas=quotas
    )
    policy = surgetank.QuantilePolicy(confidence=0, growth=1.0)
    return surgetank.plan(history, scenarios="N-1", policy=policy, survive=None, now=len(t) * 300)


def _graph():
    """Twenty steps: joins, two branches, retries, a fallback, two steps that need room."""
    return Runbook(
        [
            Step("detect", Pert(30.0, 60.0, 180.0)),
            Step("answer the page", Pert(60.0, 240.0, 900.0), after=["detect"]),
            Step("declare", Pert(20.0, 90.0, 300.0), after=["answer the page"]),
            Branch("database", {"answers": 0.7, "silent": 0.3}, after=["declare"]),
            Step("switch over", Pert(60.0, 180.0, 600.0), after=["database:answers"], failure=0.05, fallback="force"),
            Step("force", Pert(60.0, 120.0, 600.0)),
            Step("promote", Pert(60.0, 120.0, 600.0), after=["database:silent"], failure=0.02, retries=2,
                 retry_after=60.0),
            Step("check data", Triangular(30.0, 60.0, 300.0), after=["switch over", "promote"]),
            Step("scale out", Pert(120.0, 300.0, 900.0), after=["declare"], capacity="ec2/L-1"),
            Step("functions", Pert(10.0, 30.0, 120.0), after=["declare"], capacity="lambda/L-1"),
            Step("secrets", Lognormal(30.0, 120.0), after=["declare"]),
            Step("deploy", Triangular(60.0, 120.0, 420.0), after=["scale out", "functions", "secrets"], failure=0.1,
                 retries=1, retry_after=Uniform(10.0, 30.0)),
            Step("fill caches", Triangular(60.0, 180.0, 600.0), after=["scale out"]),
            Branch("smoke test", {"passes": 0.9, "fails": 0.1}, after=["deploy"]),
            Step("roll back", Triangular(60.0, 90.0, 240.0), after=["smoke test:fails"]),
            Step("ready", Fixed(15.0), after=["deploy", "roll back"]),
            Step("queues", Uniform(10.0, 200.0), after=["check data"]),
            Step("move traffic", Uniform(60.0, 300.0), after=["ready", "check data", "fill caches"]),
            Step("warm up", Uniform(0.0, 300.0), after=["move traffic"]),
            Step("verify", Pert(60.0, 180.0, 600.0), after=["move traffic", "queues"]),
        ],
        name="graph",
        target_s=1800.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """The graph, with the room there was."""

    target_s: float = 1800.0

    @cached_property
    def runbook(self):
        return _graph()

    @cached_property
    def capacity(self):
        return Capacity(_plan(), lead_time=LEAD, denial=DENIAL)

    @cached_property
    def short(self):
        """Quotas that are short at some moment, whose step's they are (0: scale out, 1: functions), and (M, Q) when."""
        found = coupling(self.capacity, self.runbook.capacity)
        return [int(key.service_code == "lambda") for key in found.quotas], np.ascontiguousarray(found.short.T)

    def prepare(self):
        """As for the series; what is drawn from history is made anew by each call."""
        return surgetank.estimate_recovery, self.runbook._model, self.capacity

    def estimate(self, trials, threads=1, seed=0):
        return surgetank.estimate_recovery(
            self.runbook, capacity=self.capacity, trials=trials, threads=threads, seed=seed
        )
