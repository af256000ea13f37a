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
X86_64 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.fixture(
    scope="module",
    params=[(level, optimized) for level in LEVELS for optimized in ("-O3", "-O1")],
    ids=lambda p: " ".join(p),
)
def symbols(request, tmp_path_factory):
    """(type, name) of every symbol of lanes_kernels.cpp compiled for one level, with CMakeLists.txt's options."""
    level, optimized = request.param
    if COMPILER is None or NM is None:
        pytest.skip("no C++ compiler or no nm here")
    if level != "plain" and not X86_64:
        pytest.skip("levels are x86-64's")
    target = [] if level == "plain" else [f"-march=x86-64-{level}", f"-DSURGETANK_LEVEL={level}"]
    options = ["-std=c++20", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-Wno-psabi", "-Wno-ignored-attributes"]
    made = tmp_path_factory.mktemp(level) / "lanes_kernels.o"
    source = CPP / "surgetank" / "lanes_kernels.cpp"
    command = [COMPILER, optimized, *options, *target, f"-I{CPP}", "-c", source, "-o", made]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if "-march" in compiled.stderr:
        pytest.skip(f"this compiler does not know {target}")
    assert compiled.returncode == 0, compiled.stderr
    listed = subprocess.run([NM, "-C", made], capture_output=True, text=True, check=True)
    return level, re.findall(r"^[0-9a-f ]*\b([A-Za-z?]) (.+)$", listed.stdout, re.MULTILINE)


def test_nothing_is_defined_but_the_table(symbols):
    level, found = symbols
    # Capitals are seen by the linker; W, V and u are those it merges.
    assert [name for kind, name in found if (kind.isupper() or kind in "uvw") and kind != "U"] == [
        f"surgetank::lanes::{level}::table"
    ]


def test_nothing_is_called_but_what_the_platform_has(symbols):
    """A template or an inline function of another header would come from whoever's copy was kept."""
    called = {name for kind, name in symbols[1] if kind == "U"}
    assert called <= {"memcpy", "memset", "memmove", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
