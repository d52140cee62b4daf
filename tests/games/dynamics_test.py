"""Tests of dynamics: the definition of their steps, and what theory says of limits."""

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from nashalign import games

PREFERENCE = games.random_preference(0, 4)
REFERENCE = np.array([0.1, 0.5, 0.15, 0.25])
SOLVERS = [games.mirror_descent, games.nash_md, games.extragradient]


def started_at(policy, reference):
    """Returns a state that has moved away from its reference."""
    start = games.nash_md(tau=0.1, eta=0.1).init(reference)
    return start._replace(log_policy=np.log(np.asarray(policy)))


def iterate(solver, preference, reference, num_steps, start=None):
    """Returns the log-policies `[num_steps, *B, Y]` of compiled steps."""

    def step(state, _):
        state = solver.update(state, preference)
        return state, state.log_policy

    start = solver.init(reference) if start is None else start
    return np.asarray(jax.lax.scan(step, start, length=num_steps)[1])


def divergence(policy, log_other):
    """Returns KL(policy || other) `[...]`, nats."""
    return (policy * (np.log(policy) - log_other)).sum(axis=-1)


def proximal(opponent, policy, tau, eta):
    """Returns argmax_p P(p > opponent) - tau KL(p||mu) - (1/eta - tau) KL(p||pi)."""

    def loss(logits):
        log_p = scipy.special.log_softmax(logits)
        p = np.exp(log_p)
        towards_reference = p @ (log_p - np.log(REFERENCE))
        towards_policy = p @ (log_p - np.log(policy))
        return (
            -p @ PREFERENCE @ opponent
            + tau * towards_reference
            + (1 / eta - tau) * towards_policy
        )

    found = scipy.optimize.minimize(loss, np.log(policy), tol=1e-10)
    return scipy.special.softmax(found.x)


def mixture(policy, mix):
    """Returns the geometric mixture with the reference."""
    unnormalised = policy ** (1 - mix) * REFERENCE**mix
    return unnormalised / unnormalised.sum()


OPPONENTS = {
    games.mirror_descent: lambda policy, tau, eta: policy,
    games.nash_md: lambda policy, tau, eta: mixture(policy, eta * tau),
    games.extragradient: lambda policy, tau, eta: proximal(policy, policy, tau, eta),
}


@pytest.mark.parametrize("tau, eta", [(0.1, 2.0), (0.5, 0.7), (0.0, 1.0)])
@pytest.mark.parametrize("factory", SOLVERS)
def test_a_step_solves_the_proximal_problem_of_its_opponent(factory, tau, eta):
    policy = np.array([0.4, 0.1, 0.3, 0.2])
    opponent = OPPONENTS[factory](policy, tau, eta)
    expected = proximal(opponent, policy, tau, eta)
    state = factory(tau=tau, eta=eta).update(started_at(policy, REFERENCE), PREFERENCE)
    np.testing.assert_allclose(np.exp(state.log_policy), expected, atol=2e-5)


def test_a_step_of_nash_md_worked_by_hand():
    # Munos et al. 2023: mixture (.473, .334, .193), then (.491, .309, .200).
    solver = games.nash_md(tau=0.1, eta=5.0)
    state = started_at([0.6, 0.3, 0.1], [1 / 3] * 3)
    state = solver.update(state, games.dice())
    np.testing.assert_allclose(
        np.exp(state.log_policy), [0.491, 0.309, 0.200], atol=6e-4
    )
    assert state.step == 1


@pytest.mark.parametrize("factory", SOLVERS)
def test_a_solver_starts_at_its_reference(factory):
    state = factory(tau=0.1, eta=1.0).init(REFERENCE)
    np.testing.assert_allclose(np.exp(state.log_policy), REFERENCE, rtol=1e-6)
    np.testing.assert_array_equal(state.log_policy, state.log_reference)
    assert state.step == 0


@pytest.mark.parametrize("factory", [games.mirror_descent, games.extragradient])
@pytest.mark.parametrize("tau, eta", [(1e-3, 0.3), (0.1, 0.5)])
def test_the_regularized_nash_policy_does_not_move(factory, tau, eta):
    with jax.enable_x64(True):
        nash = games.regularized_nash(PREFERENCE, REFERENCE, tau)
        start = started_at(nash, REFERENCE)
        state = factory(tau=tau, eta=eta).update(start, PREFERENCE)
        np.testing.assert_allclose(state.log_policy, np.log(nash), atol=1e-12)


@pytest.mark.parametrize(
    "factory, num_steps", [(games.mirror_descent, 400), (games.extragradient, 400)]
)
def test_a_solver_reaches_the_regularized_nash_policy(factory, num_steps):
    with jax.enable_x64(True):
        solver = factory(tau=0.2, eta=0.4)
        found = iterate(solver, PREFERENCE, REFERENCE, num_steps)[-1]
        nash = games.regularized_nash(PREFERENCE, REFERENCE, 0.2)
        np.testing.assert_allclose(np.exp(found), nash, atol=1e-12)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.5])
