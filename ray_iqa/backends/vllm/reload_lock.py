"""Lets answers through side by side, and a change of the model only between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ReloadLock:
    """Must be used within one event loop."""

    def __init__(self) -> None:
        self._open, self._empty, self._one_change = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._num_inside = 0
        self._open.set()
        self._empty.set()

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Waits while the model changes; the model does not change inside."""
        while not self._open.is_set():
            await self._open.wait()
        self._num_inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._num_inside -= 1
            if not self._num_inside:
                self._empty.set()

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Waits for the answers under way; nobody answers inside."""
        async with self._one_change:
            self._open.clear()
            try:
                await self._empty.wait()
                yield
            finally:
                self._open.set()
