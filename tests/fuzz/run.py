"""Fuzz every reader, guided by coverage: `python tests/fuzz/run.py [--seconds N] [target ...]`.

All targets run side by side on the cores there are, each from its seeds. What is found lies in build/fuzz; a finding is
repeated, without atheris, by `python tests/fuzz/run.py --again FILE TARGET`. Then make it a test in
tests/test_fuzz_found.py.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOUND = TESTS.parent / "build" / "fuzz"
SLOWEST_S = 10
MOST_MB = 2048

sys.path[0] = str(TESTS)  # the targets are a package


@dataclass
class Ran:
    """What libFuzzer says of one target."""

    name: str
    seconds: float
    executions: int
    begins: int  # edges that the seeds reach
    ends: int
    finding: Path | None
    said: str

    def __str__(self) -> str:
        edges = f"{self.ends:,} edges ({self.ends - self.begins:+,} since the seeds)"
        line = f"{self.name:<14} {self.seconds:6.0f} s {self.executions:>10,} executions  {edges}"
        return line if self.finding is None else f"{line}  FINDING"


def fuzz(name: str, seconds: int, seed: int) -> Ran:
    """Run one target for a while, in a process of its own; a seed of 0 is another one each time."""
    from fuzz.seeding import SEEDS, first_lines, inputs
    from fuzz.targets import TARGETS

    target = TARGETS[name]
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="surgetank-corpus-") as corpus:
        for file, data in inputs(name, target.choices):
            (Path(corpus) / file).write_bytes(data)
        if name in ("csv_usage", "anything"):
            for file, data in first_lines():
                (Path(corpus) / file).write_bytes(b"\1" + data)
        options = [f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MB}", f"-max_total_time={seconds}", f"-seed={seed}"]
        options += [f"-max_len={target.longest}", f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1"]
        if target.words:
            options.append(f"-dict={SEEDS / target.words}")
        before = set(FOUND.glob(f"{name}-*"))
        started = time.monotonic()
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        call = [sys.executable, "-m", "fuzz.one", name, *options, corpus]
        # The time of the command line beside libFuzzer's own: what hangs in C is not interrupted by it.
        try:
            run = subprocess.run(
                call, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=seconds + 120,
            )  # fmt: skip
            said, failed = run.stdout.decode(errors="replace"), run.returncode != 0
        except subprocess.TimeoutExpired as error:
            said, failed = (error.stdout or b"").decode(errors="replace") + "\nit did not end", True
        new = sorted(set(FOUND.glob(f"{name}-*")) - before)
    return _ran(name, time.monotonic() - started, said, new, failed)


def _ran(name: str, seconds: float, said: str, new: Sequence[Path], failed: bool) -> Ran:
    cover = [int(n) for n in re.findall(r"\bcov: (\d+)", said)]
    begins = re.search(r"INITED cov: (\d+)", said)
    counted = re.search(r"number_of_executed_units: +(\d+)", said)
    steps = [int(n) for n in re.findall(r"^#(\d+)", said, re.MULTILINE)]
    finding = new[0] if new else FOUND / f"{name}.log" if failed or counted is None else None
    (FOUND / f"{name}.log").write_text(said, encoding="utf-8")
    return Ran(
        name,
        seconds,
        int(counted[1]) if counted else max(steps, default=0),
        int(begins[1]) if begins else min(cover, default=0),
        max(cover, default=0),
        finding,
        said,
    )


def again(name: str, file: Path) -> None:
    """One input once, with Python's own traceback."""
    import warnings

    from fuzz.targets import TARGETS

    warnings.simplefilter("error")
    TARGETS[name].run(file.read_bytes())
    print(f"{file} is no finding any more")


def main() -> int:
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120, help="in total, all targets together (default: 120)")
    parser.add_argument("--seed", type=int, default=0, help="the same changes to the seeds again (default: others)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="side by side (default: the cores)")
    parser.add_argument("--again", type=Path, metavar="FILE", help="repeat a finding of the target")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    args = parser.parse_args()
    names = args.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {unknown[0]}; there are {', '.join(TARGETS)}")
    if args.again is not None:
        again(names[0], args.again)
        return 0
    jobs = max(1, min(args.jobs, len(names)))
    each = max(1, args.seconds * jobs // len(names))
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(fuzz, name, each, args.seed) for name in names]
        ran = []
        for one in waiting:
            ran.append(one.result())
            print(ran[-1], flush=True)
    found = [one for one in ran if one.finding is not None]
    for one in found:
        print(f"\n{one.name}: {_reason(one.said)}")
        print(f"  repeat: {sys.executable} tests/fuzz/run.py --again {one.finding} {one.name}")
    total = sum(one.seconds for one in ran)
    print(f"\n{sum(one.executions for one in ran):,} executions in {total:,.0f} s of one core, {len(found)} findings")
    return 1 if found else 0


def _reason(said: str) -> str:
    """The end of what a target said before it ended."""
    python = said.partition("=== Uncaught Python exception: ===")[2]
    lines = [line for line in (python or said).split("==", 1)[0].splitlines() if line.strip()]
    return "\n  ".join(lines[:1] + lines[-6:])


if __name__ == "__main__":
    sys.exit(main())
