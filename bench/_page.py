"""bench/README.md: each bench writes its own section between two markers; what a person wrote around them stays."""

import datetime
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np

import surgetank

PAGE = Path(__file__).with_name("README.md")
ROOT = PAGE.parents[1]
# By the benches themselves, so no change of what is measured.
WRITTEN = ("bench/README.md", "bench/growth.png", "bench/growth_allocation.png", "bench/growth_backtest.png")
PEERS = (
    "numba",
    "bottleneck",
    "numbagg",
    "pandas",
    "polars",
    "scipy",
    "highspy",
    "scikit-learn",
    "lightgbm",
    "statsforecast",
)


def publish(section: str, text: str) -> None:
    """Print a section; with `--write` on the command line, put it into the page as well."""
    print(text, flush=True)
    if "--write" in sys.argv:
        replaced = replace(PAGE.read_text(encoding="utf-8"), section, f"{stamp()}\n\n{text}")
        PAGE.write_text(replaced, encoding="utf-8")


def replace(page: str, section: str, text: str) -> str:
    """The page with this text between `<!-- section:begin -->` and `<!-- section:end -->`."""
    begin, end = f"<!-- {section}:begin -->", f"<!-- {section}:end -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"section: the page must hold {begin} and then {end}, once each (got {section!r})")
    before, rest = page.split(begin)
    return f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end)[1]}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def stamp() -> str:
    """When and on what a section was measured: sections may be written at different commits."""
    return f"*{commit()}, {_cpu_model()}, path {surgetank.cpu()}, {datetime.date.today().isoformat()}.*"


def commit() -> str:
    try:
        named = _git("rev-parse", "--short", "HEAD").strip()
        changed = [line for line in _git("status", "--porcelain").splitlines() if line[3:] not in WRITTEN]
    except (OSError, subprocess.CalledProcessError):
        return "commit unknown"
    return f"Commit `{named}`{' + changes' if changed else ''}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def machine() -> str:
    """The machine, the compiler and the versions, as a list."""
    caches = [
        f"L{_read(folder / 'level')} {_read(folder / 'size')}"
        for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
        if _read(folder / "type") != "Instruction"
    ]
    versions = [f"{name} {metadata.version(name)}" for name in PEERS if _installed(name)]
    return "\n".join([
        f"- {_cpu_model()}, {os.cpu_count()} cores, {', '.join(caches) or 'caches unknown'}; {platform.system()}",
        f"- {_compiler()}; surgetank.cpu() is {surgetank.cpu()}",
        f"- Python {platform.python_version()}, NumPy {np.__version__}, {', '.join(versions)}",
    ])  # fmt: skip


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _cpu_model() -> str:
    told = _read(Path("/proc/cpuinfo"))
    found = {
        name: re.search(rf"^{name}\s*: (.+)$", told, re.MULTILINE) for name in ("model name", "cpu family", "model")
    }
    if not all(found.values()):
        return platform.processor() or platform.machine()
    name, family, model = (match[1] for match in found.values() if match)
    return f"{name} (family {family}, model {model})"


def _compiler() -> str:
    """What the compiled core says of its compiler, and the flags of the build folder where that is there."""
    core = Path(surgetank._core.__file__).read_bytes()
    named = re.search(rb"(GCC: \([^)]*\) [\d.]+|clang version [\d.]+)", core)
    cache = ROOT / "build" / "venv" / "CMakeCache.txt"
    flags = re.search(r"^CMAKE_CXX_FLAGS_RELEASE:\w+=(.+)$", _read(cache), re.MULTILINE)
    return f"{named[1].decode() if named else 'compiler unknown'}{f' `{flags[1]}`' if flags else ''}"


if __name__ == "__main__":
    publish("machine", machine())
