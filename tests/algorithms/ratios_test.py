"""What the log-ratios of a response's tokens become: definitions, slopes, and ends."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms, losses
from nashalign.algorithms import authors, objectives, ratios
from tests import token_game
from tests.algorithms.degeneracy_test import P, random_groups

MASK = np.array([[True, True, True], [True, True, False], [True, False, False]])
VALUES = np.where(MASK, np.random.default_rng(0).uniform(-1.5, -0.1, (3, 3)), 0.0)


def log_odds(total, length):
    chance = np.exp(total / length)
    return np.log(chance / (1 - chance))


DEFINITIONS = {
    "summed": lambda total, length: total,
    "averaged": lambda total, length: total / length,
    "chi": lambda total, length: np.exp(total) + total,
    "odds": log_odds,
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_ratio_is_its_definition_and_so_is_its_slope(name):
    ratio, lengths = getattr(ratios, name), MASK.sum(-1)
    with jax.enable_x64(True):
        found = ratio(jnp.asarray(VALUES), jnp.asarray(MASK))
        slope = jax.grad(lambda x: jnp.sum(ratio(x, jnp.asarray(MASK))))
        slope = np.asarray(slope(jnp.asarray(VALUES)))
    by_hand = [
        DEFINITIONS[name](row[own].sum(), length)
        for row, own, length in zip(VALUES, MASK, lengths, strict=True)
    ]
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    up, down = (
        DEFINITIONS[name](VALUES.sum(-1) + step, lengths) for step in (1e-6, -1e-6)
    )
    expected = np.broadcast_to(((up - down) / 2e-6)[:, None], MASK.shape)
    np.testing.assert_allclose(slope[MASK], expected[MASK], rtol=1e-7)


def test_a_ratio_beyond_the_numbers_that_there_are_stays_finite():
    mask = jnp.ones((3, 2), bool)
    huge = jnp.array([[60.0, 60.0], [200.0, 200.0], [-200.0, -200.0]], jnp.float32)
    found = ratios.chi(huge, mask)
    slope = jax.grad(lambda x: jnp.sum(ratios.chi(x, mask)))(huge)
    # Beyond the bound the logarithm alone goes on.
    assert jnp.isfinite(jnp.square(found)).all() and jnp.isfinite(slope).all()
    np.testing.assert_array_equal(slope, 1.0)
    assert found[2] == -400.0


def test_odds_are_exact_near_certainty_and_far_from_it():
    mask = jnp.ones((4, 1), bool)
    values = np.array([[-1e-6], [-1e-4], [-60.0], [-0.69]], np.float32)
    exact = values.astype(float)[:, 0]
    found = ratios.odds(jnp.asarray(values), mask)
    expected = exact - np.log(-np.expm1(exact))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    # A policy that is certain has large odds, not infinite ones, and no NaN in slopes.
    certain = jnp.zeros((1, 2), jnp.float32)
    slope = jax.grad(lambda x: ratios.odds(x, jnp.ones((1, 2), bool))[0])(certain)
    assert 15 < float(ratios.odds(certain, jnp.ones((1, 2), bool))[0]) < 17
    assert jnp.isfinite(slope).all()


def test_an_empty_response_has_a_mean_of_nothing():
    nothing = jnp.zeros((1, 2))
    assert ratios.averaged(nothing, jnp.zeros((1, 2), bool))[0] == 0


def test_margins_are_differences_of_the_rows_ratio():
    plain = algorithms.configure("dpo", tau=0.7)
    groups = random_groups(plain, P)
    per_token = groups.log_probs - groups.reference_log_probs
    for name in DEFINITIONS:
        ratio = getattr(ratios, name)
        method = dataclasses.replace(plain, ratio=ratio)
        found = algorithms.readings.margin(method, groups)
        each = ratio(per_token, groups.responses.mask)
        np.testing.assert_allclose(found[:, 0], each[:, 0] - each[:, 1], rtol=1e-6)


def without_reference():
    """SimPO without its margin: DPO on mean log-likelihoods."""
    return dataclasses.replace(
        algorithms.configure("online_dpo", tau=0.7),
        loss=objectives.contrastive(losses.dpo),
        ratio=ratios.averaged,
        anchor=authors.nothing,
        keeps=(),
    )


def test_a_row_without_a_reference_holds_none_and_pays_for_none():
    method, setup = without_reference(), token_game.setup(token_game.POLICY)
    assert method.frozen == ()
    params = token_game.parameters(token_game.POLICY, 1)
    state = algorithms.init(method, setup, params, token_game.KEY)
    assert state.frozen == {}

    @token_game.compiled
    def step(state):
        judge = token_game.annotator(method)
        prompts = token_game.prompts(range(3))
        return algorithms.update(method, setup, judge, state, prompts)

    after, metrics, groups = step(state)
    assert groups.frozen_log_probs == {}
    assert "log_ratio" not in metrics and {"loss", "length"} <= metrics.keys()
    moved = token_game.direction(state, after)
    assert np.isfinite(moved).all() and np.abs(moved).max() > 0
    for value, name in ((state, "reference"), (groups, "reference_log_probs")):
        with pytest.raises(ValueError, match="the row has no reference"):
            getattr(value, name)
    # What a later stage would measure from is the reference that there is not.
    with pytest.raises(ValueError, match="the row has no reference"):
        algorithms.next_stage(algorithms.configure("dice"), setup, state)
    later = algorithms.next_stage(algorithms.configure("dpo"), setup, state)
    assert later.reference is state.params


@pytest.mark.parametrize("name", ["simpo", "cpo", "orpo"])
def test_rows_of_the_table_without_a_reference_hold_no_frozen_policy(name):
    assert algorithms.TABLE[name].method.frozen == ()


def test_what_a_column_names_is_held_though_nothing_is_kept():
    method = dataclasses.replace(without_reference(), anchor=authors.reference)
    assert method.frozen == ("reference",)
    method = dataclasses.replace(
        without_reference(), opponents=algorithms.draw(authors.mixture)
    ).with_settings({"tau": 0.7, "mix": 0.5})
    assert method.frozen == ("reference",)
