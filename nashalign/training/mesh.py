"""Meshes and shardings; the only place that names a device.

A step is written once, for any number of devices, as `step(state, batch, *others,
reduce)`. It sums over its batch and puts `reduce` around every such sum, numerators and
denominators alike, before it divides. Under `jit` the batch is one array, however it is
sharded, and `reduce` is the identity; under `jax.pmap` the step sees its device's share
and `reduce` is a sum over devices.

    def step(state, batch, *, reduce):
        def loss(w):
            return jnp.sum((batch.x @ w - batch.y) ** 2)
        total, gradient = jax.value_and_grad(loss)(state.w)
        total, gradient, count = reduce((total, gradient, batch.y.size))
        ...
        return state, {"loss": total / count}, None

What a step returns: the state; metrics, scalars already reduced; and a record, None or
a pytree of arrays with the batch as their leading axis.

Mesh axes: `data` shares out the batch, `fsdp` the batch and the state. Tensor
parallelism is absent: models of this size do not need it.
"""

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from nashalign import compiling

PyTree = Any
# jax.Device, of which jax's own annotations do not say that it is a class.
Device = Any
DATA, FSDP = "data", "fsdp"


def make_mesh(devices: list[Device] | None = None, *, fsdp: int = 1) -> Mesh:
    """Returns a mesh over all devices, or over those given.

    Args:
      devices: the devices to use; all by default.
      fsdp: over how many of them the state is shared out; it divides their number.

    Returns:
      A mesh with the axes `data` and `fsdp`.

    Raises:
      ValueError: if `fsdp` does not divide the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    if fsdp < 1 or len(devices) % fsdp:
        raise ValueError(f"fsdp is {fsdp}; it must divide {len(devices)}, the devices")
    # The default axis type, Explicit, refuses ordinary model code.
    return jax.make_mesh(
        (len(devices) // fsdp, fsdp),
        (DATA, FSDP),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def batched(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of arrays whose leading axis is the batch."""
    return NamedSharding(mesh, PartitionSpec((DATA, FSDP)))


