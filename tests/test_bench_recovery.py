"""The bench of `estimate_recovery` without timing: peers, a convolution and we agree."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import bench_recovery


@pytest.mark.filterwarnings("default")  # what other libraries warn of is theirs
@pytest.mark.parametrize("case", bench_recovery.CASES)
def test_peers_agree(case):
    bench_recovery.check(case, 200_000)
