"""Batches by random access: a pure function of the step, with nothing to restore."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import numpy as np

from nashalign import checks, types
from nashalign.data import padding

if TYPE_CHECKING:
    import grain

T = TypeVar("T")


class Encoded(Protocol):
    """Prompts as token ids."""

    @property
    def tokens(self) -> Sequence[Sequence[int]]:
        """The ids of each prompt."""
        ...

    @property
    def ids(self) -> np.ndarray:
        """`[num_prompts]` the example id of each."""
        ...


def pipeline(
    examples: Sequence[T],
    *,
    batch_size: int,
    seed: int,
    process: int = 0,
    num_processes: int = 1,
) -> "grain.MapDataset[list[T]]":
    """Returns batches without end, by random access or one after another.

    Every epoch is a new shuffle, cut into whole batches: within one, no example comes
    twice, and the fewer than `batch_size` left over sit it out. Each of several
    processes has a share of every batch; together they are the batches that one would
    have. `iter(pipeline.to_iter_dataset())` reads ahead, and has `get_state` and
    `set_state`, with which the next batch is the very one that would have come.

    Args:
      examples: anything that is indexed, such as `read_dataset` returns.
      batch_size: examples in a batch, of all processes together.
      seed: of the shuffles; the same in all processes.
      process: number of this one, counted from zero.
      num_processes: how many there are, which divides the size of a batch.

    Returns:
      The batches, each a list of `batch_size / num_processes` examples.

    Raises:
      ValueError: there are fewer than two examples, or fewer than a batch, or there is
        no such process, or processes do not divide a batch.
    """
    if len(examples) < 2:
        raise ValueError(
            f"The data set has {len(examples)} examples; training needs at least two."
        )
    if not 1 <= batch_size <= len(examples):
        raise ValueError(
            f"A batch of {batch_size} cannot be drawn from {len(examples)} examples; "
            f"choose 1 to {len(examples)}."
        )
    if num_processes < 1 or batch_size % num_processes:
        raise ValueError(
            f"{num_processes} processes do not divide a batch of {batch_size}."
        )
    if not 0 <= process < num_processes:
        raise ValueError(f"There is no process {process} among {num_processes}.")
    # Not every machine that pads prompts has grain; only training draws batches.
    import grain

    shuffled = grain.MapDataset.source(examples).seed(seed).shuffle()
    # Cut before it is shared out, so that all processes have as many batches.
    whole = shuffled[: len(examples) // batch_size * batch_size]
    shared = whole[process::num_processes]
    return shared.batch(batch_size // num_processes, batch_fn=list).repeat()


def batches(
    examples: Sequence[T], *, batch_size: int, seed: int
) -> Callable[[int], list[T]]:
    """Returns `batch(step)`, a pure function of the step: nothing to save or restore.

    Args:
      examples: anything that is indexed, such as a TFDS data source.
      batch_size: examples in a batch.
      seed: of the shuffles; see `pipeline`.

    Returns:
      The function from a step, counted from zero without limit, to its examples.

    Raises:
      ValueError: if there are fewer than two examples, or fewer than a batch.
    """
    dataset = pipeline(examples, batch_size=batch_size, seed=seed)
    # A batch is a list, as `batch_fn` says, and None only where an epoch is filtered.
    return lambda step: cast(list[T], dataset[step])


def prompt_batches(
    prompts: Encoded, *, batch_size: int, length: int, pad_id: int, seed: int
) -> Callable[[int], types.Prompts]:
    """Returns `batch(step)` over encoded prompts, as `batches` over examples.

    Args:
      prompts: such as `prompt_ids` returned.
      batch_size: prompts in a batch.
      length: number of columns; see `pad_prompts`.
      pad_id: what fills the columns without a token.
      seed: of the shuffles.

    Returns:
      The function from a step to its prompts `[batch_size, length]`; their ids are
      those of `prompts`.
    """
    draw = batches(range(len(prompts.tokens)), batch_size=batch_size, seed=seed)

    def batch(step: int) -> types.Prompts:
        """Returns the prompts of a step."""
        rows = draw(step)
        return padding.pad_prompts(
            [prompts.tokens[row] for row in rows],
            prompts.ids[rows],
            length=length,
            pad_id=pad_id,
        )

    return batch


def bucket_lengths(
    lengths: Sequence[int], *, batch_size: int, number: int
) -> tuple[int, ...]:
    """Returns lengths to pad batches to, each met by about as many batches.

    They are quantiles of the longest of `batch_size` prompts drawn at random, whose
    distribution is that of one prompt to the power of `batch_size`.

    Args:
      lengths: tokens of each prompt.
      batch_size: prompts in a batch.
      number: how many lengths at most; each costs a compilation.

    Returns:
      Different lengths, the shortest first; the last one is that of the longest prompt.

    Raises:
      ValueError: there is no prompt, or a number is below 1.
    """
    if not len(lengths):
        raise ValueError("there are no lengths to choose from")
    shapes = bucket_shapes(
        np.asarray(lengths)[:, None], batch_size=batch_size, number=number
    )
    return tuple(length for (length,) in shapes)


def bucket_shapes(
    lengths: np.ndarray, *, batch_size: int, number: int
) -> tuple[tuple[int, ...], ...]:
    """Returns several lengths at once to pad batches to: `bucket_lengths` of each.

    Args:
      lengths: `[num_examples, K]` such as the tokens of each prompt, and of the longest
        response to it.
      batch_size: examples in a batch.
      number: how many shapes at most; each costs a compilation.

    Returns:
      Different shapes of `K` lengths each, each at least as long as those before; the
      last one holds every example.

    Raises:
      ValueError: there is no example, or a number is below 1.
    """
    checks.whole(batch_size, "batch_size")
    checks.whole(number, "number")
    if not len(lengths):
        raise ValueError("there are no lengths to choose from")
    ordered = np.sort(lengths, axis=0)
    shares = (np.arange(1, number + 1) / number) ** (1 / batch_size)
    places = np.ceil(shares * len(ordered)).astype(int) - 1
    return tuple(map(tuple, np.unique(ordered[places], axis=0).tolist()))
