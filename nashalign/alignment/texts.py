"""A task made of a checkpoint's folder and prompts of one's own."""

import dataclasses
import inspect
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from nashalign import data, policies, preferences, sampling
from nashalign.alignment import examples
from nashalign.alignment import task as tasks
from nashalign.types import Examples, Prompts

_FITS = {"end": data.keep_end, "beginning": data.keep_beginning, "drop": data.drop}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """What policies read and write."""

    prompt_length: int | None = None
    """Most tokens of a prompt; by default those of the longest one, or what the context
    leaves beside a response."""
    response_length: int = 64
    """Most tokens of a response, end of sequence included; longer ones are cut."""
    slots: int | None = None
    """Prompts that are written to at the same time; the others wait until a response
    has ended and take its row. By default all of a batch are."""
    stop: tuple[str, ...] = ()
    """Texts that end a response, as an end token does; functions of text, and files of
    answers, are given what stands before them."""
    suffix: str = ""
    """What follows every prompt, such as a line that asks for an answer."""
    chat: bool = False
    """Whether a prompt of plain text is a user's message, and written as the model's
    chat template says. Prompts given as `messages` always are."""
    too_long: Literal["end", "beginning", "drop"] = "end"
    """What is kept of a prompt that is too long: its end, its beginning, or nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splits:
    """How prompts are shared out, by a hash of their text; equal ones stay together."""

    validation: float = 0.1
    """Share on which the policy is measured in training."""
    test: float = 0.1
    """Share that only the comparison at the end sees."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTask:
    """A task, and the records that it was made of.

    Attributes:
      task: what is written to; its oracle is the annotator.
      records: of all prompts; `Prompts.ids` index into them.
      annotator: who judges; None where nobody does.
    """

    task: tasks.Task
    records: Sequence[data.Record]
    annotator: preferences.Annotator | None

    @property
    def has_pairs(self) -> bool:
        """Whether every record has a chosen and a rejected response."""
        return self.records[0].is_pair

    @property
    def has_responses(self) -> bool:
        """Whether every record has a response to imitate."""
        return self.records[0].chosen is not None

    def data_set(self) -> examples.DataSet:
        """Returns the pairs of the training split, and the chosen ones to imitate.

        Records of one response each have demonstrations alone. Rewards are normalised
        over the data set, where all pairs have scores.

        Raises:
          ValueError: the records have no responses.
        """
        if not self.has_responses:
            raise ValueError("the prompts have no `chosen` and `rejected` responses.")
        records = self._records("train")
        prompts = self.task.batch("train", range(len(records)))
        chosen = self._encoded(prompts, records, ["chosen"])
        if not self.has_pairs:
            return examples.DataSet(demonstrations=chosen)
        rewards = None
        if all(one.scores is not None for one in records):
            rewards = np.array([one.scores for one in records], np.float32)
            rewards = (rewards - rewards.mean()) / max(rewards.std(), 1e-6)
        return examples.DataSet(
            sampled=dataclasses.replace(self.pairs("train"), rewards=rewards),
            demonstrations=chosen,
        )

    def pairs(self, split: str) -> Examples:
        """Returns the chosen and the rejected response to each prompt of a split.

        How probable it is that a chosen response wins is what its voters say, and 1
        where there are none.

        Args:
          split: its name.

        Raises:
          ValueError: the records have no pairs.
        """
        if not self.has_pairs:
            raise ValueError("the prompts have no `chosen` and `rejected` responses.")
        records = self._records(split)
        prompts = self.task.batch(split, range(len(records)))
        preference = np.full((len(records), 2, 2), 0.5, np.float32)
        preferred = np.array([one.preferred for one in records], np.float32)
        preference[:, 0, 1], preference[:, 1, 0] = preferred, 1 - preferred
        pairs = self._encoded(prompts, records, ["chosen", "rejected"])
        return dataclasses.replace(pairs, preference=preference)

    def _records(self, split: str) -> list[data.Record]:
        """The records of a split, in its order."""
        return [self.records[index] for index in self.task.prompts[split].ids]

    def _encoded(
        self, prompts: Prompts, records: Sequence[data.Record], names: Sequence[str]
    ) -> Examples:
        """Prompts with responses of their records."""
        texts = [[getattr(own, name) for name in names] for own in records]
        responses = data.encode_responses(
            self.task.tokenizer, texts, length=self.task.decoding.max_length
        )
        return Examples(prompts=prompts, responses=responses)


