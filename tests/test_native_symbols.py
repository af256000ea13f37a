"""What the kernels of one instruction set leave for the linker: nothing that it could merge with another file's copy.

A weak symbol compiled for AVX-512 may be the copy that the linker keeps for everybody, and the import that was to
choose a level ends on a lesser machine with SIGILL.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CPP = Path(__file__).parents[1] / "cpp"
COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
NM = shutil.which("nm")
LEVELS = ("plain", "v2", "v3", "v4")
KERNELS = ("lanes", "rolling", "sampling", "backtest")
X86_64 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.fixture(
    scope="module",
    params=[(kernel, level, optimized) for kernel in KERNELS for level in LEVELS for optimized in ("-O3", "-O1")],
    ids=" ".join,
)
def symbols(request, tmp_path_factory):
    """Kernel, level, and (type, name) of every symbol of that kernel's file, compiled with CMakeLists.txt's options."""
    kernel, level, optimized = request.param
    if COMPILER is None or NM is None:
        pytest.skip("no C++ compiler or no nm here")
    if level != "plain" and not X86_64:
        pytest.skip("levels are x86-64's")
    target = [] if level == "plain" else [f"-march=x86-64-{level}", f"-DSURGETANK_LEVEL={level}"]
    options = ["-std=c++20", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-Wno-psabi", "-Wno-ignored-attributes"]
    if kernel == "rolling" and X86_64:
        options.append("-mprefer-vector-width=256")
    source = CPP / "surgetank" / f"{kernel}_kernels.cpp"
    made = tmp_path_factory.mktemp(level) / f"{kernel}.o"
    command = [COMPILER, optimized, *options, *target, f"-I{CPP}", "-c", source, "-o", made]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if "-march" in compiled.stderr:
        pytest.skip(f"this compiler does not know {target}")
    assert compiled.returncode == 0, compiled.stderr
    listed = subprocess.run([NM, "-C", made], capture_output=True, text=True, check=True)
    return kernel, level, re.findall(r"^[0-9a-f ]*\b([A-Za-z?]) (.+)$", listed.stdout, re.MULTILINE)


def test_nothing_is_defined_but_the_table(symbols):
    kernel, level, found = symbols
    # Capitals are seen by the linker; W, V and u are those it merges.
    assert [name for kind, name in found if (kind.isupper() or kind in "uvw") and kind != "U"] == [
        f"surgetank::{kernel}::{level}::table"
    ]


def test_nothing_is_called_but_what_the_platform_has(symbols):
    """A template or an inline function of another header would come from whoever's copy was kept."""
    called = {name for kind, name in symbols[2] if kind == "U"}
    assert called <= {"memcpy", "memset", "memmove", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}


def test_every_file_that_is_compiled_once_a_level_is_looked_at():
    assert {path.name for path in (CPP / "surgetank").glob("*_kernels.cpp")} == {f"{k}_kernels.cpp" for k in KERNELS}