def fully_sharded(tree: PyTree, mesh: Mesh) -> PyTree:
    """Returns shardings that share a state out over the `fsdp` axis.

    Each array is cut along its largest axis that the devices divide; one without such
    an axis, and every random key, is held whole.

    Args:
      tree: a pytree of arrays, or of their shapes.
      mesh: from `make_mesh`.

    Returns:
      A tree of the same structure, of shardings.
    """

    def sharding(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return replicated(mesh)
        sizes = [size * (size % mesh.shape[FSDP] == 0) for size in leaf.shape]
        if not any(sizes):
            return replicated(mesh)
        before = [None] * int(np.argmax(sizes))
        return NamedSharding(mesh, PartitionSpec(*before, FSDP))

    return jax.tree.map(sharding, tree)


# `step(state, batch, *others, reduce) -> (state, metrics, record)`, pure: on all of a
# batch, or on a share of it, sums over devices being `reduce`'s.
Step = Callable[..., tuple[PyTree, Mapping, PyTree]]


class Placed(Protocol):
    """A step whose arguments may come from anywhere."""

    def __call__(
        self, state: PyTree, batch: PyTree, /, *others: PyTree
    ) -> tuple[PyTree, Mapping, PyTree]:
        """Returns the next state, metrics, and a record of the batch."""
        ...


def data_parallel(
    step: Step,
    mesh: Mesh,
    *,
    state_sharding: PyTree | None = None,
) -> Placed:
    """Compiles a step for a mesh: the batch is shared out, all else is replicated.

    The result donates what it has returned itself: a state that comes back as it was
    left is gone after the call. Arrays from elsewhere, which their owner may still need
    or which are in the state twice, such as a policy that is its own reference, are
    copied before.

    Args:
      step: `step(state, batch, *others, reduce) -> (state, metrics, record)`, pure.
      mesh: from `make_mesh`; one device is a mesh of one.
      state_sharding: a sharding, or a tree of them as of `fully_sharded`, where the
        state is not to be replicated.

    Returns:
      `step(state, batch, *others) -> (state, metrics, record)`. Arguments are moved to
      where they belong, so that they may come from anywhere; others that are on the
      mesh already stay as they are sharded.

    Raises:
      ValueError: in the call, if the devices do not divide the batch.
    """
    whole, shared = replicated(mesh), batched(mesh)
    state_sharding = whole if state_sharding is None else state_sharding
    compiled = jax.jit(
        functools.partial(step, reduce=_identity),
        out_shardings=(state_sharding, whole, shared),
        donate_argnums=0,
        compiler_options=compiling.compiler_options(mesh.devices.flat[0].platform),
    )
    left = weakref.WeakValueDictionary()

    def call(state, batch, *others):
        _require_divided(batch, mesh.size)
        state = _owned(state, left)
        state, metrics, record = compiled(
            jax.device_put(state, state_sharding),
            jax.device_put(batch, shared),
            *_put(others, whole),
        )
        left.clear()
        left.update({id(leaf): leaf for leaf in jax.tree.leaves(state)})
        return state, metrics, record

    return call


def pmapped(step: Step, devices: list[Device] | None = None) -> Placed:
    """Maps a step over devices with `jax.pmap`; the state is held whole by each.

    Args:
      step: `step(state, batch, *others, reduce) -> (state, metrics, record)`, pure, and
        such that reduced sums alone make the new state and the metrics.
      devices: the devices to use; all by default.

    Returns:
      `step(state, batch, *others) -> (state, metrics, record)`, of the same shapes as
      on one device.

    Raises:
      ValueError: in the call, if the devices do not divide the batch.
    """
    devices = jax.devices() if devices is None else devices
    total = functools.partial(jax.lax.psum, axis_name=DATA)

    @functools.partial(
        jax.pmap,
        axis_name=DATA,
        in_axes=(None, 0, None),
        out_axes=(None, None, 0),
        devices=devices,
    )
    def mapped(state, batch, others):
        return step(state, batch, *others, reduce=total)

    def call(state, batch, *others):
        _require_divided(batch, len(devices))
        shares = jax.tree.map(lambda array: _shares(array, len(devices)), batch)
        state, metrics, record = mapped(state, shares, others)
        return state, metrics, jax.tree.map(_rejoined, record)

    return call


def _put(tree: PyTree, sharding: NamedSharding) -> PyTree:
    """Arrays moved to a sharding, but for those that are on its mesh already."""

    def put(leaf):
        own = getattr(leaf, "sharding", None)
        there = isinstance(own, NamedSharding) and own.mesh == sharding.mesh
        return leaf if there else jax.device_put(leaf, sharding)

    return jax.tree.map(put, tree)


def _owned(state: PyTree, left: Mapping[int, jax.Array]) -> PyTree:
    """A state with copies in the place of arrays that a step must not donate.

    Args:
      state: a pytree of arrays.
      left: the arrays, by `id`, that the step has left and nobody else owns.
    """
    taken = set()

    def own(leaf):
        if left.get(id(leaf)) is leaf and id(leaf) not in taken:
            taken.add(id(leaf))
            return leaf
        return jnp.copy(leaf)

    return jax.tree.map(own, state)


def _shares(array, num: int):
    """An array `[batch, ...]` as `[num, batch / num, ...]`; it may be empty."""
    return array.reshape(num, array.shape[0] // num, *array.shape[1:])


def _rejoined(shares):
    """An array `[devices, share, ...]` as `[batch, ...]`; it may be empty."""
    return shares.reshape(shares.shape[0] * shares.shape[1], *shares.shape[2:])


def _identity(tree: PyTree) -> PyTree:
    """What `reduce` is where the batch is one array."""
    return tree


def _require_divided(batch: PyTree, devices: int) -> None:
    """Raises if the leading axis cannot be shared out evenly."""
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(batch)}
    if any(size % devices for size in sizes):
        raise ValueError(
            f"a batch of {max(sizes)} cannot be shared out evenly among {devices} "
            f"devices; make it a multiple of {devices}"
        )
