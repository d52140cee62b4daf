"""One device, eight devices and pmap make the same step."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from nashalign import training
from nashalign.types import pytree

OPTIMIZER = optax.sgd(0.05, momentum=0.9)


@pytree
@dataclasses.dataclass(frozen=True)
class State:
    w: jax.Array
    opt_state: optax.OptState
    step: jax.Array
    key: jax.Array


def start():
    w = jax.random.normal(jax.random.key(1), (16, 3))
    return State(
        w=w, opt_state=OPTIMIZER.init(w), step=jnp.int32(0), key=jax.random.key(2)
    )


def batches(num=3, size=24):
    """Regressions with weights, so that a mean of the devices' means is wrong."""
    random = np.random.default_rng(0)
    return [
        {
            "x": random.normal(size=(size, 16)).astype(np.float32),
            "y": random.normal(size=(size, 3)).astype(np.float32),
            "weight": np.arange(size, dtype=np.float32) / size,
            "ids": np.arange(size, dtype=np.int32),
            "opponents": np.zeros((size, 2, 0), np.int32),
        }
        for _ in range(num)
    ]


def step(state, batch, scale, *, reduce):
    """One step of weighted linear regression, on inputs with noise by example."""
    key = jax.random.fold_in(state.key, state.step)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["ids"])
    noise = jax.vmap(lambda key: jax.random.normal(key, (16,)))(keys)

    def loss_of(w):
        errors = jnp.sum(((batch["x"] + noise) @ w - batch["y"]) ** 2, axis=-1)
        return scale * jnp.sum(batch["weight"] * errors), errors

    (total, errors), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.w)
    total, gradient, weight = reduce((total, gradient, jnp.sum(batch["weight"])))
    gradient = gradient / weight
    updates, opt_state = OPTIMIZER.update(gradient, state.opt_state, state.w)
    state = dataclasses.replace(
        state,
        w=optax.apply_updates(state.w, updates),
        opt_state=opt_state,
        step=state.step + 1,
    )
    metrics = {
        "loss": total / weight,
        "gradient_norm": jnp.linalg.norm(gradient),
        "weight": weight,
    }
    record = {"errors": errors, "noise": noise, "opponents": batch["opponents"]}
    return state, metrics, record


def trained(compiled, state=None):
    state, left = start() if state is None else state, []
    for batch in batches():
        state, metrics, record = compiled(state, batch, 0.1)
        left.append(jax.device_get((metrics, record)))
    return state, left


def one_device():
    return training.data_parallel(step, training.make_mesh(jax.devices()[:1]))


def eight_devices():
    return training.data_parallel(step, training.make_mesh())


def fully_sharded():
    mesh = training.make_mesh(fsdp=4)
    shardings = training.fully_sharded(start(), mesh)
    return training.data_parallel(step, mesh, state_sharding=shardings)


def host_values(state):
    state = dataclasses.replace(state, key=jax.random.key_data(state.key))
    return jax.device_get(state)


@pytest.mark.parametrize(
    "several", [eight_devices, fully_sharded, lambda: training.pmapped(step)]
)
def test_many_devices_take_the_same_steps_as_one(several):
    state, left = trained(one_device())
    other_state, other_left = trained(several())
    chex.assert_trees_all_close(
        host_values(state), host_values(other_state), rtol=1e-6, atol=1e-6
    )
    chex.assert_trees_all_close(left, other_left, rtol=1e-5, atol=1e-6)
    # What is drawn for an example is equal, not close.
    for (_, record), (_, other) in zip(left, other_left, strict=True):
        np.testing.assert_array_equal(record["noise"], other["noise"])


def test_one_device_takes_the_step_that_is_written():
    state = start()
    for batch in batches():
        state, _, _ = step(state, batch, 0.1, reduce=lambda tree: tree)
    chex.assert_trees_all_close(
        host_values(state), host_values(trained(one_device())[0]), rtol=1e-5, atol=1e-6
    )


def test_the_state_is_replicated_and_the_record_shared_out():
    mesh = training.make_mesh()
    compiled = training.data_parallel(step, mesh)
    state, metrics, record = compiled(start(), batches()[0], 0.1)
    assert state.w.sharding == training.replicated(mesh)
    assert metrics["loss"].sharding.is_fully_replicated
    assert record["errors"].sharding == training.batched(mesh)
    assert record["errors"].addressable_shards[0].data.shape == (3,)


@pytest.mark.parametrize("several", [one_device, eight_devices, fully_sharded])
def test_the_state_is_donated(several):
    # JAX does not donate while it looks for NaN.
    with jax.debug_nans(False):
        compiled = several()
        state, _, _ = compiled(start(), batches()[0], 0.1)
        compiled(state, batches()[1], 0.1)
        assert state.w.is_deleted()


