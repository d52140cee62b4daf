"""Replies of a server that speaks as OpenAI's does.

The client's own retries are off: ours count every request, wait as long as the server
asks, and end in a sentence. What arrives is kept the moment that it does, so that no
reply that came whole is asked for again, whatever ends the process.

The key is read from the environment where a client is made, and held by nobody else.
"""

import asyncio
import dataclasses
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from nashalign.preferences.llm import pace, wire
from nashalign.preferences.llm.reading import Reply
from nashalign.preferences.llm.replies import Replies, Request


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A model behind an address.

    Attributes:
      url: up to what stands before `/chat/completions`.
      model: as the server calls it.
      replies: where they are kept, and what is spent.
      key_variable: environment variable of the key; servers without keys need none.
      top: how many of the most probable tokens are asked for.
      workers: requests that are under way at once.
      patience: how long it is given.
      budget: what may be spent.
      needs_log_probs: whether a reply without them is asked for again.
      counts: what becomes of the questions.
    """

    url: str
    model: str
    replies: Replies
    key_variable: str = "OPENAI_API_KEY"
    top: int = 20
    workers: int = 8
    patience: pace.Patience = pace.Patience()
    budget: pace.Budget = pace.Budget()
    needs_log_probs: bool = True
    counts: pace.Counts = dataclasses.field(default_factory=pace.Counts)

    def __post_init__(self):
        """Requires an address without secrets, and the client."""
        wire.require_url(self.url)
        wire.require_client()

    def ask(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Yields `(place, reply)` of each request, in whatever order they come.

        Replies are kept whether or not they are taken from here.

        Raises:
          JudgeFailed: the server does not answer, or refuses, or the budget is spent.
            What was under way is let end, and kept.
        """
        arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        asking = _Asking(self, requests, arrived)
        # A loop of its own: in a notebook this thread has one that runs already.
        thread = threading.Thread(target=asking.run, daemon=True)
        thread.start()
        try:
            while (own := arrived.get()) is not None:
                if isinstance(own, Exception):
                    raise own
                yield own
        finally:
            asking.cancel()
            thread.join()


class _Asking:
    """Some requests on their way."""

    def __init__(self, server: Server, requests, arrived: queue.SimpleQueue):
        self._server, self._requests, self._arrived = server, requests, arrived
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all: asyncio.Future | None = None
        self._failed: str | None = None
        self._not_before = 0.0

    def run(self) -> None:
        """Asks everything; leaves replies, perhaps a sentence, and None as the last."""
        try:
            asyncio.run(self._ask_all())
        except asyncio.CancelledError:
            pass
        except sqlite3.Error as error:
            self._fail(f"its replies cannot be kept ({error})")
        except Exception as error:  # raised where the replies are waited for
            self._arrived.put(error)
        if self._failed is not None:
            told = _without_key(self._server, self._failed)
            self._arrived.put(pace.JudgeFailed(told))
        self._arrived.put(None)

    def cancel(self) -> None:
        """Lets go of what has not arrived."""
        self._failed = self._failed or "nobody waits for its replies any more"
        loop, everything = self._loop, self._all
        if loop is not None and everything is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(everything.cancel)
            except RuntimeError:  # closed in the meantime
                pass

    async def _ask_all(self) -> None:
        """Asks everything, so many at a time."""
        import openai  # pyright: ignore[reportMissingImports]

        own = self._server
        slots = asyncio.Semaphore(own.workers)
        async with openai.AsyncOpenAI(
            api_key=os.environ.get(own.key_variable) or "none",
            base_url=own.url,
            max_retries=0,
            timeout=own.patience.timeout,
        ) as client:

            async def one(place, request):
                async with slots:
                    await self._ask(client, place, request)

            self._loop = asyncio.get_running_loop()
            self._all = asyncio.gather(
                *(one(*numbered) for numbered in enumerate(self._requests))
            )
            await self._all

    async def _ask(self, client, place: int, request: Request) -> None:
        """Asks until there is a reply, or there is no sense in it any more."""
        own = self._server
        said = ""
        for attempt in range(1, own.patience.attempts + 1):
            await self._pause()
            if self._failed or self._over_budget():
                return
            own.counts.retries += attempt > 1
            header = None
            try:
                reply = await self._send(client, request)
            except wire.Final as error:
                return self._fail(str(error))
            except wire.Broken as error:
                said, *headers = error.args
                header = headers[0] if headers else None
            else:
                self._arrived.put((place, own.replies.keep(request, reply)))
                return None
            if attempt < own.patience.attempts:
                if not self._hold(pace.asked_wait(header)):
                    return None
                await self._sleep(own.patience.wait(request.text, attempt))
        return self._fail(f"{said}, {own.patience.attempts} times in a row")

    async def _send(self, client, request: Request) -> Reply:
        """One request; what came back.

        Raises:
          wire.Broken: it may go better another time.
          wire.Final: it will not.
        """
        import openai  # pyright: ignore[reportMissingImports]

        own = self._server
        own.counts.calls += 1
        own.replies.spend(calls=1)
        try:
            came = await client.chat.completions.with_raw_response.create(
                **wire.body(own.model, own.top, request)
            )
            content = came.http_response.content
        except openai.APITimeoutError:
            raise wire.Broken(
                f"it was silent for {own.patience.timeout:g} seconds"
            ) from None
        except openai.APIConnectionError as error:
            reason = type(error.__cause__ or error).__name__
            raise wire.Broken(f"the connection broke ({reason})") from None
        except openai.APIStatusError as error:
            raise wire.refused(error) from None
        reply, tokens = wire.read_reply(content)
        own.counts.tokens += tokens
        own.replies.spend(tokens=tokens)
        if request.draw is None and reply.top is None:
            own.counts.without_log_probs += 1
            if own.needs_log_probs:
                raise wire.Broken("it answered without log-probabilities")
        return dataclasses.replace(reply, text=_without_key(own, reply.text))

    def _over_budget(self) -> bool:
        """Whether no further request may be sent; says so."""
        spent = self._server.replies.spent()
        said = self._server.budget.spent(spent.calls, spent.tokens)
        if said is not None:
            self._failed = self._failed or f"{said}; raise it to go on"
        return said is not None

    def _fail(self, said: str) -> None:
        """Begins no more requests; the first reason is told."""
        own = self._server
        self._failed = self._failed or f"the judge {own.model} at {own.url}: {said}"

    def _hold(self, seconds: float) -> bool:
        """Sends nothing while the server asks for it; False where that is too long."""
        if seconds > self._server.patience.longest_wait:
            self._fail(f"it asks to be left alone for {seconds:.0f} seconds")
            return False
        self._not_before = max(self._not_before, time.monotonic() + seconds)
        return True

    async def _pause(self) -> None:
        """Waits until the server may be asked."""
        while (left := self._not_before - time.monotonic()) > 0 and not self._failed:
            await asyncio.sleep(min(left, 0.2))

    async def _sleep(self, seconds: float) -> None:
        """Waits, unless all is over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._failed:
            await asyncio.sleep(min(left, 0.2))


def _without_key(own: Server, text: str) -> str:
    """A text in which the key, should a server repeat it, is not told."""
    key = os.environ.get(own.key_variable)
    return text.replace(key, f"[{own.key_variable}]") if key else text


# The client's libraries tell of every request; what they tell is nothing for a log.
for _name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
