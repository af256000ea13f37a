"""Peak memory that a call takes on top of what is there, from /proc (Linux)."""

import gc
import re
import resource
from collections.abc import Callable
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def extra_bytes(way: Callable[[], object]) -> int:
    """Bytes at the peak of the call less bytes before it.

    Call it once in a process of its own: memory that an earlier call gave back may be used again unseen.
    """
    gc.collect()
    try:
        RESET.write_text("5")  # the peak starts again from here
    except OSError:  # not Linux, or not allowed: the peak of the whole life so far
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kept = way()
        extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    else:
        before = _kibibytes("VmRSS")
        kept = way()
        extra = _kibibytes("VmHWM") - before
    del kept
    return 1024 * max(0, extra)


def _kibibytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found, name
    return int(found[1])
