"""Conversations as prompts, written as the model was taught them.

What people write in a conversation is text: it spells none of the tokens that the
tokenizer marks as special.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nashalign.data import prompts
from nashalign.data.templates import Message, render
from nashalign.data.tokenizer import Tokenizer

# Keeps what people spell from being a special token, and is taken out again.
_MARK = "\ue000"


def chat_ids(
    tokenizer: Tokenizer,
    conversations: Sequence[Sequence[Message]],
    *,
    length: int,
    fit: prompts.Fit = prompts.keep_end,
) -> prompts.PromptIds:
    """Returns conversations as prompts, each up to where its answer begins.

    The template's special tokens become their ids; those that a message spells are
    text. Where a conversation is too long, the beginning token stays in front of what
    `fit` keeps of the rest.

    Args:
      tokenizer: the tokenizer, of a folder with a chat template.
      conversations: messages, from the first one; the last is answered.
      length: the most tokens that a prompt may have.
      fit: `prompts.keep_end`, with which the header of the answer stays, or
        `prompts.drop`.

    Returns:
      The prompts kept and the counts.

    Raises:
      ValueError: the folder has no template, or the template refuses a conversation,
        or there is no room for the header of an answer.
    """
    if tokenizer.chat is None:
        raise ValueError(
            "the policy's folder has no chat template, so that it is not known how it "
            "was taught conversations; give prompts as plain text."
        )
    found, cut = {}, 0
    for index, messages in enumerate(conversations):
        ids = _encode(tokenizer, messages)
        first = ids[:1] if ids[:1] == [tokenizer.bos_id] else []
        kept = ids
        if len(ids) > length:
            _require_room(tokenizer, messages, ids, length - len(first))
            rest = fit(ids[len(first) :], length - len(first))
            kept = None if rest is None else first + rest
            cut += kept is not None
        if kept is not None:
            found[index] = kept
    return prompts.PromptIds(
        tokens=list(found.values()),
        ids=np.asarray(list(found), np.int32),
        cut=cut,
        dropped=len(conversations) - len(found),
    )


def ending_as_taught(tokenizer: Tokenizer) -> Tokenizer:
    """Returns a tokenizer whose `closing_id` is what the template ends an answer with.

    A folder may name a token that ends texts before the one that ends turns. It stays
    as it is where the template ends an answer with none of its end tokens.

    Args:
      tokenizer: the tokenizer, of a folder with a chat template.

    Raises:
      ValueError: the folder has no template, or it refuses a question and an answer.
    """
    if tokenizer.chat is None:
        raise ValueError("the policy's folder has no chat template")
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    text = render(tokenizer.chat, talk, answered=True)
    [ids] = tokenizer.encode([text], markup=True)
    last = [token for token in ids if token in tokenizer.eos_id][-1:]
    others = (token for token in tokenizer.eos_id if token not in last)
    return dataclasses.replace(tokenizer, eos_id=(*last, *others))


def _require_room(tokenizer, messages, ids, room):
    """Requires room for what the template asks for the answer with, and one token."""
    asked = _encode(tokenizer, messages, answered=True)
    header = len(ids) - len(asked) if ids[: len(asked)] == asked else 0
    if room <= header:
        raise ValueError(
            f"A prompt that keeps {room} tokens of a conversation has no room for text "
            f"beside the {header} with which the answer begins; allow more."
        )


def _encode(
    tokenizer: Tokenizer, messages: Sequence[Message], *, answered: bool = False
) -> list[int]:
    """The ids of one conversation."""
    template: Any = tokenizer.chat
    text = functools.partial(render, template, answered=answered)
    if not tokenizer.spelt([own["content"] for own in messages]):
        return tokenizer.encode([text(messages)], markup=True)[0]
    marked = [
        {**own, "content": tokenizer.broken(own["content"], _MARK)} for own in messages
    ]
    return tokenizer.pieces(text(marked), _MARK)
