"""An event loop without clock, sockets and threads, which says when every task waits."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from simulated_worker import PROCESS

__all__ = ["QuietLoop", "run_quietly"]


class _Selector(selectors.SelectSelector):
    """Called with no timeout of zero when no task can go on."""

    on_quiet: Callable[[], None]

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout != 0:
            self.on_quiet()
        return []


class QuietLoop(asyncio.SelectorEventLoop):
    """Runs tasks in the same order whenever it is asked to."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.on_quiet = self._wake
        self._waiter: asyncio.Future[None] | None = None
        self.set_task_factory(_make_task)
        # Tasks that a failure has ended are part of a schedule.
        self.set_exception_handler(lambda loop, context: None)

    async def quiet(self) -> None:
        """Wait until every other task waits."""
        self._waiter = self.create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is None or self._waiter.done():
            raise RuntimeError("nothing can go on")
        self._waiter.set_result(None)

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """Call the function at once."""
        future = self.create_future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001  as an executor does
            future.set_exception(error)
        return future


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    task = asyncio.Task(coroutine, loop=loop, **options)
    process = PROCESS.get(None)
    if process is not None:
        process.tasks.append(task)
        if not process.is_alive:
            task.cancel()
    return task


def run_quietly(test: Callable[[QuietLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine on a loop of its own; what it leaves behind is cancelled."""
    loop = QuietLoop()
    try:
        asyncio.set_event_loop(None)
        result = loop.run_until_complete(test(loop))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        return result
    finally:
        loop.close()
