r"""Low-rank adapters: a policy that is trained by a small addition to each kernel.

.. math:: W' = W + \frac{\alpha}{r} A B, \qquad A \in \mathbb{R}^{D \times r},
          B \in \mathbb{R}^{r \times E}

Hu et al. 2021 (arXiv:2106.09685). `A` and `B` lie beside their kernel in the tree of
parameters, so that a policy with adapters is a policy like any other. Where a tree has
adapters they alone are trained; the rest, its *base*, is shared by all policies that
differ in nothing else: the reference is the base with the adapters of the start.
"""

import dataclasses
import math
import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nashalign import checks
from nashalign.policies.products import project

Params = Any

A, B = "lora_a", "lora_b"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lora:
    """Size and place of the adapters.

    Attributes:
      rank: `r`, at least one.
      alpha: what the product is multiplied by, over the rank; > 0.
      targets: names of the projections that have adapters, such as `"q_proj"`; None is
        every projection of every layer.
      rank_stabilized: whether it is over the root of the rank instead (Kalajdzievski
        2023, arXiv:2312.03732).

    Raises:
      TypeError: the rank is no whole number, or alpha no number.
      ValueError: one of them is not positive, or the targets are none.
    """

    rank: int
    alpha: float = 16.0
    targets: tuple[str, ...] | None = None
    rank_stabilized: bool = False

    def __post_init__(self):
        """Checks the numbers."""
        checks.whole(self.rank, "rank")
        checks.setting(self.alpha, "alpha", above=0)
        if self.targets is not None and not self.targets:
            raise ValueError("targets are none; name a projection, or say None for all")

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied by."""
        over = math.sqrt(self.rank) if self.rank_stabilized else self.rank
        return self.alpha / over


class Linear(nnx.Module):
    """A projection: a kernel, a bias if it has one, and an adapter if it is given one.

    The adapters of several policies of one base may be there together, `[N, D, r]`:
    rows then come in `N` equal blocks, one for each of them.
    """

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs, *, bias: bool):
        """Makes the kernel, initialised as in Llama, and a bias of zeros."""
        init = nnx.initializers.normal(0.02)
        self.kernel = nnx.Param(init(rngs.params(), (inputs, outputs), jnp.float32))
        if bias:
            self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))
        self.lora: Lora | None = None

    def adapt(self, lora: Lora, rngs: nnx.Rngs) -> None:
        """Adds an adapter, which changes nothing before it is trained: `B` is zero."""
        inputs, outputs = self.kernel.shape
        bound = 1 / math.sqrt(inputs)
        shape = (inputs, lora.rank)
        first = jax.random.uniform(rngs.params(), shape, jnp.float32, -bound, bound)
        self.lora_a = nnx.Param(first)
        self.lora_b = nnx.Param(jnp.zeros((lora.rank, outputs), jnp.float32))
        self.lora = lora

    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns `[*B, S, E]` of `[*B, S, D]`."""
        y = project(x, self.kernel[...])
        if self.lora is not None:
            y = y + self._delta(x, self.lora.scale).astype(y.dtype)
        if hasattr(self, "bias"):
            bias = self.bias[...]
            y = y + jnp.expand_dims(bias, range(y.ndim - 1))
        return y

    def _delta(self, x, scale):
        """What the adapters add."""
        a, b = self.lora_a[...], self.lora_b[...]
        x = x.astype(jnp.promote_types(x.dtype, a.dtype))
        if a.ndim == 2:
            return project(project(x, a), b) * scale
        blocks = x.reshape(len(a), -1, x.shape[-1])
        return ((blocks @ a) @ b * scale).reshape(*x.shape[:-1], -1)


def attach(module: nnx.Module, lora: Lora | None, rngs: nnx.Rngs) -> None:
    """Gives adapters to the projections of a module that are to have them.

    Args:
      module: such as a layer, whose `Linear` are known by the names they have in it.
      lora: which, and of what rank; None gives none.
      rngs: of the first matrices.
    """
    if lora is None:
        return
    for path, own in list(nnx.iter_graph(module)):
        if isinstance(own, Linear) and _is_target(path[-1], lora):
            own.adapt(lora, rngs)


def _is_target(name, lora):
    return lora.targets is None or name in lora.targets


def has_adapters(params: Params) -> bool:
    """Returns whether there is an adapter in a tree of parameters."""
    return bool(_pruned(params, adapters=True))


def trained(params: Params) -> Params:
    """Returns what is trained: the adapters alone where there are any, else all."""
    return _pruned(params, adapters=True) or params


def base(params: Params) -> Params:
    """Returns a tree of parameters without its adapters."""
    return _pruned(params, adapters=False) if has_adapters(params) else params


def join(params: Params, own: Params) -> Params:
    """Returns a tree with some of its leaves replaced, or adapters added to it.

    Args:
      params: nested dictionaries.
      own: the same, of some of the leaves, or of others.
    """
    if not isinstance(own, dict):
        return own
    found = dict(params)
    for name, value in own.items():
        found[name] = join(found[name], value) if name in found else value
    return found


def merged(params: Params, lora: Lora) -> Params:
    r"""Returns parameters without adapters of the same policy, :math:`W + s A B`.

    Args:
      params: with adapters.
      lora: their scale.
    """
    if not isinstance(params, dict):
        return params
    found = {n: merged(own, lora) for n, own in params.items() if n not in (A, B)}
    if A in params:
        dtype = jnp.promote_types(params["kernel"].dtype, params[A].dtype)
        kernel, a, b = (params[n].astype(dtype) for n in ("kernel", A, B))
        found["kernel"] = kernel + lora.scale * (a @ b)
    return found


def together(params: Mapping[str, Params]) -> Params | None:
    """Returns policies of one base as one, that reads all their rows in one pass.

    Args:
      params: of each policy, by name. That they have a base in common is seen from its
        arrays, which are the same objects.

    Returns:
      Parameters whose adapters are stacked, for rows that come in blocks, one for each
      policy in the order of their names here; None where they have no base in common,
      or there is but one policy.
    """
    trees = list(params.values())
    first, *others = [jax.tree.leaves(base(tree)) for tree in trees]
    same = all(
        len(own) == len(first) and all(map(operator.is_, own, first)) for own in others
    )
    if len(trees) < 2 or not same or not all(map(has_adapters, trees)):
        return None
    own = [trained(tree) for tree in trees]
    # Behind the layers' axis, where there is one: a scan takes that one away.
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves, leaves[0].ndim - 2), *own)
    return join(trees[0], stacked)


def _pruned(params, *, adapters):
    """The leaves that are adapters, or the others, in their nested dictionaries."""
    found = {}
    if not isinstance(params, dict):  # A policy of another kind has none.
        return found
    for name, own in params.items():
        if isinstance(own, dict):
            if inner := _pruned(own, adapters=adapters):
                found[name] = inner
        elif (name in (A, B)) == adapters:
            found[name] = own
    return found
