"""Stores to replay on the command line, and how its output is read."""

import csv
import io
import json

import numpy as np
import pytest

import surgetank
from surgetank.cli import main


def kept(path, days=40, service="ec2", **more):
    """A store of one quota in two Regions, hourly, with a daily season and no noise; more: Regions of other quotas."""
    t = np.arange(int(days * 24))
    with surgetank.Store(path, create=True) as made:
        for name, regions in {service: ("r1", "r2"), **more}.items():
            usage = np.stack([100 + 10 * np.sin((t + 3 * i) * np.pi / 12) for i in range(len(regions))], axis=1)
            world = surgetank.History.from_array(
                usage, start="2026-01-01T00:00Z", step_s=3600, regions=regions, service_code=name, quota=500.0
            )
            made.import_quotas(list(world.quotas.values()))
            made.add_samples(world.samples())
    return path


def caller(tmp_path, monkeypatch, capsys):
    """Give what runs one command in an empty folder, checks its exit code, and returns its output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*args, store, code=0, width="160"):
        monkeypatch.setenv("COLUMNS", width)
        capsys.readouterr()
        try:
            got = main([str(arg) for arg in (*args, "--store", store)])
        except SystemExit as exit:  # argparse
            got = exit.code
        assert got == code
        return capsys.readouterr()

    return call


def plain(text):
    """JSON without NaN and Infinity."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def rows(text):
    """CSV as dictionaries."""
    return list(csv.DictReader(io.StringIO(text)))
