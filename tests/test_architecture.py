"""Who may use whom (CONTRIBUTING.md, "The layers"): checked on the sources, so that a shortcut is seen at once."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "surgetank"
CPP = ROOT / "cpp"

# Each layer may use itself and those above it in this list.
LAYERS = (
    {"errors", "_core"},
    {"_aws"},
    {"_bridge", "_files", "_table", "_template", "_toml"},
    {"scenario"},
    {"history"},
    {"collect"},
    {"summary", "spikes"},
    {"headroom", "allocation"},
    {"failover"},
    {"plan"},
    {"backtest"},
    {"recovery"},
    {"report", "demo", "adequacy"},
    {"verdict", "config"},
    {"_commands"},
    {
        "_commands_allocation",
        "_commands_collect",
        "_commands_import",
        "_commands_recovery",
        "_commands_store",
        "_commands_test",
    },
    {"_commands_reserve"},
    {"_commands_failover"},
    {"_policy_specs", "_replayable"},
    {"_commands_backtest"},
    {"cli"},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FACADES = {"_bridge", "summary", "spikes", "headroom", "allocation", "backtest", "recovery"}
#: `backtest` replays what sizes, and does not know the plan.
REPLAYED = {
    "errors",
    "_core",
    "_bridge",
    "_files",
    "_table",
    "_toml",
    "scenario",
    "history",
    "spikes",
    "headroom",
    "backtest",
}


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE)


def layer_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """Top-level names of surgetank that a module uses at run time (imports for type checkers only are left out)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    depth = len(path.relative_to(PACKAGE).parts) - 1
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):  # `import surgetank.plan` is the same shortcut in another spelling
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("surgetank."))
        if id(node) in typing_only or not isinstance(node, ast.ImportFrom) or node.level != depth + 1:
            continue
        names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
        yield from (name for name in names if name in RANK)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_uses_only_what_lies_below_it(path):
    own = layer_of(path)
    assert own in RANK, f"{own}: add it to LAYERS, where a newcomer would look for it"
    for name in imported(path):
        # A function-level import upwards is allowed to `Plan`'s own presentation only: the result presents itself.
        if own == "plan" and name == "report":
            continue
        assert RANK[name] <= RANK[own], f"{own} must not use {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_facades_and_the_bridge_use_the_core(path):
    if layer_of(path) not in FACADES:
        assert "_core" not in imported(path)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_collect_knows_aws(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    asks = layer_of(path) in ("_aws", "collect") or path.parent == PACKAGE / "history" / "dynamodb"
    assert asks or not names & {"boto3", "botocore"}


def test_the_plan_knows_no_collecting():
    users = {layer_of(path) for path in modules() if "collect" in imported(path)}
    assert users <= {"collect", "config", "_commands_collect"}


def test_backtest_uses_what_it_replays_alone():
    used = {name for path in modules() if layer_of(path) == "backtest" for name in imported(path)}
    assert used <= REPLAYED


def test_the_core_knows_no_python():
    for source in (CPP / "surgetank").iterdir():
        text = source.read_text(encoding="utf-8")
        assert "pybind11" not in text, source.name
        assert "Python.h" not in text, source.name


def test_the_kernel_knows_no_stem():
    kernels = {"aligned", "core", "cpu", "kernel", "lanes", "parallel", "rolling", "sampling", "series"}
    for source in (CPP / "surgetank").iterdir():
        if source.stem.partition("_")[0] in kernels:
            included = re.findall(r'#include "surgetank/(\w+)\.hpp"', source.read_text(encoding="utf-8"))
            assert {name.partition("_")[0] for name in included} <= kernels, source.name


def test_the_kernels_of_one_instruction_set_share_nothing():
    """The linker may keep any copy of a shared definition, and another machine cannot run every one."""
    headers = {"<cstddef>", "<cstdint>", "<immintrin.h>", "<emmintrin.h>"}
    headers |= {f'"surgetank/{name}.hpp"' for name in ("lanes", "lanes_pack", "kernel_bits")}
    kernels = [
        path for stem in ("lanes", "rolling", "backtest") for path in (CPP / "surgetank").glob(f"{stem}_kernels.*")
    ]
    assert len(kernels) == 5
    for path in (*kernels, *(CPP / "surgetank" / f"{name}.hpp" for name in ("lanes", "lanes_pack", "kernel_bits"))):
        included = set(re.findall(r"#include ([<\"].+[>\"])", path.read_text(encoding="utf-8")))
        assert included <= headers | {f'"surgetank/{path.stem}.hpp"'}, path.name


def test_stems_do_not_include_each_other():
    stems = {"spikes", "headroom", "allocation", "recovery", "backtest"}
    for stem in stems - {"backtest"}:
        for source in (CPP / "surgetank").glob(f"{stem}*"):
            text = source.read_text(encoding="utf-8")
            assert not any(f'"surgetank/{other}' in text for other in stems - {stem}), source.name


def test_entry_points_hold_no_arithmetic():
    for name in ("cli.py", "_commands.py", "_commands_test.py", "_commands_reserve.py", "_commands_failover.py"):
        for node in ast.walk(ast.parse((PACKAGE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp):  # paths are joined with /, a clock is read with −, types are joined with |
                assert isinstance(node.op, ast.Div | ast.Sub | ast.BitOr), f"{name}:{node.lineno}"


def test_import_is_light():
    """A Lambda pays for every import: NumPy, the core, and nothing that a plan does not need."""
    heavy = [
        "rich",
        "pandas",
        "polars",
        "pyarrow",
        "sqlite3",
        "csv",
        "tomllib",
        "tomli",
        "zoneinfo",
        "boto3",
        "botocore",
    ]
    heavy += ["matplotlib", "argparse", "sklearn", "scipy", "threadpoolctl"]
    used = "[getattr(surgetank, name) for name in surgetank.__all__ if name not in ('Store', 'DynamoStore')]"
    code = f"import sys, surgetank; {used}; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    baseline = f"import sys, numpy; print([m for m in {heavy!r} if m in sys.modules])"
    numpy_only = subprocess.run([sys.executable, "-c", baseline], capture_output=True, text=True, check=True)
    assert run.stdout == numpy_only.stdout


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_what_is_not_used_is_not_loaded():
    """Only the core is, in which the instruction set is chosen; each public name brings its own module."""
    loaded = "; print(*sorted(m for m in sys.modules if m.startswith('surgetank.')))"
    assert run(f"import sys, surgetank{loaded}") == ["surgetank._core", "surgetank.errors"]
    brought = run(f"import sys, surgetank; surgetank.SpikeStream{loaded}")
    assert "surgetank.spikes" in brought
    assert "surgetank.headroom" not in brought
    other = "not n.isupper() and getattr(surgetank, n).__name__ != n"
    assert run(f"import surgetank; print(*(n for n in surgetank.__all__ if {other}))") == []


def test_collecting_loads_botocore_only_to_ask():
    code = "import sys; from surgetank.collect import *; iam_policy(CollectPlan()); dry_run(CollectPlan())"
    assert run(f"{code}; print(*[m for m in ('boto3', 'botocore') if m in sys.modules])") == []


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    assert run("import surgetank.plan; print(type(surgetank.plan).__name__)") == ["function"]
    assert run("import surgetank.verdict; print(callable(surgetank.plan))") == ["True"]
    assert run("from surgetank import plan; print(type(plan).__name__)") == ["function"]
    assert run("import surgetank; surgetank.Plan; surgetank.check; print(type(surgetank.plan).__name__)") == [
        "function"
    ]


def test_the_public_names_are_there_before_they_are_loaded():
    assert run("import surgetank; print(set(surgetank.__all__) <= set(dir(surgetank)))") == ["True"]
    assert run("from surgetank import *; print(detect_spikes.__module__)") == ["surgetank.spikes.detect"]
    assert run("import surgetank; print(surgetank.history.History.__name__)") == ["History"]
    said = run("import surgetank\ntry:\n surgetank.spike\nexcept AttributeError as e:\n print(e)")
    assert " ".join(said) == "module 'surgetank' has no attribute 'spike'"


def test_files_stay_short():
    sources = [*PACKAGE.rglob("*.py"), *CPP.rglob("*.?pp"), *(ROOT / "tests").rglob("*.py")]
    assert {str(p.relative_to(ROOT)): n for p in sources if (n := len(p.read_text().splitlines())) > 400} == {}
