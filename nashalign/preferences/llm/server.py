"""Replies of a server that speaks as OpenAI's does.

The client's own retries are off: ours count every request, wait as long as the server
asks, and end in a sentence. What arrives is kept the moment that it does, so that no
reply that came whole is asked for again, whatever ends the process.

The key is read from the environment where a client is made, and held by nobody else.
"""

import asyncio
import dataclasses
import importlib.util
import json
import logging
import math
import os
import queue
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

from nashalign.preferences.llm import pace
from nashalign.preferences.llm.reading import Reply
from nashalign.preferences.llm.replies import Replies, Request

_AGAIN = {408, 409, 425, 429}
# What a server says of a key whose account is empty, with a code that asks to wait.
_NEVER = {"insufficient_quota"}


class _Broken(Exception):
    """A reply that is none; the message says what it is."""


class _Final(Exception):
    """What waiting does not cure; the message says what it is."""


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
        require_url(self.url)
        require_client()

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


def require_url(url: str) -> None:
    """Requires an address that can be shown and logged.

    Raises:
      ValueError: it is none, or holds a name and a password.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "the address of a judge's server begins with http:// or https://, such as "
            "http://127.0.0.1:8080/v1"
        )
    if "@" in parts.netloc or parts.query:
        raise ValueError(
            "the address of a judge's server must hold no password and no key, which "
            "would be logged with it; put the key into an environment variable"
        )


def require_client() -> None:
    """Requires the package that servers are asked with.

    Raises:
      ValueError: it is not installed.
    """
    if importlib.util.find_spec("openai") is None:
        raise ValueError(
            "a judge behind a server is asked by the package openai, which is not "
            "installed: pip install 'nashalign[judge]'"
        )


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
            except _Final as error:
                return self._fail(str(error))
            except _Broken as error:
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
          _Broken: it may go better another time.
          _Final: it will not.
        """
        import openai  # pyright: ignore[reportMissingImports]

        own = self._server
        own.counts.calls += 1
        own.replies.spend(calls=1)
        try:
            came = await client.chat.completions.with_raw_response.create(
                **_body(own, request)
            )
            content = came.http_response.content
        except openai.APITimeoutError:
            raise _Broken(
                f"it was silent for {own.patience.timeout:g} seconds"
            ) from None
        except openai.APIConnectionError as error:
            reason = type(error.__cause__ or error).__name__
            raise _Broken(f"the connection broke ({reason})") from None
        except openai.APIStatusError as error:
            raise _refused(error) from None
        reply, tokens = read_reply(content)
        own.counts.tokens += tokens
        own.replies.spend(tokens=tokens)
        if request.draw is None and reply.top is None:
            own.counts.without_log_probs += 1
            if own.needs_log_probs:
                raise _Broken("it answered without log-probabilities")
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


def _body(own: Server, request: Request) -> dict[str, Any]:
    """What is sent."""
    # Half of a character, which JSON can spell and UTF-8 cannot, would end the run.
    text = request.text.encode("utf-8", "replace").decode()
    asked = {
        "model": own.model,
        "messages": [{"role": "user", "content": text}],
    }
    if request.draw is None:
        number = {"temperature": 0.0, "max_tokens": 1}
        return asked | number | {"logprobs": True, "top_logprobs": own.top}
    # A server that is asked the same with a seed would give the same, whoever draws.
    return asked | {"temperature": 1.0, "max_tokens": 4, "seed": request.draw}


def _refused(error: Any) -> Exception:
    """What an answer that is no 200 means."""
    status, code = error.status_code, getattr(error, "code", None)
    told = f"it answered {status}"
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        told += f" ({error.body['message']:.200})"
    if (status in _AGAIN or status >= 500) and code not in _NEVER:
        return _Broken(told, error.response.headers.get("retry-after"))
    if status in (401, 403):
        told += "; is the key in its environment variable?"
    return _Final(told)


def _without_key(own: Server, text: str) -> str:
    """A text in which the key, should a server repeat it, is not told."""
    key = os.environ.get(own.key_variable)
    return text.replace(key, f"[{own.key_variable}]") if key else text


def read_reply(content: bytes) -> tuple[Reply, int]:
    """Returns a reply, and how many tokens the server has counted.

    Args:
      content: the body of an answer, JSON of a chat completion.

    Raises:
      _Broken: it is none.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise _Broken("it answered with something that is no reply") from None
    usage = body.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    reply = Reply(text if isinstance(text, str) else "", _top(choice.get("logprobs")))
    return reply, max(0, tokens) if isinstance(tokens, int) else 0


def _top(said: Any) -> tuple[tuple[str, float], ...] | None:
    """The most probable tokens in the place of the first; None where there are none."""
    try:
        listed = said["content"][0]["top_logprobs"]
        top = tuple((own["token"], float(own["logprob"])) for own in listed)
    except (TypeError, LookupError, ValueError):
        return None
    lawful = all(isinstance(token, str) and value <= 1e-3 for token, value in top)
    return top if top and lawful and not any(math.isnan(v) for _, v in top) else None


# The client's libraries tell of every request; what they tell is nothing for a log.
for _name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
