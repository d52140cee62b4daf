"""The generic form: prompts, with two responses or without, texts or messages.

A line is an object with a `prompt`, or with `prompt`, `chosen` and `rejected`, and
optionally `chosen_score` and `rejected_score`; other fields are kept, to be shown. In
the place of a `prompt` there may be `messages`, a conversation that its last message
asks to go on, and responses may be lists that end in the assistant's message.
"""

from collections.abc import Mapping
from typing import Any

from nashalign.data.formats import format as fields
from nashalign.data.records import Record

_TEXTS, _SCORES = ("chosen", "rejected"), ("chosen_score", "rejected_score")


def _record(line: Mapping[str, Any]) -> Record:
    """One line as a record."""
    messages = None
    if "messages" in line:
        messages = fields.conversation(line["messages"], "messages", last="user")
        line = {**line, "prompt": fields.as_text(messages)}
    prompt = fields.text(line, "prompt", filled=True)
    answers = {name: _answer(line.get(name), name, messages) for name in _TEXTS}
    paired = any(answer is not None for answer in answers.values())
    if paired:
        chosen, rejected = (fields.text(answers, name) for name in _TEXTS)
    else:
        chosen = rejected = None
    return Record(
        prompt=prompt,
        messages=messages,
        chosen=chosen,
        rejected=rejected,
        scores=_scores(line, paired),
        others=fields.rest(line, "prompt", "messages", *_TEXTS, *_SCORES),
    )


def _answer(value: Any, name: str, messages) -> Any:
    """A response's text; of a list of messages that of the last one."""
    if not isinstance(value, list):
        return value
    found = fields.conversation(value, name, last="assistant")
    if found[:-1] not in ((), messages):
        raise ValueError(f"`{name}` goes on from other messages than `messages`")
    return found[-1]["content"]


def _scores(line: Mapping[str, Any], paired: bool) -> tuple[float, float] | None:
    """The scores of both responses, or None."""
    if all(line.get(name) is None for name in _SCORES):
        return None
    reason = "both responses of a pair have a score, a number, or neither has"
    if not paired:
        raise ValueError(f"`{_SCORES[0]}` is {line.get(_SCORES[0])}; {reason}")
    chosen, rejected = (fields.number(line, name, reason) for name in _SCORES)
    return chosen, rejected


RECORDS = fields.Format(
    name="records",
    about="prompts or pairs of one's own",
    fields=("prompt",),
    gives="prompts, or pairs with scores or without, as text or `messages`",
    parse=_record,
)
