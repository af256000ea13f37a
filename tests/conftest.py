"""What every test file may use."""

from pathlib import Path

import pytest

# Property tests build small arrays over and over; a slow shared runner must not fail them on time.
from hypothesis import settings

settings.register_profile("surgetank", deadline=None, derandomize=True)
settings.load_profile("surgetank")


@pytest.fixture(scope="session")
def shared_data():
    """Real series, kept beside the repository and not inside it (see their README for sources and licences)."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data here: ../shared/data is not beside the repository")
    return folder
