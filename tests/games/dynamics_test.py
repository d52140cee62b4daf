"""Tests of dynamics: what theory says of their limits, and of how they are run.

Their steps are tested against their definitions in `steps_test`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def mixture(policy, mix):
    """Returns the geometric mixture with the reference."""
    unnormalised = policy ** (1 - mix) * REFERENCE**mix
    return unnormalised / unnormalised.sum()


def test_a_step_of_nash_md_worked_by_hand():
    # Munos et al. 2023: mixture (.473, .334, .193), then (.491, .309, .200).
    solver = games.nash_md(tau=0.1, eta=5.0)
    state = started_at([0.6, 0.3, 0.1], [1 / 3] * 3)
    state = solver.update(state, games.dice())
    np.testing.assert_allclose(
        np.exp(state.log_policy), [0.491, 0.309, 0.200], atol=6e-4
    )
    assert state.step == 1


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


def test_a_dynamics_of_ones_own_is_run_averaged_and_counted():
    def advance(state, preference):
        wins = games.win_rates(state.memory, preference)
        logits = state.log_reference + wins / 0.5
        return state._replace(
            log_policy=jax.nn.log_softmax(logits), memory=jnp.exp(state.log_policy)
        )

    solver = games.make_solver(advance, jnp.exp)
    state, path = games.run(solver, solver.init(REFERENCE), PREFERENCE, num_steps=3)
    first = games.best_response(REFERENCE, PREFERENCE, REFERENCE, 0.5)
    third = games.best_response(first, PREFERENCE, REFERENCE, 0.5)
    np.testing.assert_allclose(np.exp(path), [first, first, third], rtol=1e-5)
    mean = (REFERENCE + 2 * first + third) / 4
    np.testing.assert_allclose(state.average, mean, rtol=1e-5)
    assert state.step == 3 and solver.num_questions == 1
    with pytest.raises(ValueError, match="num_questions must be at least 1, not 0"):
        games.make_solver(advance, num_questions=0)


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


@pytest.mark.parametrize(
    "tau, eta, message",
    [
        (-0.1, 1.0, "tau must be at least 0, not -0.1"),
        (0.1, 0.0, "eta must be positive, not 0.0"),
        (0.1, 200.0, "not tau = 0.1, eta = 200.0"),
    ],
)
@pytest.mark.parametrize("factory", SOLVERS)
def test_a_step_outside_its_range_is_refused(factory, tau, eta, message):
    with pytest.raises(ValueError, match=message):
        factory(tau=tau, eta=eta)


def gap_after(solver, preference, num_steps, *, average=False):
    """Returns the plain duality gap of the last or of the average policy."""
    size = preference.shape[-1]
    with jax.enable_x64(True):
        start = np.full(size, 1 / size) + 0.1 * (np.arange(size) == 0)
        start = solver.init(start / start.sum())
        state, _ = games.run(solver, start, preference, num_steps=num_steps, every=10)
        policy = state.average if average else jnp.exp(state.log_policy)
        return float(games.duality_gap(policy / policy.sum(), preference))


@pytest.mark.parametrize(
    "solver, num_steps",
    [
        (games.comal(tau=0.1, eta=0.3, num_inner=200), 20_000),
        (games.magnetic_descent(tau=0.3, paper_eta=0.33, num_inner=100), 40_000),
        (games.omwu(eta=1.0), 2_000),
        (games.onpo(eta=1.0), 2_000),
    ],
)
def test_the_last_policy_reaches_the_nash_policy_without_regularisation(
    solver, num_steps
):
    assert gap_after(solver, games.three_cycle(), num_steps) < 1e-9


@pytest.mark.parametrize(
    "solver",
    [
        games.mirror_descent(tau=0.0, eta=0.3),
        games.dno(paper_eta=3.0),
        games.comal(tau=1.0, eta=0.3, num_inner=1),
        games.omwu(eta=4.0),
    ],
)
def test_the_last_policy_of_these_never_settles(solver):
    assert gap_after(solver, games.three_cycle(), 5_000) > 0.3


@pytest.mark.parametrize("eta, bound", [(0.3, 4.0), (0.1, 12.0)])
def test_the_average_of_onpo_is_as_good_as_its_rate(eta, bound):
    for num_steps in (100, 1_000, 10_000):
        gap = gap_after(
            games.onpo(eta=eta), games.three_cycle(), num_steps, average=True
        )
        assert num_steps * gap < bound


def test_fictitious_play_finds_the_nash_policy_on_average():
    gap = gap_after(games.fictitious_play(), games.three_cycle(), 50_000, average=True)
    assert gap < 0.02


@pytest.mark.parametrize(
    "solver",
    [
        games.fictitious_play(tau=0.2),
        games.nash_ema(tau=0.2, eta=0.4, decay=0.5),
        games.multiplayer(tau=0.2, eta=0.4, weights=(0.5, 0.5)),
        games.rspo(tau=0.2, eta=0.4),
        games.online_ipo(tau=0.2, learning_rate=0.05),
        games.self_play_pg(tau=0.2, learning_rate=1.0),
    ],
)
def test_these_too_reach_the_regularized_nash_policy(solver):
    with jax.enable_x64(True):
        start = solver.init(REFERENCE)
        state, _ = games.run(solver, start, PREFERENCE, num_steps=20_000, every=100)
        nash = games.regularized_nash(PREFERENCE, REFERENCE, 0.2)
        np.testing.assert_allclose(jnp.exp(state.log_policy), nash, atol=2e-5)


@pytest.mark.parametrize("slope", [games.forward_kl, games.chi_squared])
def test_rspo_ends_where_win_rate_and_slope_are_in_balance(slope):
    solver = games.rspo(tau=0.5, eta=0.1, slope=slope)
    with jax.enable_x64(True):
        start = solver.init(REFERENCE)
        state, _ = games.run(solver, start, PREFERENCE, num_steps=4_000, every=100)
        wins = games.win_rates(jnp.exp(state.log_policy), PREFERENCE)
        balance = wins - 0.5 * slope(state.log_policy, state.log_reference)
        assert np.ptp(balance) < 1e-9


def test_rspo_of_the_code_of_the_paper_is_a_mirror_step():
    # Minimises (1/2)(log pi/pi_t - (P - 1/2)/beta)^2 + c (log pi/mu)^2 a response.
    beta, weight = 0.8, 0.3
    policy = np.array([0.4, 0.1, 0.3, 0.2])
    target = (PREFERENCE @ policy - 0.5) / beta
    minimiser = (np.log(policy) + target + 2 * weight * np.log(REFERENCE)) / (
        1 + 2 * weight
    )
    solver = games.rspo(tau=2 * weight * beta, eta=1 / (beta * (1 + 2 * weight)))
    state = solver.update(started_at(policy, REFERENCE), PREFERENCE)
    expected = np.exp(minimiser) / np.exp(minimiser).sum()
    np.testing.assert_allclose(np.exp(state.log_policy), expected, rtol=1e-5)


def test_a_step_converted_outside_keeps_its_precision_in_float64():
    solver = games.inpo(tau=0.1, paper_eta=3.0)
    with jax.enable_x64(True):
        found = iterate(solver, PREFERENCE, REFERENCE, 5)
        exact = iterate(games.inpo(tau=0.1, paper_eta=3.0), PREFERENCE, REFERENCE, 5)
    np.testing.assert_array_equal(found, exact)


def test_a_papers_schedule_is_converted_too():
    scheduled = games.inpo(tau=0.1, paper_eta=lambda step: 2.0 + step)
    own = games.mirror_descent(tau=0.1, eta=lambda step: 1 / (2.0 + step))
    np.testing.assert_array_equal(
        iterate(scheduled, PREFERENCE, REFERENCE, 5),
        iterate(own, PREFERENCE, REFERENCE, 5),
    )


def test_multiplayer_with_one_opponent_is_inpo():
    many = games.multiplayer(tau=0.1, eta=0.5, weights=(1.0, 0.0))
    one = games.inpo(tau=0.1, paper_eta=2.0)
    np.testing.assert_allclose(
        iterate(many, PREFERENCE, REFERENCE, 9),
        iterate(one, PREFERENCE, REFERENCE, 9),
        rtol=1e-5,
    )


def test_votes_are_drawn_with_the_probabilities_of_the_preference():
    seen = games.Solver(
        lambda reference: None,
        lambda state, preference: state._replace(memory=preference),
    )
    state = games.mirror_descent(tau=0.1, eta=0.5).init(REFERENCE)
    draw = games.voting(seen, jax.random.key(0), num_votes=5).update
    shares = jax.vmap(lambda step: draw(state._replace(step=step), PREFERENCE).memory)
    shares = np.asarray(shares(jnp.arange(2_000)))
    np.testing.assert_allclose(shares + np.swapaxes(shares, 1, 2), 1, atol=1e-6)
    np.testing.assert_allclose(shares * 10, np.round(shares * 10), atol=1e-5)
    np.testing.assert_array_equal(np.einsum("tyy->ty", shares), 0.5)
    upper = np.triu_indices(4, 1)
    counts, expected = 5 * shares.sum(axis=0)[upper], 10_000 * PREFERENCE[upper]
    z = (counts - expected) / np.sqrt(expected * (1 - PREFERENCE[upper]))
    assert np.abs(z).max() < 4
    np.testing.assert_allclose(
        shares.var(axis=0)[upper], (PREFERENCE * PREFERENCE.T / 5)[upper], atol=0.003
    )


@pytest.mark.parametrize(
    "solver",
    [
        games.extragradient(tau=0.5, eta=1.0),
        games.nash_mirror_prox(tau=0.5, paper_eta=1.0),
    ],
)
def test_steps_that_ask_twice_are_answered_by_other_voters(solver):
    """A step is affine in the last answers, and so its mean is that at their mean."""
    rng = np.random.default_rng(0)
    start = started_at(rng.dirichlet(np.ones(4)), REFERENCE)
    keys = jax.random.split(jax.random.key(0), 8_000)

    def logits(state):
        return state.log_policy - state.log_policy.mean(-1, keepdims=True)

    @jax.vmap
    def draw(key):
        return logits(games.voting(solver, key, num_votes=1).update(start, PREFERENCE))

    @jax.vmap
    def first_alone(key):
        tables = []
        seen = games.Solver(
            None,
            lambda state, *answers: tables.extend(answers) or state,
            solver.num_questions,
        )
        games.voting(seen, key, num_votes=1).update(start, PREFERENCE)
        return logits(solver.update(start, tables[0], PREFERENCE))

    error = np.asarray(draw(keys) - first_alone(keys))
    z = error.mean(0) / (error.std(0, ddof=1) / np.sqrt(len(keys)))
    assert np.abs(z).max() < 4


def test_a_step_takes_one_preference_or_as_many_as_it_asks_for():
    solver = games.extragradient(tau=0.1, eta=0.5)
    start = solver.init(REFERENCE)
    other = games.random_preference(1, 4)
    whole, same, apart = (
        np.asarray(solver.update(start, *answers).log_policy)
        for answers in ([PREFERENCE], [PREFERENCE] * 2, [other, PREFERENCE])
    )
    np.testing.assert_array_equal(whole, same)
    assert np.abs(whole - apart).max() > 1e-3
    with pytest.raises(TypeError, match="takes 1 preference or 2, not 3"):
        solver.update(start, *[PREFERENCE] * 3)


def test_independent_voters_move_a_policy_apart_around_its_expectation():
    solver = games.mirror_descent(tau=0.5, eta=0.02)

    def last(key):
        state = games.voting(solver, key, num_votes=1).init(REFERENCE)
        noisy = games.voting(solver, key, num_votes=1)
        return games.run(noisy, state, PREFERENCE, num_steps=500, every=500)[0].average

    averages = np.asarray(jax.vmap(last)(jax.random.split(jax.random.key(0), 50)))
    exact = games.run(
        solver, solver.init(REFERENCE), PREFERENCE, num_steps=500, every=500
    )[0].average
    assert averages.std(axis=0).min() > 1e-4
    np.testing.assert_allclose(averages.mean(axis=0), exact, atol=3e-3)


def test_voting_needs_a_vote():
    with pytest.raises(ValueError, match="num_votes must be at least 1, not 0"):
        games.voting(games.omwu(eta=1.0), jax.random.key(0), num_votes=0)


def test_a_run_measures_every_so_many_steps_and_can_be_gone_on_with():
    solver = games.extragradient(tau=0.1, eta=0.5)
    path = iterate(solver, PREFERENCE, REFERENCE, 30)
    start = solver.init(REFERENCE)
    state, measured = games.run(solver, start, PREFERENCE, num_steps=20, every=10)
    np.testing.assert_allclose(measured, path[[9, 19]], rtol=1e-5)
    state, steps = games.run(
        solver,
        state,
        PREFERENCE,
        num_steps=10,
        every=5,
        measure=lambda state: state.step,
    )
    np.testing.assert_allclose(state.log_policy, path[29], rtol=1e-5)
    np.testing.assert_array_equal(steps, [25, 30])


@pytest.mark.parametrize("every", [0, 7])
def test_a_run_refuses_steps_that_do_not_divide(every):
    solver = games.omwu(eta=1.0)
    start = solver.init(REFERENCE)
    with pytest.raises(ValueError, match=f"is no multiple of every = {every}"):
        games.run(solver, start, PREFERENCE, num_steps=20, every=every)


@pytest.mark.parametrize(
    "make",
    [
        lambda: games.nash_ema(tau=0.1, eta=1.0, decay=1.5),
        lambda: games.fictitious_play(tau=-1.0),
        lambda: games.sppo(eta=0.0),
        lambda: games.inpo(tau=0.1, paper_eta=0.0),
        lambda: games.inpo(tau=0.1, paper_eta=0.05),
        lambda: games.dno(paper_eta=-1.0),
        lambda: games.nash_mirror_prox(tau=0.0, paper_eta=1.0),
        lambda: games.magnetic_descent(tau=0.1, paper_eta=0.0, num_inner=5),
        lambda: games.rebel(rewards=[0.0], eta=-1.0),
        lambda: games.comal(tau=1.0, eta=0.5, num_inner=0),
        lambda: games.multiplayer(tau=0.1, eta=0.5, weights=(0.5, 0.4)),
        lambda: games.online_ipo(tau=0.0, learning_rate=0.1),
        lambda: games.ipo_md(tau=0.1, mix=1.5, learning_rate=0.1),
        lambda: games.nash_md_pg(tau=-0.1, mix=0.5, learning_rate=0.1),
    ],
)
def test_a_setting_outside_its_range_is_refused(make):
    with pytest.raises(ValueError, match="must be|need"):
        make()


def test_games_shared_among_eight_devices_move_as_on_one():
    preference = games.random_preference(2, (16, 5))
    reference = np.full((16, 5), 0.2)
    solver = games.nash_md(tau=0.1, eta=0.5)
    run = jax.jit(
        lambda reference, preference: games.run(
            solver, solver.init(reference), preference, num_steps=50, every=10
        )
    )
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("games",))
    shard = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("games"))
    state, measured = run(*jax.device_put((reference, preference), shard))
    alone, expected = run(reference, preference)
    assert len(state.log_policy.sharding.device_set) == 8
    assert len(measured.sharding.device_set) == 8
    np.testing.assert_allclose(state.average, alone.average, rtol=1e-6)
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


@pytest.mark.parametrize("reference", [[0.5, 0.5, 0.0], [2.0, 1.0, 1.0]])
def test_a_reference_without_full_support_or_sum_is_refused(reference):
    with pytest.raises(ValueError, match="reference"):
        games.mirror_descent(tau=0.1, eta=1.0).init(reference)


def test_a_preference_in_double_precision_leaves_single_precision_as_it_is():
    solver = games.nash_md(tau=0.1, eta=1.0)
    with jax.enable_x64(True):
        start = solver.init(REFERENCE.astype(np.float32))
        state, _ = games.run(solver, start, PREFERENCE, num_steps=2)
    assert state.log_policy.dtype == state.average.dtype == jnp.float32


def test_one_start_for_many_games_is_refused():
    solver = games.nash_md(tau=0.1, eta=1.0)
    many = games.random_preference(0, (3, 4))
    with pytest.raises(ValueError, match=r"batch \(\), the preference \(3,\)"):
        games.run(solver, solver.init(REFERENCE), many, num_steps=2)


def test_votes_can_be_drawn_where_rounding_left_the_range():
    preference = np.array(games.rock_paper_scissors())
    preference[0, 1], preference[1, 0] = 1 + 5e-7, -5e-7
    solver = games.voting(games.omwu(eta=1.0), jax.random.key(0), num_votes=2)
    state = solver.update(solver.init([0.2, 0.3, 0.5]), games.check(preference))
    assert np.isfinite(state.log_policy).all()
