"""Arrays of a pytree as a checkpoint stores them: by name, random keys as numbers."""

from typing import Any

import jax
import numpy as np

PyTree = Any


def names(tree: PyTree) -> PyTree:
    """Returns the tree with each leaf replaced by the name of its path."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator=".") or "_",
        tree,
    )


def stored(tree: PyTree) -> dict[str, jax.Array | np.ndarray]:
    """Returns the leaves by name, in the form in which they are stored."""
    called, leaves = jax.tree.leaves(names(tree)), jax.tree.leaves(tree)
    for name, leaf in zip(called, leaves, strict=True):
        if not isinstance(leaf, jax.Array | np.ndarray):
            raise TypeError(
                f"leaf {name} is a {type(leaf).__name__}, {leaf!r}; a checkpoint holds "
                "arrays: wrap it in jnp.asarray"
            )
    if len(set(called)) < len(called):
        raise ValueError(f"two leaves have the same name among {sorted(called)}")
    return {
        name: jax.random.key_data(leaf) if is_key(leaf) else leaf
        for name, leaf in zip(called, leaves, strict=True)
    }


def is_key(leaf) -> bool:
    """Returns whether a leaf is a typed random key."""
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def target(leaf) -> jax.ShapeDtypeStruct | np.ndarray:
    """Returns what orbax is asked to restore."""
    if isinstance(leaf, np.ndarray):
        return leaf
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def like(restored, leaf):
    """Returns the restored leaf in the type and sharding of the given one."""
    if not is_key(leaf):
        return restored
    key = jax.random.wrap_key_data(restored, impl=jax.random.key_impl(leaf))
    return jax.device_put(key, leaf.sharding)


def signature(leaf) -> str:
    """Returns type and shape, as in float32[3, 4]."""
    return f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"