def test_the_mixture_of_constant_step_nash_md_is_nash_at_a_larger_tau(eta):
    tau = 0.2
    with jax.enable_x64(True):
        solver = games.nash_md(tau=tau, eta=eta)
        found = np.exp(iterate(solver, PREFERENCE, REFERENCE, 600)[-1])
    nash = games.regularized_nash(PREFERENCE, REFERENCE, tau / (1 - eta * tau))
    np.testing.assert_allclose(mixture(found, eta * tau), nash, atol=1e-12)
    assert np.abs(found - nash).max() > 1e-3


def test_nash_md_with_decaying_steps_keeps_within_its_bound():
    tau = 0.1
    solver = games.nash_md(tau=tau, eta=lambda step: 2 / (tau * (step + 2)))
    path = iterate(solver, PREFERENCE, REFERENCE, 2000)
    nash = games.regularized_nash(PREFERENCE, REFERENCE, tau)
    distance = divergence(nash, path)
    assert np.all(distance <= 8 / (tau**2 * np.arange(2, 2002)))
    assert distance[-1] < 1e-3


def test_extragradient_contracts_at_its_rate():
    tau, eta = 0.05, 0.3
    with jax.enable_x64(True):
        solver = games.extragradient(tau=tau, eta=eta)
        path = iterate(solver, PREFERENCE, REFERENCE, 400)
    nash = games.regularized_nash(PREFERENCE, REFERENCE, tau)
    bound = (1 - eta * tau) ** np.arange(1, 401) * divergence(nash, np.log(REFERENCE))
    assert np.all(divergence(nash, path) <= bound)


@pytest.mark.parametrize(
    "factory, factor",
    [
        (games.mirror_descent, lambda shrink, eta: np.hypot(shrink, eta / 12**0.5)),
        (games.nash_md, lambda shrink, eta: shrink * np.hypot(1, eta / 12**0.5)),
        (
            games.extragradient,
            lambda shrink, eta: abs(
                shrink + 1j * eta / 12**0.5 * (shrink + 1j * eta / 12**0.5)
            ),
        ),
    ],
)
@pytest.mark.parametrize("tau, eta", [(0.05, 1.25), (0.02, 0.5), (0.0, 1.0)])
def test_speed_near_the_equilibrium_of_rock_paper_scissors(factory, factor, tau, eta):
    # Linearised at uniform, P rotates differences by i / sqrt(12).
    with jax.enable_x64(True):
        start = started_at([1 / 3 + 1e-6, 1 / 3 - 1e-6, 1 / 3], [1 / 3] * 3)
        game = games.rock_paper_scissors()
        path = iterate(factory(tau=tau, eta=eta), game, [1 / 3] * 3, 40, start)
    distance = np.linalg.norm(np.exp(path) - 1 / 3, axis=-1)
    measured = (distance[-1] / distance[0]) ** (1 / 39)
    assert measured == pytest.approx(factor(1 - eta * tau, eta), rel=2e-5)


@pytest.mark.parametrize("factory", SOLVERS)
def test_games_of_a_batch_do_not_know_of_each_other(factory):
    preference = games.random_preference(1, (2, 3, 4))
    reference = np.random.default_rng(1).dirichlet(np.ones(4), size=(2, 3))
    solver = factory(tau=0.1, eta=0.5)
    update = jax.jit(solver.update)
    state = update(update(solver.init(reference), preference), preference)
    one = solver.init(reference[1, 2])
    for _ in range(2):
        one = solver.update(one, preference[1, 2])
    np.testing.assert_allclose(state.log_policy[1, 2], one.log_policy, atol=1e-6)


def test_one_preference_serves_a_batch_of_references():
    reference = np.random.default_rng(1).dirichlet(np.ones(4), size=3)
    solver = games.extragradient(tau=0.1, eta=0.5)
    together = solver.update(solver.init(reference), PREFERENCE).log_policy
    apart = [solver.update(solver.init(r), PREFERENCE).log_policy for r in reference]
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_hyperparameters_can_be_mapped_over():
    def one_step(tau, eta):
        solver = games.nash_md(tau=tau, eta=eta)
        return solver.update(solver.init(REFERENCE), PREFERENCE).log_policy

    taus, etas = np.array([0.1, 0.5]), np.array([2.0, 1.0])
    together = jax.vmap(one_step)(taus, etas)
    apart = [one_step(0.1, 2.0), one_step(0.5, 1.0)]
    np.testing.assert_allclose(together, apart, atol=1e-6)


@pytest.mark.parametrize("tau, eta", [(-0.1, 1.0), (0.1, 0.0), (0.1, 200.0)])
@pytest.mark.parametrize("factory", SOLVERS)
def test_a_step_outside_its_range_is_refused(factory, tau, eta):
    with pytest.raises(ValueError, match=f"not tau = {tau}, eta = {eta}"):
        factory(tau=tau, eta=eta)
