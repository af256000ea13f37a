"""The error classes: what a caller may catch, and what each one means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .history.report import ImportReport


class SurgetankError(Exception):
    """Everything surgetank raises on purpose."""


class InvalidInput(SurgetankError, ValueError):
    """An argument breaks a rule. The message reads "argument: rule (got value)", whoever raises it."""

    #: Of a source with rows that cannot be read: all of them counted, and the first ones.
    report: ImportReport | None = None

    def __init__(
        self, message: str = "", *, argument: str | None = None, rule: str | None = None, others: Iterable[str] = ()
    ) -> None:
        """Keep the parts, where they are known; names in them may hold what parts them in the message."""
        super().__init__(message)
        self._argument, self._rule = argument, rule
        #: Messages of what else is wrong in the same file, found on the same way.
        self.others: tuple[str, ...] = tuple(others)

    @property
    def argument(self) -> str:
        """What is wrong: the name of an argument; of a mistake in a file, the file and the line."""
        return str(self).partition(":")[0] if self._argument is None else self._argument

    @property
    def rule(self) -> str:
        """What must hold of it."""
        return str(self)[len(self.argument) + 2 :].partition(" (got ")[0] if self._rule is None else self._rule

    def about(self, argument: str) -> str:
        """Give the message for who knows it by another name."""
        return argument + str(self)[len(self.argument) :]


class NumericalFailure(SurgetankError, ArithmeticError):
    """The arguments are valid, but no number within double precision answers them."""


class StoreError(SurgetankError):
    """The store cannot be read or written: locked, damaged, newer than this program, or not a store at all."""

    def __init__(self, message: str = "", *, code: str = "") -> None:
        """Keep what AWS calls it, where it is AWS that refused."""
        super().__init__(message)
        self.code = code


class CollectError(SurgetankError):
    """AWS did not answer: which service, in which Region and account, why, and whether it may pass by itself."""

    def __init__(
        self,
        message: str = "",
        *,
        service: str = "",
        region: str = "",
        account: str = "",
        reason: str = "",
        retryable: bool = False,
    ) -> None:
        """Keep the parts; the message names no account, which not every log may hold."""
        super().__init__(message)
        self.service, self.region, self.account = service, region, account
        self.reason, self.retryable = reason, retryable


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
    try:
        text = value if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # Python refuses to write integers of thousands of digits
        text = f"a value of {type(value).__name__} too large to show"
    text = printable(text, most)
    return (
        f"{text!r}" if isinstance(value, str) and "\\" not in text else f"'{text}'" if isinstance(value, str) else text
    )


def invalid(argument: str, rule: str, got: object) -> InvalidInput:
    """Make the error "argument: rule (got value)"; names from outside, wherever they stand, come out printable."""
    said = printable(f"{argument}: {rule}")
    own = min(printable(argument), said, key=len)
    return InvalidInput(f"{said} (got {shown(got)})", argument=own, rule=said[len(own) + 2 :])


def nearest(name: str, known: Iterable[str]) -> str:
    """Give ``; did you mean 'x'?`` for the known name closest to ``name``, or else list what is known."""
    import difflib

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else ""
