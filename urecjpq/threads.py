"""Work of many waits: several threads, results in order, a bounded number of them under way."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` in the order of ``items``.

    Unlike ``ThreadPoolExecutor.map`` it takes items as results are asked for, so that millions of
    them need no memory.

    Args:
        function: Called in a thread; what it raises is raised here, in its item's turn.
        items: Taken one by one.
        workers: Threads.
        ahead: Calls that may be under way or waiting to be asked for, at least 1.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
