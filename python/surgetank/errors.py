"""The error classes: what a caller may catch, and what each one means."""

from __future__ import annotations

from collections.abc import Iterable


class SurgetankError(Exception):
    """Everything surgetank raises on purpose."""


class InvalidInput(SurgetankError, ValueError):
    """An argument breaks a rule. The message reads "argument: rule (got value)", whoever raises it."""

    @property
    def argument(self) -> str:
        """What is wrong: the name of an argument, a key of a file, a column."""
        return str(self).partition(":")[0]

    @property
    def rule(self) -> str:
        """What must hold of it."""
        return str(self).partition(": ")[2].partition(" (got ")[0]

    def about(self, argument: str) -> str:
        """Give the message for who knows it by another name."""
        return argument + str(self)[len(self.argument) :]


class NumericalFailure(SurgetankError, ArithmeticError):
    """The arguments are valid, but no number within double precision answers them."""


class StoreError(SurgetankError):
    """The store cannot be read or written: locked, damaged, newer than this program, or not a store at all."""


class MissingExtra(SurgetankError, ImportError):
    """An optional part is not installed. The message names the extra that installs it."""


def printable(text: str, most: int = 600) -> str:
    """One line without control characters, cut at ``most``: names come from files."""
    text = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object, most: int = 60) -> str:
    """``value`` for a message: on one line, printable, cut at ``most`` characters."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # a NumPy scalar, as a person writes it
    text = value if isinstance(value, str) else repr(value)
    text = printable(text, most)
    return (
        f"{text!r}" if isinstance(value, str) and "\\" not in text else f"'{text}'" if isinstance(value, str) else text
    )


def invalid(argument: str, rule: str, got: object) -> InvalidInput:
    """Make the error "argument: rule (got value)"; names from outside, wherever they stand, come out printable."""
    return InvalidInput(f"{printable(f'{argument}: {rule}')} (got {shown(got)})")


def nearest(name: str, known: Iterable[str]) -> str:
    """Give ``; did you mean 'x'?`` for the known name closest to ``name``, or else list what is known."""
    import difflib

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else ""
