"""Values that cross rooms: what kind of pytree they are."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from nashalign import types


@types.pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Left:
    value: object
    name: str = dataclasses.field(default="a", metadata={"static": True})


@types.pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Right:
    value: object
    name: str = dataclasses.field(default="a", metadata={"static": True})


def test_two_types_with_the_same_fields_have_different_structures():
    assert jax.tree.structure(Left(value=1)) != jax.tree.structure(Right(value=1))


def test_static_fields_are_structure_and_others_are_leaves():
    assert jax.tree.structure(Left(value=1)) == jax.tree.structure(Left(value=2))
    assert jax.tree.structure(Left(value=1)) != jax.tree.structure(
        Left(value=1, name="b")
    )
    assert jax.tree.leaves(Left(value={"x": 1, "y": 2})) == [1, 2]


def test_a_value_survives_flattening():
    value = Left(value=(jnp.arange(3), None), name="b")
    leaves, structure = jax.tree.flatten(value)
    back = jax.tree.unflatten(structure, leaves)
    assert isinstance(back, Left) and back.name == "b" and back.value[1] is None
    assert back.value[0] is leaves[0]


def test_leaves_are_named_by_their_field():
    paths = jax.tree_util.tree_leaves_with_path(Left(value={"x": 1}))
    assert jax.tree_util.keystr(paths[0][0], simple=True, separator=".") == "value.x"


def test_a_compiled_function_tells_types_apart():
    double = jax.jit(lambda v: v.value * (2 if isinstance(v, Left) else 3))
    one = jnp.ones(())
    assert double(Left(value=one)) == 2 and double(Right(value=one)) == 3


@pytest.mark.parametrize("name", ["Prompts", "Responses", "Groups"])
def test_a_value_cannot_be_changed(name):
    fields = {f.name: None for f in dataclasses.fields(getattr(types, name))}
    value = getattr(types, name)(**fields)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.tokens = 1
