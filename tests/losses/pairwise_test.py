"""Tests of the losses of a comparison against their papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import losses

LOSSES = (losses.ipo, losses.dpo, losses.slic)
MARGINS = np.array([-7.0, -1.3, -0.2, 0.4, 2.1, 9.0], np.float32)
TAUS = (0.1, 0.5, 2.0)


def slope(loss, margin, preferred, tau):
    """Derivative of a loss in each of its margins."""
    preferred = jnp.broadcast_to(jnp.asarray(preferred, jnp.float32), margin.shape)
    return jax.grad(lambda h: jnp.sum(loss(h, preferred, tau=tau)))(margin)


# Definition: where the papers put the minimum.


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("preferred", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "loss, best_margin",
    [
        (losses.ipo, lambda p, tau: (p - 0.5) / tau),
        (losses.dpo, lambda p, tau: np.log(p / (1 - p)) / tau),
        (losses.slic, lambda p, tau: np.sign(p - 0.5) / tau),
    ],
)
def test_a_loss_is_minimal_where_its_paper_says(loss, best_margin, preferred, tau):
    best = best_margin(preferred, tau)
    margins = best + np.linspace(-2, 2, 41, dtype=np.float32) / tau
    values = loss(margins, jnp.full(41, preferred), tau=tau)
    # A hinge with soft labels is flat between its corners, so its minimum is a set.
    assert values[20] <= values.min() + 1e-6
    assert values[0] > values[20] and values[-1] > values[20]


@pytest.mark.parametrize(
    "tau, first", [(0.1, 0.9933), (0.5, 0.7311), (1, 0.6225), (2, 0.5622), (10, 0.5125)]
)
def test_ipo_on_two_actions_stops_short_of_certainty_as_in_the_paper(tau, first):
    policy = minimiser(np.array([[0.5, 1.0], [0.0, 0.5]]), np.full(2, 0.5), tau)
    np.testing.assert_allclose(policy, [first, 1 - first], atol=6e-5)


def test_ipo_on_a_cycle_depends_on_who_wrote_the_responses():
    a, b = 5 / 9, 4 / 9
    preference = np.array([[0.5, a, b], [b, 0.5, a], [a, b, 0.5]])
    policy = minimiser(preference, np.array([0.6, 0.3, 0.1]), tau=0.1)
    np.testing.assert_allclose(policy, [0.3656, 0.2478, 0.3865], atol=6e-5)


def minimiser(preference, behaviour, tau):
    """The policy that minimises IPO over pairs of `behaviour`; uniform reference.

    The loss is a quadratic of the logits, so one Newton step from anywhere is exact.
    """
    weight = np.outer(behaviour, behaviour).astype(np.float32)
    preference = preference.astype(np.float32)

    def population(logits):
        margin = logits[:, None] - logits[None, :]
        return jnp.sum(weight * losses.ipo(margin, preference, tau=tau))

    gradient = jax.jit(jax.grad(population))
    start = np.zeros(len(behaviour), np.float32)
    here = np.asarray(gradient(start), np.float64)
    hessian = [gradient(unit) - here for unit in np.eye(len(start), dtype=np.float32)]
    # The logits' mean is free: the pseudo-inverse leaves it where it was.
    logits = start - np.linalg.pinv(np.array(hessian), rcond=1e-5) @ here
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize("tau", TAUS)
def test_dpo_with_certain_labels_has_no_minimum(tau):
    assert np.all(slope(losses.dpo, MARGINS, 1.0, tau) < 0.0)


def test_bounded_dpo_is_dpo_up_to_twice_the_bound_and_flat_beyond():
    # Within, beyond, and just inside of twice 0.6 over tau.
    found = slope(
        lambda h, p, tau: losses.bounded_dpo(h, p, tau=tau, bound=0.6),
        MARGINS,
        0.8,
        0.5,
    )
    plain = slope(losses.dpo, MARGINS, 0.8, 0.5)
    within = np.abs(MARGINS) < 2.4
    assert 0 < within.sum() < len(MARGINS)
    np.testing.assert_allclose(found, np.where(within, plain, 0.0), rtol=1e-6)
    value = losses.bounded_dpo(np.float32(-7.0), np.float32(0.8), tau=0.5, bound=0.6)
    np.testing.assert_allclose(
        value, 0.8 * np.log1p(np.exp(1.2)) + 0.2 * np.log1p(np.exp(-1.2)), rtol=1e-6
    )


# Laws.


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("loss", LOSSES)
def test_swapping_the_responses_changes_nothing(loss, tau):
    preferred = np.linspace(0, 1, len(MARGINS), dtype=np.float32)
    np.testing.assert_allclose(
        loss(MARGINS, preferred, tau=tau),
        loss(-MARGINS, 1 - preferred, tau=tau),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("preferred", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_soft_label_has_the_mean_gradient_of_hard_ones(loss, preferred, tau):
    hard = [slope(loss, MARGINS, label, tau) for label in (0.0, 1.0)]
    expected = (1 - preferred) * hard[0] + preferred * hard[1]
    soft = slope(loss, MARGINS, preferred, tau)
    np.testing.assert_allclose(soft, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_comparison_has_its_own_loss(loss):
    preferred = np.linspace(0, 1, 6, dtype=np.float32)
    together = loss(MARGINS.reshape(2, 3), preferred.reshape(2, 3), tau=0.5)
    alone = [loss(h, p, tau=0.5) for h, p in zip(MARGINS, preferred, strict=True)]
    np.testing.assert_allclose(together.reshape(-1), np.stack(alone), rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_that_do_not_agree_are_refused(loss):
    with pytest.raises(AssertionError):
        loss(MARGINS, MARGINS[:1], tau=1.0)


# Golden values.


@pytest.mark.parametrize(
    "loss, margin, preferred, tau, expected",
    [
        (losses.ipo, 0.0, 1.0, 0.5, 1.0),
        (losses.ipo, 0.0, 0.5, 0.5, 0.0),
        (losses.ipo, 3.0, 0.75, 0.25, 4.0),
        (losses.dpo, 0.0, 0.3, 2.0, np.log(2.0)),
        (losses.dpo, 1.0, 1.0, 1.0, np.log1p(np.exp(-1.0))),
        (losses.dpo, 1e4, 0.0, 1.0, 1e4),
        (losses.slic, 0.0, 0.3, 2.0, 1.0),
        (losses.slic, 1.0, 1.0, 0.25, 0.75),
        (losses.slic, 1.0, 0.0, 0.25, 1.25),
        (losses.slic, 9.0, 1.0, 0.25, 0.0),
    ],
)
def test_losses_have_the_values_of_their_formulas(
    loss, margin, preferred, tau, expected
):
    value = loss(jnp.float32(margin), jnp.float32(preferred), tau=tau)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize(
    "loss, expected",
    [
        (losses.ipo, lambda tau: -1 / tau),
        (losses.dpo, lambda tau: -tau / 2),
        (losses.slic, lambda tau: -tau),
    ],
)
def test_the_first_push_towards_a_sure_winner_is_known(loss, expected, tau):
    push = slope(loss, jnp.zeros(1), 1.0, tau)
    np.testing.assert_allclose(push, [expected(tau)], rtol=1e-6)


@pytest.mark.parametrize("tau", TAUS)
def test_slic_stops_pushing_once_the_margin_is_reached(tau):
    margins = jnp.array([-2.0, 0.99, 1.01, 5.0]) / tau
    push = slope(losses.slic, margins, 1.0, tau)
    np.testing.assert_allclose(push, [-tau, -tau, 0.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize("flip", [0.05, 0.2, 0.4])
def test_cdpo_asks_for_the_margin_of_its_belief(flip):
    best = np.log((1 - flip) / flip) / 0.7
    margins = best + np.linspace(-2, 2, 41)
    values = losses.cdpo(margins, np.ones(41), tau=0.7, flip=flip)
    assert int(np.argmin(values)) == 20
    if flip == 0.2:
        np.testing.assert_allclose(0.7 * best, 1.386, atol=1e-3)


@pytest.mark.parametrize("flip", [0.0, 0.1, 0.45])
def test_rdpo_is_unbiased_over_flipped_labels_and_cdpo_is_not(flip):
    won, lost = np.ones_like(MARGINS), np.zeros_like(MARGINS)
    true = losses.dpo(MARGINS, won, tau=0.7)
    for loss, unbiased in ((losses.rdpo, True), (losses.cdpo, flip == 0)):
        mean = (1 - flip) * loss(MARGINS, won, tau=0.7, flip=flip)
        mean += flip * loss(MARGINS, lost, tau=0.7, flip=flip)
        assert np.allclose(mean, true, rtol=1e-4, atol=1e-5) == unbiased


def test_rdpo_falls_without_bound_on_the_winner():
    margins = np.array([10.0, 100.0, 1000.0])
    values = losses.rdpo(margins, np.ones(3), tau=1.0, flip=0.2)
    np.testing.assert_allclose(values, -margins * 0.2 / 0.6, rtol=1e-3)


@pytest.mark.parametrize("margin, slope", [(-1.0, -1.0), (1.9, -1.0), (2.1, 0.0)])
def test_the_raw_hinge_pushes_with_one_until_its_margin(margin, slope):
    gradient = jax.grad(lambda h: losses.hinge(h, jnp.ones(()), delta=2.0))(margin)
    np.testing.assert_allclose(gradient, slope)


@pytest.mark.parametrize("preferred", [0.0, 0.3, 1.0])
def test_simpo_asks_the_winner_to_be_ahead_by_its_margin(preferred):
    tau, gamma = 2.0, 0.6
    found = losses.simpo(MARGINS, np.full(6, preferred), tau=tau, gamma=gamma)
    behind = np.log1p(np.exp(np.stack([gamma - tau * MARGINS, gamma + tau * MARGINS])))
    expected = preferred * behind[0] + (1 - preferred) * behind[1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    without = losses.simpo(MARGINS, np.full(6, preferred), tau=tau, gamma=0.0)
    plain = losses.dpo(MARGINS, np.full(6, preferred), tau=tau)
    np.testing.assert_array_equal(without, plain)
    with pytest.raises(ValueError, match="gamma"):
        losses.simpo(MARGINS, np.ones(6), tau=tau, gamma=-0.1)


def test_soft_preferences_are_powers_of_probabilities():
    log_y, log_z, alpha = np.log(0.3), np.log(0.1), 0.5
    share = 0.3**alpha / (0.3**alpha + 0.1**alpha)
    loss = losses.soft(np.asarray(log_y - log_z), np.ones(()), alpha=alpha)
    np.testing.assert_allclose(loss, -np.log(share) / alpha, rtol=1e-5)