def text_task(
    folder: pathlib.Path,
    records: Sequence[data.Record],
    annotator: Any = None,
    *,
    text: Text | None = None,
    splits: Splits | None = None,
    answers: preferences.Store | None = None,
    shardings: policies.Shardings | None = None,
) -> TextTask:
    """Returns the task of a checkpoint and prompts of one's own.

    Args:
      folder: Hugging Face folder of the start policy, with its tokenizer.
      records: the prompts.
      annotator: a function of text (see `preferences.text_annotator`), a learned judge
        that reads the same tokens, or None.
      text: lengths, and what follows a prompt.
      splits: how the prompts are shared out.
      answers: where a function's answers are kept.
      shardings: where the start policy's parameters go; see `load_pretrained`.

    Raises:
      ValueError: checkpoint, tokenizer, prompts and lengths do not go together.
    """
    text, splits = text or Text(), splits or Splits()
    start = policies.load_pretrained(folder, shardings)
    tokenizer = data.load_tokenizer(folder)
    tokenizer = ending(tokenizer, records, text)
    policies.check_vocabulary(tokenizer.size, start.config)
    tokenizer = _stopping(tokenizer, text, start.policy.vocabulary, folder)
    encoded = _encode(tokenizer, records, text, start.policy.context, folder)
    if annotator is not None and not _reads_tokens(annotator):
        prompts = [record.prompt for record in records]
        annotator = preferences.text_annotator(annotator, tokenizer, prompts, answers)
    task = tasks.Task(
        start=start,
        tokenizer=tokenizer,
        folder=folder,
        decoding=sampling.Decoding(
            max_length=text.response_length,
            eos_id=tokenizer.eos_id,
            pad_id=tokenizer.pad_id,
            stops=tokenizer.stops,
            slots=text.slots,
        ),
        prompts=_split(encoded, records, splits),
        prompt_length=max(map(len, encoded.tokens)),
        show=lambda index: records[index].shown(),
        oracle=annotator if preferences.can_answer(annotator, "prefer") else None,
    )
    return TextTask(task=task, records=records, annotator=annotator)


def ending(
    tokenizer: data.Tokenizer, records: Sequence[data.Record], text: Text
) -> data.Tokenizer:
    """Returns the tokenizer, which ends answers of a conversation as it was taught.

    Args:
      tokenizer: of whoever reads or writes them.
      records: the prompts.
      text: whether plain prompts are a user's messages.
    """
    chats = text.chat or records[0].messages is not None
    if chats and tokenizer.chat is not None:
        return data.ending_as_taught(tokenizer)
    return tokenizer


def _stopping(tokenizer, text: Text, vocabulary: int, folder) -> data.Tokenizer:
    """The tokenizer, of whose responses the texts that are asked for are the end."""
    try:
        return tokenizer.stopping(text.stop, vocabulary=vocabulary)
    except ValueError as error:
        raise ValueError(f"--text.stop, {folder}: {error}") from error


def _encode(tokenizer, records, text: Text, context: int, folder) -> data.PromptIds:
    """The prompts' tokens, in the room that the context leaves beside a response."""
    room = context - text.response_length
    length = room if text.prompt_length is None else text.prompt_length
    if not 0 < length <= room:
        raise ValueError(
            f"--text.prompt-length {length} and --text.response-length "
            f"{text.response_length} do not fit the {context} tokens of the context of "
            f"{folder}; lower one."
        )
    encoded = prompt_tokens(tokenizer, records, text, length)
    if not len(encoded.ids):
        raise ValueError(
            f"every prompt is longer than {length} tokens, and was left out; raise "
            "--text.prompt-length or keep a part of them with --text.too-long."
        )
    return encoded


def prompt_tokens(
    tokenizer: data.Tokenizer,
    records: Sequence[data.Record],
    text: Text,
    length: int,
) -> data.PromptIds:
    """Returns the prompts' tokens: conversations by the chat template, others as text.

    Args:
      tokenizer: of whoever reads them.
      records: the prompts.
      text: what follows a prompt, and what is kept of one that is too long.
      length: most tokens of a prompt.

    Raises:
      ValueError: a conversation would lose its end, or has no room or no template.
    """
    fit = _FITS[text.too_long]
    if records[0].messages is None and not text.chat:
        prompts = [record.prompt for record in records]
        return data.prompt_ids(
            tokenizer, prompts, length=length, suffix=text.suffix, fit=fit
        )
    if text.too_long == "beginning":
        raise ValueError(
            "--text.too-long beginning would cut off where the answer of a "
            "conversation begins; keep its end, or drop it."
        )
    conversations = []
    for record in records:
        *before, last = record.messages or [{"role": "user", "content": record.prompt}]
        asked = {**last, "content": last["content"] + text.suffix}
        conversations.append([*before, asked])
    return data.chat_ids(tokenizer, conversations, length=length, fit=fit)


def _split(encoded: data.PromptIds, records, splits: Splits):
    """The prompts of each split; those of equal text are one cluster."""
    places = {int(own): place for place, own in enumerate(encoded.ids)}
    shared = data.split_records(records, validation=splits.validation, test=splits.test)
    found = {}
    for split, own in shared.items():
        ids = [index for index in own if index in places]
        found[split] = tasks.PromptSet(
            tokens=[encoded.tokens[places[index]] for index in ids],
            ids=np.array(ids, np.int32),
            clusters=np.array([data.prompt_hash(records[i].prompt) for i in ids]),
        )
    return found


def _reads_tokens(annotator: Any) -> bool:
    """Whether an annotator reads tokens, as those of this library do.

    One on the host does if it says that it is there, or takes a key and prompts.
    """
    if not preferences.on_host(annotator) or getattr(annotator, "host", False):
        return True
    asked = getattr(annotator, "prefer", None) or getattr(annotator, "score", None)
    return asked is not None and "key" in inspect.signature(asked).parameters
