"""Units of work of one store: one after the other, or one as a part of another."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from ...errors import InvalidInput, StoreError
from ..anystore import READS_ONLY
from .address import Address
from .calls import Calls, Conflict
from .items import UNREADABLE, Damaged
from .work import Work

_T = TypeVar("_T")

#: What whoever comes second waits before it tries again, chosen by chance up to so much.
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.005, 0.25


class Units:
    """The methods of a `DynamoStore` that read and write at once."""

    address: Address
    _calls: Calls
    _timeout_s: float
    _of_thread: threading.local
    _closed: bool

    @property
    def _work(self) -> Work | None:
        """The unit of work that is under way in this thread; another thread's is its own."""
        return getattr(self._of_thread, "work", None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing does; inside another transaction, as part of that one.

        Where another process was first, it is a StoreError: what is inside cannot be done again. `attempt` can.
        """
        if (outer := self._work) is not None:
            self._require_writable(outer)
            mark = outer.mark()
            try:
                yield
            except BaseException:
                outer.back(mark)
                raise
            return
        with self._begun() as work:
            yield
            self._require_open()
            try:
                work.commit()
            except Conflict:
                raise StoreError(f"store {self.address}: somebody else was first; {_left(work)}") from None

    def attempt(self, work: Callable[[], _T], *, keep: Callable[[_T], bool] = lambda _: True) -> _T:
        """Do something in one transaction, from its beginning again where another process was first."""
        if (outer := self._work) is not None:
            mark = outer.mark()
            with self.transaction():
                made = work()
            if not keep(made):
                outer.back(mark)
            return made
        deadline, most_s = time.monotonic() + self._timeout_s, SHORTEST_WAIT_S
        while True:
            try:
                with self._begun() as unit:
                    try:
                        made = work()
                    except InvalidInput:
                        unit.require_unchanged()
                        raise
                    if keep(made):
                        self._require_open()
                        unit.commit()
                    else:
                        unit.require_unchanged()
                    return made
            except Conflict:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    said = f"others were first for {self._timeout_s:g} s; {_left(unit)}"
                    raise StoreError(f"store {self.address}: {said}") from None
            time.sleep(min(left_s, random.uniform(0, most_s)))
            most_s = min(LONGEST_WAIT_S, 1.5 * most_s)

    @contextlib.contextmanager
    def _moment(self) -> Iterator[None]:
        """Whatever is read twice inside is read once. Of several items, each is as it is when it is read first."""
        if self._work is not None:
            yield
            return
        with self._begun() as work:
            work.reads_only = True
            yield

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        try:
            with self._moment():
                yield
        except (UnicodeEncodeError, InvalidInput):  # what was asked for, nothing that was read
            raise
        except UNREADABLE as error:
            raise StoreError(f"store {self.address}: is damaged ({type(error).__name__}: {error})") from error

    @contextlib.contextmanager
    def _begun(self) -> Iterator[Work]:
        self._require_open()
        work = self._of_thread.work = Work(self._calls)
        try:
            yield work
        except Damaged as error:  # an item names itself, and not its store
            if str(error).startswith("store "):
                raise
            raise Damaged(f"store {self.address}: {error}") from error
        finally:
            self._of_thread.work = None

    @property
    def _now(self) -> Work:
        work = self._work
        assert work is not None, "outside of a unit of work"
        return work

    def _require_writable(self, work: Work) -> None:
        if work.reads_only:
            raise StoreError(f"store {self.address}: {READS_ONLY}")

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"store {self.address}: is closed")


def _left(work: Work) -> str:
    """What is to be said of a unit of work that could not be ended."""
    return (
        "a part of it was written, and the same again completes it" if work.partly else "nothing was changed, try again"
    )
