"""Tests of sweeps: each run is the one that would be made alone."""

import jax
import numpy as np
import pytest

from nashalign import games

PREFERENCE = games.random_preference(0, (8, 4)).astype(np.float32)
REFERENCE = np.random.default_rng(0).dirichlet(np.full(4, 3.0), size=8)
REFERENCE = REFERENCE.astype(np.float32)
SETTINGS = {"tau": np.array([0.1, 0.2, 0.5]), "eta": np.array([1.0, 0.5, 0.2])}


def test_every_game_and_setting_is_run_as_if_alone():
    state, gaps = games.sweep(
        games.nash_md, SETTINGS, PREFERENCE, REFERENCE, num_steps=30, every=10
    )
    assert gaps.shape == (3, 3, 8) and state.log_policy.shape == (3, 8, 4)
    for setting in range(3):
        solver = games.nash_md(
            tau=SETTINGS["tau"][setting], eta=SETTINGS["eta"][setting]
        )
        for game in (0, 5):
            alone, policies = games.run(
                solver,
                solver.init(REFERENCE[game]),
                PREFERENCE[game],
                num_steps=30,
                every=10,
            )
            np.testing.assert_allclose(
                state.average[setting, game], alone.average, rtol=1e-5
            )
            expected = games.duality_gap(
                np.exp(policies), np.broadcast_to(PREFERENCE[game], (3, 4, 4))
            )
            np.testing.assert_allclose(gaps[:, setting, game], expected, atol=1e-6)


def test_seeds_are_settings():
    def noisy(key, tau):
        solver = games.mirror_descent(tau=tau, eta=0.5)
        return games.voting(solver, key, num_votes=2)

    settings = {
        "key": jax.random.split(jax.random.key(0), 3),
        "tau": np.full(3, 0.1),
    }
    state, gaps = games.sweep(
        noisy,
        settings,
        PREFERENCE,
        REFERENCE,
        num_steps=4,
        every=2,
        measure=games.average_gap,
    )
    solver = noisy(settings["key"][1], 0.1)
    alone, _ = games.run(
        solver, solver.init(REFERENCE), PREFERENCE, num_steps=4, every=4
    )
    np.testing.assert_allclose(state.average[1], alone.average, rtol=1e-5)
    np.testing.assert_allclose(
        gaps[-1, 1], games.duality_gap(alone.average, PREFERENCE), atol=1e-6
    )
    assert np.abs(state.average[0] - state.average[1]).max() > 1e-3


def test_a_sweep_over_eight_devices_is_that_on_one_and_shows_its_progress():
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("games",))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("games"))
    seen = []

    def progress(steps):
        for step in steps:
            seen.append(step)
            yield step

    arguments = {"num_steps": 30, "every": 10, "progress": progress}
    shared = jax.device_put((PREFERENCE, REFERENCE), shard)
    state, gaps = games.sweep(games.nash_md, SETTINGS, *shared, **arguments)
    _, expected = games.sweep(
        games.nash_md, SETTINGS, PREFERENCE, REFERENCE, **arguments
    )
    assert len(state.log_policy.sharding.device_set) == 8
    assert state.log_policy.addressable_shards[0].data.shape == (3, 1, 4)
    np.testing.assert_allclose(gaps, expected, atol=1e-6)
    assert seen == [0, 1, 2] * 2


def test_the_program_of_a_sweep_is_compiled_once():
    traced = []

    def make(tau, eta):
        traced.append(tau)
        return games.nash_md(tau=tau, eta=eta)

    games.sweep(make, SETTINGS, PREFERENCE, REFERENCE, num_steps=50, every=5)
    assert len(traced) == 2  # its start and its steps


@pytest.mark.parametrize("num_steps", [0, 50])
def test_a_sweep_refuses_steps_that_do_not_divide(num_steps):
    with pytest.raises(ValueError, match="is no multiple of every = 7"):
        games.sweep(
            games.nash_md,
            SETTINGS,
            PREFERENCE,
            REFERENCE,
            num_steps=num_steps,
            every=7,
        )


def test_a_sweep_without_settings_has_one():
    _, gaps = games.sweep(
        lambda: games.omwu(eta=0.5), {}, PREFERENCE, REFERENCE, num_steps=4, every=2
    )
    assert gaps.shape == (2, 1, 8)
