"""What is sent to a server that speaks as OpenAI's does, and what its answers mean."""

import importlib.util
import json
import math
import urllib.parse
from typing import Any

from nashalign.preferences.llm.reading import Reply
from nashalign.preferences.llm.replies import Request

_AGAIN = {408, 409, 425, 429}
# What a server says of a key whose account is empty, with a code that asks to wait.
_NEVER = {"insufficient_quota"}


class Broken(Exception):
    """An answer that is no reply: what it is, and perhaps its header Retry-After."""


class Final(Exception):
    """What waiting does not cure; the message says what it is."""


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


def body(model: str, top: int, request: Request) -> dict[str, Any]:
    """Returns what is sent.

    Args:
      model: as the server calls it.
      top: how many of the most probable tokens are asked for.
      request: the text, and whether it is answered by a sample.
    """
    # Half of a character, which JSON can spell and UTF-8 cannot, would end the run.
    text = request.text.encode("utf-8", "replace").decode()
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
    }
    if request.draw is None:
        number = {"temperature": 0.0, "max_tokens": 1}
        return asked | number | {"logprobs": True, "top_logprobs": top}
    # A server that is asked the same with a seed would give the same, whoever draws.
    return asked | {"temperature": 1.0, "max_tokens": 4, "seed": request.draw}


def refused(error: Any) -> Exception:
    """Returns what an answer that is no 200 means, as an error.

    Args:
      error: an `openai.APIStatusError`.
    """
    status, code = error.status_code, getattr(error, "code", None)
    told = f"it answered {status}"
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        told += f" ({error.body['message']:.200})"
    if (status in _AGAIN or status >= 500) and code not in _NEVER:
        return Broken(told, error.response.headers.get("retry-after"))
    if status in (401, 403):
        told += "; is the key in its environment variable?"
    return Final(told)


def read_reply(content: bytes) -> tuple[Reply, int]:
    """Returns a reply, and how many tokens the server has counted.

    Args:
      content: the body of an answer, JSON of a chat completion.

    Raises:
      Broken: it is none.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise Broken("it answered with something that is no reply") from None
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
