"""The few values that cross rooms: prompts, responses, and weighted groups.

Axis letters, here and everywhere: `B` prompts of a batch, `N` responses in a prompt's
table, `G` groups made of that table, `K` members of a group, `M` opponents it meets,
`P` prompt tokens, `T` response tokens, `V` vocabulary, `Y` responses of a finite game.

Every value is a pytree of arrays whose leading axis is the batch, so that it can be
sharded over devices, saved and mapped without knowing what it means.
"""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np

# Narrower than chex.Array and chex.Numeric, in which NumPy's scalars are arrays: those
# take no index, and truth values have no difference.
Array = jax.Array | np.ndarray
Numeric = Array | np.number | float
# Whole numbers in order: places in a table, or ids.
Indices = Sequence[int] | np.ndarray

_Class = TypeVar("_Class", bound=type)


def pytree(cls: _Class) -> _Class:
    """Registers a frozen dataclass as a pytree; static fields are structure.

    What `jax.tree_util.register_dataclass` does, but for a fault of jaxlib (seen in
    0.10.2): it does not compare the types of two registered dataclasses, so that where
    fields and hashes happen to agree, one is unflattened as, and compiled for, the
    other.

    Args:
      cls: a dataclass; fields with `metadata={"static": True}` are part of the
        structure and must be hashable, all others are children.

    Returns:
      The class.
    """
    fields = dataclasses.fields(cls)
    static = tuple(f.name for f in fields if f.metadata.get("static"))
    data = tuple(f.name for f in fields if f.name not in static)

    def structure(value):
        return tuple(getattr(value, name) for name in static)

    def flatten(value):
        return [getattr(value, name) for name in data], structure(value)

    def flatten_with_keys(value):
        children, aux = flatten(value)
        keys = map(jax.tree_util.GetAttrKey, data)
        return list(zip(keys, children, strict=True)), aux

    def unflatten(aux, children):
        # Past `__init__`, which may check what a tracer or a placeholder is not.
        value = object.__new__(cls)
        named = (*zip(data, children, strict=True), *zip(static, aux, strict=True))
        for name, part in named:
            object.__setattr__(value, name, part)
        return value

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompts:
    """A batch of prompts, padded on the left so that all end at the same place.

    Attributes:
      tokens: `[B, P]` int32 token ids.
      mask: `[B, P]` bool, false on padding; the last column is true in every row.
      ids: `[B]` int32 example ids. Random keys are folded with them, so that what is
        drawn for an example does not depend on the batch it came in.
    """

    tokens: Array
    mask: Array
    ids: Array


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Responses:
    """`N` responses to each prompt, padded on the right.

    A response is its tokens up to and including the end-of-sequence token, or the one
    that completes a text that ends it. One that was cut at the maximal length has
    neither: it is marked, and its probability is that of its tokens.

    Attributes:
      tokens: `[B, N, T]` int32 token ids, padding after the end.
      mask: `[B, N, T]` bool, true on the response's own tokens, the end included.
      truncated: `[B, N]` bool, true where the maximal length cut the response.
    """

    tokens: Array
    mask: Array
    truncated: Array


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples:
    """A batch of an offline data set: prompts with responses that somebody wrote.

    Attributes:
      prompts: the `B` prompts.
      responses: `[B, N, T]`; a pair of a preference data set is N = 2.
      preference: `[B, N, N]` P(row beats column), votes or shares of votes; None where
        nobody has compared them.
      rewards: `[B, N]` their rewards; None where nobody has scored them.
      probability: `[B]` weight of each example in the batch; None for equal ones.
      frozen_log_probs: name of a frozen policy -> `[B, N, T]` per-token log-probability
        (nats) of these responses to these prompts under it. A row whose steps do not
        move that policy reads them instead of computing them. Nobody can see that they
        are another policy's: whoever puts them here answers for it.
    """

    prompts: Prompts
    responses: Responses
    preference: Array | None = None
    rewards: Array | None = None
    probability: Array | None = None
    frozen_log_probs: dict[str, Array] = dataclasses.field(default_factory=dict)


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
    """What one update consumes: weighted groups of responses.

    Each prompt has a table of unique responses, and groups index into that table. A
    comparison is a group of two. The sampler gives equal probabilities; the enumerator
    of a token game gives every group with its exact probability, and the same terms
    then compute the expected update.

    Attributes:
      prompts: the `B` prompts.
      responses: the table, `[B, N, T]`.
      frozen_log_probs: name of a frozen policy -> `[B, N, T]` per-token log-probability
        (nats) of the table's responses under it, zero where masked. The reference is
        there unless the row has none.
      members: `[B, G, K]` int32, the group's responses as indices into the table.
      opponents: `[B, G, M]` int32, the responses they are compared with.
      probability: `[B, G]` weight of the group; detached, never trained through.
      preference: `[B, N, N]` P(row beats column); a complement when transposed. None
        until annotated, or where the method reads rewards.
      rewards: `[B, N]` scalar rewards; None where the method reads preferences.
      kept: `[B, G]` bool, false on groups that the method's selection drops; their
        probability still counts in the denominator. None where all are kept.
      log_probs: `[B, N, T]` under the policy in training, set where a loss is made.
      statistics: name -> array, what else the method's loss reads of the policy in
        training and of its heads; set where a loss is made.
    """

    prompts: Prompts
    responses: Responses
    frozen_log_probs: dict[str, Array]
    members: Array
    opponents: Array
    probability: Array
    preference: Array | None = None
    rewards: Array | None = None
    kept: Array | None = None
    log_probs: Array | None = None
    statistics: dict[str, Array] = dataclasses.field(default_factory=dict)

    @property
    def reference_log_probs(self) -> Array:
        """Per-token log-probability under the reference, `[B, N, T]`.

        Raises:
          ValueError: the row has no reference.
        """
        if "reference" not in self.frozen_log_probs:
            raise ValueError("the row has no reference, nor log-probabilities under it")
        return self.frozen_log_probs["reference"]
