"""Files that are written whole or not at all."""

import os
from pathlib import Path

import pytest

from surgetank import InvalidInput
from surgetank._files import replace_text


def test_a_file_is_new_or_old_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    place = tmp_path / "a.json"
    replace_text(place, "one")
    assert place.read_text() == "one"
    place.chmod(0o600)
    replace_text(place, "two")
    assert (place.read_text(), place.stat().st_mode & 0o777) == ("two", 0o600)

    def broken(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(InvalidInput, match=r"a\.json: must be writable: No space left on device"):
        replace_text(place, "three")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "two")]


def test_links_are_followed_and_folders_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    replace_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"
    with pytest.raises(InvalidInput, match="must be writable: Is a directory"):
        replace_text(tmp_path, "text")


def test_a_device_is_written_to_and_stays_one():
    replace_text(Path(os.devnull), "text")
    assert not os.path.isfile(os.devnull)