def drift(state, batch, *, reduce):
    """A step of a policy whose reference begins as the same arrays."""
    total = reduce(jnp.sum(batch["weight"]))
    moved = {"policy": state["policy"] + total, "reference": state["reference"]}
    return moved, {"total": total}, None


@pytest.mark.parametrize("num_devices", [1, 8])
def test_arrays_from_elsewhere_outlive_the_step_and_may_be_there_twice(num_devices):
    mesh = training.make_mesh(jax.devices()[:num_devices])
    with jax.debug_nans(False):
        compiled = training.data_parallel(drift, mesh)
        mine, batch = jnp.arange(3.0), batches()[0]
        for _ in range(2):
            state, metrics, _ = compiled({"policy": mine, "reference": mine}, batch)
            before = state
            state, _, _ = compiled(state, batch)
        total = float(metrics["total"])
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
        # Part of a state may come back with something else in it.
        mixed, _, _ = compiled(state | {"reference": mine}, batch)
        # An earlier step's is somebody else's too.
        again, _, _ = compiled(mixed, batch)
        compiled({"policy": mine, "reference": mine}, batch)
        compiled(again, batch)
        assert not again["policy"].is_deleted()
    np.testing.assert_allclose(mine, [0.0, 1.0, 2.0])
    np.testing.assert_allclose(again["policy"], np.arange(3.0) + 4 * total, rtol=1e-6)
    np.testing.assert_array_equal(again["reference"], mine)


def test_a_fully_sharded_state_stays_so():
    mesh, compiled = training.make_mesh(fsdp=4), fully_sharded()
    state, _, _ = compiled(start(), batches()[0], 0.1)
    assert state.w.sharding.spec == PartitionSpec("fsdp")
    assert state.w.addressable_shards[0].data.shape == (4, 3)
    trace = jax.tree.leaves(state.opt_state)[0]
    assert trace.sharding.is_equivalent_to(state.w.sharding, 2)
    assert state.step.sharding == training.replicated(mesh)


def test_ordinary_model_code_runs_on_a_mesh():
    mesh = training.make_mesh(fsdp=2)
    table = jax.device_put(jnp.arange(12.0).reshape(4, 3), training.replicated(mesh))
    ids = jax.device_put(jnp.arange(8) % 4, training.batched(mesh))
    taken = jax.jit(lambda table, ids: table[ids])(table, ids)
    np.testing.assert_array_equal(taken, np.asarray(table)[np.arange(8) % 4])


@pytest.mark.parametrize(
    "shape, spec",
    [
        ((), ()),
        ((3,), ()),
        ((8,), ("fsdp",)),
        ((4, 12), (None, "fsdp")),
        ((12, 4), ("fsdp",)),
        ((13, 4), (None, "fsdp")),
        ((2, 16, 16), (None, "fsdp")),
    ],
)
def test_an_array_is_cut_along_its_largest_axis_that_divides(shape, spec):
    mesh = training.make_mesh(fsdp=4)
    sharding = training.fully_sharded(jax.ShapeDtypeStruct(shape, jnp.float32), mesh)
    assert sharding.spec == PartitionSpec(*spec)


def test_a_random_key_is_held_whole():
    mesh = training.make_mesh(fsdp=4)
    keys = jax.random.split(jax.random.key(0), 8)
    assert training.fully_sharded(keys, mesh).is_fully_replicated


@pytest.mark.parametrize("several", [eight_devices, lambda: training.pmapped(step)])
def test_a_batch_that_cannot_be_shared_out_is_an_error(several):
    with pytest.raises(ValueError, match="batch of 20 .* 8 devices; make it a mult"):
        several()(start(), batches(size=20)[0], 0.1)


@pytest.mark.parametrize("fsdp", [0, 3, 16])
def test_an_fsdp_axis_that_does_not_divide_is_an_error(fsdp):
    with pytest.raises(ValueError, match=f"fsdp is {fsdp}; it must divide 8"):
        training.make_mesh(fsdp=fsdp)


def test_a_run_on_eight_devices_is_resumed_with_its_shardings(tmp_path):
    mesh, compiled = training.make_mesh(fsdp=4), fully_sharded()

    def run(num_steps):
        return training.run(
            lambda state, batch: compiled(state, batch, 0.1),
            jax.device_put(start(), training.fully_sharded(start(), mesh)),
            lambda index: batches()[index],
            num_steps,
            folder=tmp_path,
            name="toy",
            save_every=1,
        )

    run(2)
    state, unbroken = run(3), trained(compiled)[0]
    assert state.w.sharding.spec == PartitionSpec("fsdp")
    chex.assert_trees_all_equal(host_values(state), host_values(unbroken))
