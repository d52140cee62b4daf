"""Dialogues as one text with turns of Human and Assistant: Anthropic's HH."""

import re
from collections.abc import Mapping
from typing import Any

from nashalign.data.formats import format as fields
from nashalign.data.records import Record

_ASKS = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}
_TEXTS = ("chosen", "rejected")


def _split(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """The text before the assistant's last turn, and the two that this turn has."""
    before, turns = {}, {}
    for name in _TEXTS:
        before[name], asks, turns[name] = fields.text(line, name).rpartition(_ASKS)
        if not asks:
            raise ValueError(f"`{name}` has no turn that begins with {_ASKS!r}")
    if before["chosen"] != before["rejected"]:
        raise ValueError(
            "`rejected` is of another dialogue than `chosen`; both must be the same up "
            "to the assistant's last turn"
        )
    return before["chosen"], turns["chosen"], turns["rejected"]


def _as_messages(line: Mapping[str, Any]) -> Record:
    """One pair of Bai and others (2022): what came before, as messages.

    White space around a turn is no part of it. Turns of one speaker that follow each
    other are one message, since chat templates take speakers by turns.
    """
    before, chosen, rejected = _split(line)
    front, *turns = _TURN.split(before)
    if front.strip():
        raise ValueError(f"`chosen` begins with {front!r:.40}, which nobody says")
    messages: list[dict[str, str]] = []
    for speaker, said in zip(turns[::2], turns[1::2], strict=True):
        if messages and messages[-1]["role"] == _ROLES[speaker]:
            messages[-1]["content"] += "\n\n" + said.strip()
        else:
            messages.append({"role": _ROLES[speaker], "content": said.strip()})
    asked = fields.conversation(messages, "chosen", last="user")
    return Record(
        prompt=fields.as_text(asked),
        messages=asked,
        chosen=chosen.strip(),
        rejected=rejected.strip(),
        others=fields.rest(line, *_TEXTS),
    )


def _as_text(line: Mapping[str, Any]) -> Record:
    """The same pair as plain text: prompt and response together are what was given."""
    before, chosen, rejected = _split(line)
    if not before.strip():
        raise ValueError("`chosen` has nothing before the assistant's last turn")
    return Record(
        prompt=before + _ASKS,
        chosen=chosen,
        rejected=rejected,
        others=fields.rest(line, *_TEXTS),
    )


HH = fields.Format(
    name="hh",
    about="Anthropic's helpful and harmless dialogues",
    fields=_TEXTS,
    gives="pairs, the dialogue before them as messages",
    parse=_as_messages,
)
HH_TEXT = fields.Format(
    name="hh_text",
    about="the same, for models without a chat template",
    fields=_TEXTS,
    gives="pairs, the dialogue before them as plain text",
    parse=_as_text,
)
