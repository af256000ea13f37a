"""What "one clear error" means, once for all tests."""

import contextlib

import pytest

from surgetank import StoreError


@contextlib.contextmanager
def clear_error(kind, *words):
    """Expect exactly this class, with a message of one printable line that holds every word."""
    with pytest.raises(kind) as caught:
        yield caught
    text = str(caught.value)
    assert type(caught.value) is kind
    assert text.isprintable(), text
    assert len(text) < 2000, text
    missing = [word for word in words if str(word) not in text]
    assert not missing, f"{missing} not in: {text}"


def said_of(call, kind=StoreError):
    """What an error of a call says; nothing where it raises none."""
    try:
        call()
    except kind as error:
        return str(error)
    return ""
