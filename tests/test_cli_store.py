"""`surgetank store check | backup | compact` as a person or a pipeline meets them: output, exit codes, mistakes."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from surgetank import Store
from surgetank.config import KEEP_S, Config
from test_cli import here, run
from test_store_schema import KEPT
from test_store_upkeep import change, fill, held

__all__ = ["here", "run"]  # fixtures


@pytest.fixture
def store(here):
    return fill(here / "surgetank.db", days=100)


def plain(text):
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_check_of_a_sound_store_exits_0(store, run):
    code, out, err = run("store", "check")
    assert (code, err) == (0, "")
    assert out.startswith("surgetank.db: sound (schema version 3, ")
    assert "2 series of usage, 200 days in all, 4,800 samples, 2026-01-01T00:00:00Z to 2026-04-10T23:00:00Z" in out
    found = plain(run("store", "check", "--json", "--store", store)[1])
    assert (found["sound"], found["samples"], found["damage"]) == (True, 4800, [])


def test_check_of_a_damaged_store_exits_2_and_names_it(store, run):
    change(store, "UPDATE plan SET status = 'CRITICAL'", "UPDATE usage_day SET usage = '' WHERE day = 20460")
    before = store.read_bytes()
    code, out, err = run("store", "check")
    assert (code, err) == (2, "")
    assert "surgetank.db: DAMAGED in 3 places" in out
    assert "  usage_day, us-west-2 ec2, 2026-01-07: a day of samples is not what was written\n" in out
    assert "  plan, 1: is not what was written\n" in out
    code, out, _ = run("store", "check", "--json")
    assert code == 2
    assert [one["table"] for one in plain(out)["damage"]] == ["usage_day", "usage_day", "plan"]
    for task in (["backup", "copy.db"], ["compact", "--yes"]):
        code, out, err = run("store", *task)
        assert (code, out) == (3, "")
        assert "is damaged (usage_day, us-east-1 ec2, 2026-01-07" in err
        assert "and 2 more; `surgetank store check` lists all" in err
        assert err.count("\n") == 1
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is none"),
        (b"", "is empty, not a store"),
        (b"hello\n" * 1000, "is not a surgetank store"),
        ("other", "is a database of another program"),
        ("newer", "newer than this surgetank's 3; update surgetank"),
    ],
)
@pytest.mark.parametrize("task", [["check"], ["check", "--json"], ["backup", "copy.db"], ["compact"]])
def test_what_cannot_be_opened_exits_3(here, run, content, said, task):
    path = here / "surgetank.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "other":
        change(path, "CREATE TABLE t (x)")
    elif content == "newer":
        fill(path)
        change(path, "PRAGMA user_version = 4")
    before = path.read_bytes() if content is not None else None
    code, out, err = run("store", *task)
    assert (code, out) == (3, "")
    assert said in err
    assert err.count("\n") == 1
    if content is None:
        assert os.listdir(here) == []
    else:
        assert path.read_bytes() == before
        assert os.listdir(here) == ["surgetank.db"]


def test_an_old_store_is_checked_and_copied_as_it_is(here, run):
    path = shutil.copy(KEPT, here / "surgetank.db")
    code, out, _ = run("store", "check")
    assert code == 0
    assert "The next command that uses it brings it up to schema version 3." in out
    assert run("store", "backup", "copy.db")[0] == 0
    assert path.read_bytes() == KEPT.read_bytes()
    assert "schema version 1" in run("store", "check", "--store", "copy.db")[1]


def test_backup(store, here, run):
    code, out, err = run("store", "backup", "copy.db")
    assert (code, err) == (0, "")
    assert out.startswith("copy.db: a copy of surgetank.db, checked (")
    assert held(here / "copy.db") == held(store)
    code, _, err = run("store", "backup", "copy.db")
    assert code == 3
    assert err == "surgetank: backup copy.db: is there already; --force (force=True) replaces it; no backup was made\n"
    code, out, _ = run("store", "backup", "copy.db", "--force", "--json")
    assert code == 0
    assert plain(out)["check"]["sound"] is True
    code, _, err = run("store", "backup", "surgetank.db", "--force")
    assert code == 3
    assert "is the store itself" in err
    assert sorted(os.listdir(here)) == ["copy.db", "surgetank.db"]


def test_compact_removes_only_when_told(store, run):
    before = held(store)
    code, out, err = run("store", "compact")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "surgetank.db: 432 samples of 2 series before 2026-01-10 would be removed",
        "Kept: the last 90 d of usage, every plan and import report, quotas and scenarios.",
        "Nothing was changed. --yes (remove=True) removes it.",
    ]
    assert held(store) == before
    said = plain(run("store", "compact", "--keep", "1w", "--json")[1])
    assert (said["done"], said["keep_s"], said["before"]) == (False, 7 * 86400, "2026-04-03")
    code, out, _ = run("store", "compact", "--keep", "all", "--yes")
    assert code == 0
    assert out.startswith("surgetank.db: nothing to remove, all usage is kept\nThe file: ")
    assert held(store) == before
    code, out, _ = run("store", "compact", "--keep", "1w", "--yes")
    assert code == 0
    assert "were removed\n" in out
    assert "The file: " in out
    with Store(store) as opened:
        assert opened.check().samples == 2 * 8 * 24
        assert len(opened.plans()) == len(opened.imports()) == 1


@pytest.mark.parametrize("keep", ["90", "0d", "-1d", "ninety days", "", "nan", "all of it", "1d 1d"])
def test_a_keep_that_is_none_is_named(store, run, keep):
    code, out, err = run("store", "compact", f"--keep={keep}")
    assert (code, out) == (3, "")
    assert (
        err == f'surgetank: --keep: must be a duration above 0 with a unit, such as "90d", or "all" (got \'{keep}\')\n'
    )


def test_how_much_is_kept_is_in_the_file(store, here, run):
    config = here / "surgetank.toml"
    for text, expected in (
        ("", KEEP_S),
        ('[history]\nkeep = "30d"\n', 30 * 86400),
        ('[history]\nkeep = "all"\n', None),
    ):
        config.write_text(text)
        assert Config.read(config).keep_s == expected
        assert plain(run("store", "compact", "--json")[1])["keep_s"] == expected
    assert plain(run("store", "compact", "--json", "--keep", "40d")[1])["keep_s"] == 40 * 86400
    for value in ('"90"', "90", "true", '"some"', '"0d"', "[]"):
        config.write_text(f"[history]\nstep_s = 60\nkeep = {value}\n")
        code, _, err = run("store", "compact", "--yes")
        assert code == 3
        assert 'surgetank.toml, line 3: keep: must be a duration above 0 with a unit, such as "90d", or "all"' in err


@pytest.mark.parametrize("args", [[], ["chekc"], ["backup"], ["check", "--yes"], ["compact", "--keep"]])
def test_usage_errors_exit_3_and_name_the_command(run, args):
    code, out, err = run("store", *args)
    assert (code, out) == (3, "")
    assert err.startswith("surgetank: ")
    assert "usage: surgetank store" in err or "usage: surgetank" in err


def test_interrupted_it_leaves_nothing_and_says_so(store, here, run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("surgetank.history.backup.inspect", interrupted)
    code, out, err = run("store", "backup", "copy.db")
    assert (code, out, err) == (130, "", "surgetank: interrupted; nothing was half done\n")
    assert os.listdir(here) == ["surgetank.db"]


def test_other_commands_write_to_a_checked_store(store, run):
    """A check takes nothing away from who comes next."""
    run("store", "check")
    command = [sys.executable, "-m", "surgetank.cli", "show", "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "plan 1 (-) made 2026-01-01T00:00:00Z" in done.stdout
