"""What a policy's folder answers to prompts of text, drawn once and kept.

An answer depends on the seed, its prompt and its place alone: whatever was kept of a
sampling that was broken off is what an unbroken one would have drawn.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Collection, Iterator, Sequence

import jax
import numpy as np

from nashalign import compiling, data, json_file, options, sampling, terminal, writing
from nashalign.alignment import task as tasks
from nashalign.alignment import texts
from nashalign.types import Prompts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """How a policy is asked for answers."""

    num_responses: int = 1
    """Answers to each prompt."""
    temperature: float = 1.0
    """Of sampling: 1 is the policy itself, 0 its most probable token at each place."""
    top_p: float = 1.0
    """Only the most probable tokens are drawn that together have this probability."""
    batch_size: int = 32
    """Prompts that are answered at the same time."""
    seed: int = 0
    """Of the draws; a prompt's answers depend on nothing but it and its place."""

    def require(self) -> None:
        """Requires settings in their ranges.

        Raises:
          ValueError: naming the option, its value, and what it must be.
        """
        for name in ("num_responses", "batch_size"):
            options.require(name, getattr(self, name))
        options.require_seed(self.seed)
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(
                f"--temperature is {self.temperature}; it must be 0 or more."
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"--top-p is {self.top_p}; it must be in (0, 1].")


def answers(
    folder: pathlib.Path,
    records: Sequence[data.Record],
    text: texts.Text,
    drawing: Drawing,
    *,
    without: Collection[int] = (),
    name: str = "answers",
) -> Iterator[tuple[int, list[str]]]:
    """Yields the place of each record and the policy's answers, as they are written.

    Args:
      folder: of the policy, with its tokenizer.
      records: the prompts.
      text: lengths, and what follows a prompt.
      drawing: how answers are drawn.
      without: places of records that are not answered.
      name: of the progress bar.

    Raises:
      ValueError: policy, prompts and lengths do not go together.
    """
    none = texts.Splits(validation=0.0, test=0.0)
    task = texts.text_task(folder, records, text=text, splits=none).task
    own = task.prompts["train"]
    left = np.flatnonzero(~np.isin(own.ids, list(without)))
    write = _writer(drawing, task)
    with terminal.progress_bar(name, len(left)) as advance:
        for rows in tasks.chunks(left, drawing.batch_size) if len(left) else ():
            prompts = task.batch("train", rows)
            written = task.texts(write(task.start.params, prompts))
            found = dict(zip(prompts.ids.tolist(), written, strict=True))
            yield from found.items()
            advance(len(found), "")


def kept_answers(
    path: pathlib.Path,
    folder: pathlib.Path,
    records: Sequence[data.Record],
    text: texts.Text,
    drawing: Drawing,
    *,
    name: str,
) -> dict[int, list[str]]:
    """Returns the policy's answers by the place of their record, from a file or drawn.

    Every answer is in the file, a line of JSON, once it is drawn; those that are there
    are not drawn again.

    Args:
      path: the file.
      folder: as for `answers`.
      records: as for `answers`; their prompts are all different.
      text: as for `answers`.
      drawing: as for `answers`.
      name: of the progress bar.

    Raises:
      ValueError: as `answers`, or the file holds something else.
    """
    found = _read(path, records)
    if len(found) == len(records):
        return found
    with writing.name_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            drawn = answers(folder, records, text, drawing, without=found, name=name)
            for place, responses in drawn:
                line = records[place].shown() | {"responses": responses}
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                found[place] = responses
    return found


def _read(path: pathlib.Path, records: Sequence[data.Record]) -> dict[int, list[str]]:
    """What is whole of a file of kept answers; a line that was broken off is cut."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with writing.name_failures(path), path.open("r+b") as file:
            file.truncate(whole)
    places = {record.prompt: place for place, record in enumerate(records)}
    found = {}
    for number, line in enumerate(content[:whole].splitlines(), 1):
        try:
            own = json_file.parse(line)
            found[places[own["prompt"]]] = own["responses"]
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{path}, line {number}: this is no answer that was kept here; delete "
                "the file to have its policy asked again"
            ) from error
    return found


def _writer(drawing: Drawing, task: tasks.Task):
    """The compiled sampler: `(params, prompts) -> responses [B, N, T]`."""

    def behaviour(logits):
        return sampling.sharpen(
            logits["policy"], temperature=drawing.temperature, top_p=drawing.top_p
        )

    @functools.partial(jax.jit, compiler_options=compiling.compiler_options())
    def write(params, prompts: Prompts):
        responses, _ = sampling.sample(
            task.start.policy,
            {"policy": params},
            behaviour,
            jax.random.key(drawing.seed),
            prompts,
            num_responses=drawing.num_responses,
            decoding=task.decoding,
        )
        return responses

    return lambda params, prompts: jax.device_get(write(params, prompts))
