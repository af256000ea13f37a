"""Calls at the same moment: several threads that begin together, or one call in the middle of another."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

from surgetank.history.dynamodb.calls import Calls


def at_once(*works):
    """Let each begin in a thread of its own when all are ready; what each gives, or what it raises."""
    barrier = threading.Barrier(len(works))

    def begun(work):
        barrier.wait(60)
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begun, works))


@contextlib.contextmanager
def before_the_first_write(store, work):
    """When that store has read and decided, and is about to write, somebody else does all of that work first."""
    calls, todo = store._calls, [work]

    def write(writes):
        if todo:
            todo.pop()()
        Calls.write(calls, writes)

    calls.write = write
    try:
        yield
    finally:
        del calls.write


def wiped(client, prefix, tables=("coordinations", "reservations", "audit")):
    """Delete every item of some tables, which is sooner done than new ones are made."""
    for table, keys in {"coordinations": ["id"], "reservations": ["id"], "audit": ["id", "at"]}.items():
        name = f"{prefix}-{table}"
        for item in client.scan(TableName=name, ConsistentRead=True)["Items"] if table in tables else ():
            client.delete_item(TableName=name, Key={k: item[k] for k in keys})
