"""The error classes and the words of their messages."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import surgetank
from surgetank import (
    CollectError,
    InvalidInput,
    MissingExtra,
    NumericalFailure,
    Runbook,
    Step,
    StoreError,
    SurgetankError,
    _core,
)
from surgetank.errors import invalid, nearest, shown


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (InvalidInput, ValueError),
        (NumericalFailure, ArithmeticError),
        (StoreError, Exception),
        (CollectError, Exception),
        (MissingExtra, ImportError),
    ],
)
def test_each_class_is_ours_and_what_a_caller_expects(kind, parent):
    assert issubclass(kind, SurgetankError)
    assert issubclass(kind, parent)
    assert getattr(surgetank, kind.__name__) is kind
    again = pickle.loads(pickle.dumps(kind("usage: must be 0 or more (got -1)")))
    assert (type(again), str(again)) == (kind, "usage: must be 0 or more (got -1)")


@pytest.mark.parametrize(("kind", "expected"), [("InvalidInput", InvalidInput), ("NumericalFailure", NumericalFailure)])
def test_what_the_core_throws_arrives_as_ours(kind, expected):
    with pytest.raises(expected, match="said by the core") as caught:
        _core._raise(kind, "said by the core")
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("us-east-1", "'us-east-1'"),
        (5, "5"),
        (-0.5, "-0.5"),
        (None, "None"),
        ([1, 2], "[1, 2]"),
        ("", "''"),
    ],
)
def test_values_are_shown_as_they_are(value, text):
    assert shown(value) == text
    assert str(invalid("usage", "must be so", value)) == f"usage: must be so (got {text})"


@given(st.one_of(st.text(alphabet=st.characters(), max_size=200), st.lists(st.text()), st.floats(), st.binary()))
def test_whatever_the_value_the_message_is_one_short_printable_line(value):
    text = shown(value)
    assert text.isprintable()
    # Escapes of backslashes may double what is shown, and quotes are added.
    assert len(text) <= 2 * 60 + 2


def test_a_long_value_is_cut_and_says_so():
    assert shown("x" * 1000) == "'" + "x" * 59 + "…'"
    assert shown(list(range(1000))).endswith("…")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("us-esat-1", "; did you mean 'us-east-1'?"),
        ("us-west-22", "; did you mean 'us-west-2'?"),
        ("zzz", "; known: us-east-1, us-west-2"),
    ],
)
def test_the_nearest_name_is_offered(name, expected):
    assert nearest(name, ["us-west-2", "us-east-1", "us-east-1"]) == expected


def test_nothing_known_and_very_much_known():
    assert nearest("x", []) == ""
    assert nearest("zzz", [f"name-{i}" for i in range(100)]).endswith(" …")


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=20))
def test_nearest_never_fails(name, known):
    text = nearest(name, known)
    assert text == "" or text.startswith(("; did you mean ", "; known: "))
    assert (text == "") == (not known)


def test_an_error_tells_its_parts():
    error = invalid("start", "must be a date: 2026-01-31", "tomorrow (got it)")
    assert (error.argument, error.rule) == ("start", "must be a date: 2026-01-31")
    assert error.about("[plan] start") == "[plan] start: must be a date: 2026-01-31 (got 'tomorrow (got it)')"
    named = pickle.loads(pickle.dumps(invalid("a: b", "of x (got y) must be so", 1)))
    assert (named.argument, named.rule) == ("a: b", "of x (got y) must be so")
    with pytest.raises(InvalidInput) as wrong:
        Runbook([Step("a (got b", 1, after="zz")])
    for error in (wrong.value, pickle.loads(pickle.dumps(wrong.value))):
        assert error.argument == "after"
        assert error.rule == "of 'a (got b' must name steps that are there; known: a (got b"
    with pytest.raises(InvalidInput) as raised:  # by the core
        _core.fit_quantiles("pert", 3, 2, 1, 0.9)
    assert str(raised.value).startswith(f"{raised.value.argument}: {raised.value.rule} (got ")


def test_of_a_mistake_in_a_file_the_place_is_the_argument(tmp_path):
    path = tmp_path / "o: p.toml"
    path.write_text('[[step]]\nname="a"\nduration="1 min"\nfailure=3\n')
    with pytest.raises(InvalidInput) as raised:
        surgetank.read_runbook(path)
    assert raised.value.argument == "o: p.toml, line 4"
    assert raised.value.rule.startswith("failure: must be")


def test_an_error_may_bring_others_of_the_same_file():
    error = InvalidInput("f: must be so (got 1)", others=["g: must be so (got 2)"])
    assert (str(error), error.others) == ("f: must be so (got 1)", ("g: must be so (got 2)",))
    assert pickle.loads(pickle.dumps(error)).others == error.others
    assert InvalidInput("f: must be so (got 1)").others == ()
