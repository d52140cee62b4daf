"""What a run trades for memory, and how a gradient is taken piece by piece."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nashalign import checks, policies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Time and precision that are given for memory; the defaults suit a laptop.

    Attributes:
      remat: whether the backward pass computes each layer again instead of keeping all
        that it needs, in memory that grows with the depth.
      num_microbatches: in how many pieces, which must divide the prompts of a batch,
        responses are read for a gradient. Each is read once more than a whole batch
        is; memory is that of one. The gradient is that of the whole batch
        for every row, up to the order of its sums; KTO, which reads a neighbour's
        response, needs pieces of pairs for that.
      frozen_dtype: name of the type in which frozen policies that stay where they are
        are kept, such as `"bfloat16"`; the policy's own where it is None. Those that
        move stay in the policy's: a short step would be rounded away.
      compute_dtype: name of the type in which all policies compute, such as
        `"bfloat16"`; that of their parameters where it is None. What is trained is
        kept in its own, and log-probabilities and losses are in at least float32.

    Raises:
      TypeError: if one of them is of another type, or the name is not of one.
      ValueError: if there is less than one piece.
    """

    remat: bool = True
    num_microbatches: int = 1
    frozen_dtype: str | None = None
    compute_dtype: str | None = None

    def __post_init__(self):
        """Checks the values."""
        checks.whole(self.num_microbatches, "num_microbatches")
        for name in (self.frozen_dtype, self.compute_dtype):
            if name is not None and not jnp.issubdtype(jnp.dtype(name), jnp.floating):
                raise ValueError(f"{name!r} is no type of floating numbers")

    def freeze(self, params: Any) -> Any:
        """Returns the parameters of a frozen policy in its type."""
        return policies.cast(params, self.frozen_dtype)


def value_and_grad(
    read: Callable[[Any, Any], Any],
    total: Callable[[Any], tuple[jax.Array, Any]],
    params: Any,
    batch: Any,
    num_pieces: int,
) -> tuple[jax.Array, Any, Any]:
    r"""A loss of all that is read of a batch, and its gradient, read piece by piece.

    .. math:: \nabla_\theta L(r_1(\theta), \ldots, r_B(\theta))
              = \sum_i \frac{\partial L}{\partial r_i} \nabla_\theta r_i(\theta)

    The loss may look at all of the batch at once: first everything is read, without a
    gradient, then the loss's own derivative is taken, and then each piece is read again
    and followed back from its share of that.

    Args:
      read: `(params, piece) -> found`, arrays with the piece's leading axis.
      total: `(found) -> (loss, more)`, of what was read of the whole batch.
      params: what the gradient is of.
      batch: a pytree of arrays with one leading axis `B`.
      num_pieces: a divisor of `B`.

    Returns:
      The loss, `more`, and the gradient.

    Raises:
      ValueError: the pieces do not divide the batch.
    """
    if num_pieces == 1:
        (loss, more), gradient = jax.value_and_grad(
            lambda params: total(read(params, batch)), has_aux=True
        )(params)
        return loss, more, gradient
    pieces = jax.tree.map(lambda leaf: _split(leaf, num_pieces), batch)
    found = jax.lax.map(lambda piece: read(params, piece), pieces)
    whole = jax.tree.map(_joined, found)
    (loss, more), slope = jax.value_and_grad(total, has_aux=True)(whole)
    slopes = jax.tree.map(lambda leaf: _split(leaf, num_pieces), slope)

    def add(gradient, pair):
        piece, own = pair
        _, follow = jax.vjp(lambda params: read(params, piece), params)
        return jax.tree.map(jnp.add, gradient, follow(own)[0]), None

    zero = jax.tree.map(jnp.zeros_like, params)
    gradient, _ = jax.lax.scan(add, zero, (pieces, slopes))
    return loss, more, gradient


def _split(leaf, number):
    """`[B, ...]` as `[number, B / number, ...]`.

    A piece is taken from all over the batch, so that each device that has a share of it
    has one of every piece; two neighbours stay together where a piece is of pairs.
    """
    size, rest = divmod(len(leaf), number)
    if rest:
        raise ValueError(
            f"{number} microbatches do not divide a batch of {len(leaf)} prompts; give "
            "a divisor"
        )
    block = 2 - size % 2
    leaf = leaf.reshape(size // block, number, block, *leaf.shape[1:])
    return jnp.swapaxes(leaf, 0, 1).reshape(number, size, *leaf.shape[3:])


def _joined(pieces):
    """The inverse of `_split`."""
    number, size = pieces.shape[:2]
    block = 2 - size % 2
    leaf = pieces.reshape(number, size // block, block, *pieces.shape[2:])
    return jnp.swapaxes(leaf, 0, 1).reshape(number * size, *pieces.shape[2:])
