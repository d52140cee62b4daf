"""Where the expected updates of a transformer come to rest, as theory predicts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import algorithms, games, sampling
from tests import token_game

ONE_TOKEN = sampling.enumerate_responses(3, 1, token_game.EOS)
FULL = pytest.mark.full
ONE, SAME = token_game.prompts([1]), token_game.prompts([1, 1, 1])


def train(method, table=token_game.TABLE, num_steps=500):
    """Responses' probabilities `[Y]` under the reference and the trained policy."""
    policy = token_game.POLICY
    # At a constant rate Adam does not settle.
    optimizer = optax.adam(optax.cosine_decay_schedule(0.01, num_steps))
    setup = token_game.setup(policy, optimizer)
    reference = token_game.parameters(policy, 0)

    @token_game.compiled
    def run(method, reference):
        state = algorithms.init(method, setup, reference, jax.random.key(0))

        def step(state, _):
            state, _ = token_game.expected_update(
                method, setup, state, ONE, table=table
            )
            return state, None

        state, _ = jax.lax.scan(step, state, None, num_steps)
        before = token_game.log_policy(policy, reference, ONE, table)
        after = token_game.log_policy(policy, state.params, ONE, table)
        return jnp.exp(before[0]), jnp.exp(after[0])

    return map(np.asarray, run(method, reference))


def predicted(method, reference):
    """The fixed point of a row in the two-token game, from the exact theory."""
    preference = token_game.preference()
    if method.annotation == "reward":
        tilted = reference * np.exp(token_game.rewards() / method.tau)
        return tilted / tilted.sum()
    if method.opponents == algorithms.draw(algorithms.authors.reference):
        return games.best_response(reference, preference, reference, method.tau)
    if not method.mixes:
        return games.regularized_nash(preference, reference, method.tau)
    return games.token_mixture_fixed_point(
        token_game.tree(), preference, reference, method.tau, method.mix
    )


def distance(policy, other):
    return np.abs(policy - other).sum() / 2


@pytest.mark.parametrize(
    "name, settings",
    [
        pytest.param("rl", {"tau": 1.5}, marks=FULL),
        ("online_ipo", {"tau": 0.2}),
        ("nash_md_pg", {"tau": 0.2, "mix": 0.25}),
        pytest.param("ipo_md", {"tau": 0.2, "mix": 0.25}, marks=FULL),
        pytest.param("self_play_pg", {"tau": 0.2}, marks=FULL),
        pytest.param("best_response_pg", {"tau": 0.2}, marks=FULL),
        pytest.param("nash_ema_pg", {"tau": 0.2, "decay": 0.9}, marks=FULL),
        pytest.param("spo", {"tau": 0.2}, marks=FULL),
        pytest.param("inpo", {"tau": 0.2, "eta": 1.0, "period": 1}, marks=FULL),
    ],
)
def test_expected_update_reaches_the_predicted_fixed_point(name, settings):
    with jax.enable_x64(True):
        method = algorithms.configure(name, **settings)
        reference, policy = train(method)
    assert distance(policy, reference) > 0.1
    assert distance(policy, predicted(method, reference)) < 1e-6
    if method.mixes:
        # The prediction is not the one for mixtures of whole responses.
        tau = method.tau / (1 - method.mix)
        nash = games.regularized_nash(token_game.preference(), reference, tau)
        mixture = token_game.tree().mixture(policy, reference, method.mix)
        assert distance(mixture, nash) > 1e-4


OUTER_STEPS = {
    "rebel": lambda eta: games.rebel(rewards=token_game.rewards(), eta=eta),
    # Its win rate is over five responses, of which one is the response itself.
    "sppo": lambda eta: games.sppo(eta=4 / 5 * eta),
    "inpo": lambda eta: games.inpo(tau=0.2, paper_eta=1 / eta),
    "comal": lambda eta: games.comal(tau=0.2, eta=eta, num_inner=1),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "comal" else FULL) for n in OUTER_STEPS],
)
def test_expected_update_of_one_outer_iteration_is_that_of_the_exact_game(name):
    eta, far = 4.0, {"period": 10_000}
    far |= {"tau": 0.2} if name in ("inpo", "comal") else {}
    with jax.enable_x64(True):
        method = algorithms.configure(name, eta=eta, **far)
        reference, policy = train(method)
        solver = OUTER_STEPS[name](eta)
        state = solver.update(solver.init(reference), token_game.preference())
        predicted = np.exp(state.log_policy)
    assert distance(policy, reference) > 0.05
    assert distance(policy, predicted) < 1e-6


@pytest.mark.parametrize("name", [pytest.param("nash_md_pg", marks=FULL), "ipo_md"])
def test_mixture_of_one_token_responses_reaches_the_nash_policy(name):
    with jax.enable_x64(True):
        method = algorithms.configure(name, tau=0.2, mix=0.25)
        reference, policy = train(method, ONE_TOKEN, num_steps=2000)
    mixture = policy ** (1 - method.mix) * reference**method.mix
    nash = games.regularized_nash(
        token_game.preference(3), reference, method.tau / (1 - method.mix)
    )
    assert distance(nash, reference) > 0.05
    assert distance(mixture / mixture.sum(), nash) < 1e-6


def resting(log_ratio, tau, opponent):
    """A cyclic preference with P(y > opponent) = tau log_ratio + constant.

    Every response has an advantage over all others; on top of that come cycles that
    the opponent's weights average to nothing.
    """
    advantage = tau * (log_ratio - log_ratio.mean())
    cycles = 0.3 * (token_game.preference() - 0.5)
    cycles += (cycles @ opponent)[None] - (cycles @ opponent)[:, None]
    preference = 0.5 + advantage[:, None] - advantage[None] + cycles
    assert games.intransitive_share(preference) > 0
    return preference


@token_game.compiled
def policies_of(state):
    """The policy and the reference, `[Y]`, after the first of three equal prompts."""
    return [
        jnp.exp(token_game.log_policy(token_game.POLICY, params, SAME)[0])
        for params in (state.params, state.reference)
    ]


def gradient_where(name, values_of):
    """Expected gradient in the game `values_of(method, policy, reference)`.

    Preferences change by at most 0.2 for any pair, so that they are probabilities.
    """
    with jax.enable_x64(True):
        state = token_game.moved_state()
        policy, reference = map(np.asarray, policies_of(state))
        tau = 0.2 / np.ptp(np.log(policy / reference))
        method = algorithms.configure(name, **token_game.SETTINGS[name] | {"tau": tau})
        values = values_of(method, policy, reference)
        gradient = token_game.expected_gradient(method, state, values, SAME)
    return np.linalg.norm(gradient)


def nash_game(method, policy, reference):
    """The policy is its own best response, or that to its mixture."""
    opponent = token_game.tree().mixture(policy, reference, method.mix)
    return resting(np.log(policy / reference), method.tau, opponent)


def bradley_terry_game(method, policy, reference):
    """Rewards of which the policy is the regularised optimum."""
    return games.from_rewards(method.tau * np.log(policy / reference))


def rewarded_game(method, policy, reference):
    return method.tau * np.log(policy / reference)


@pytest.mark.parametrize(
    "name, game, stays",
    [
        ("rl", rewarded_game, True),
        ("online_ipo", nash_game, True),
        ("nash_md_pg", nash_game, True),
        pytest.param("ipo_md", nash_game, True, marks=FULL),
        pytest.param("online_dpo", bradley_terry_game, True, marks=FULL),
        ("online_dpo", nash_game, False),
        ("online_ipo", bradley_terry_game, False),
    ],
)
def test_policy_at_its_own_fixed_point_stays_and_others_move(name, game, stays):
    norm = gradient_where(name, game)
    assert norm < 1e-12 if stays else norm > 1e-4


def test_game_built_around_a_policy_has_it_as_nash_policy():
    with jax.enable_x64(True):
        policy, reference = map(np.asarray, policies_of(token_game.moved_state()))
    tau = 0.2 / np.ptp(np.log(policy / reference))
    preference = resting(np.log(policy / reference), tau, policy)
    nash = games.regularized_nash(preference, reference, tau)
    assert distance(nash, policy) < 1e-8


def expected_gradient(name, **settings):
    with jax.enable_x64(True):
        method = algorithms.configure(name, **settings)
        return token_game.expected_gradient(method, token_game.moved_state())


@pytest.mark.parametrize("tau", [0.2, 1.0])
def test_online_ipo_is_self_play_with_a_factor(tau):
    # Calandriello et al. 2024, proposition 5.1, with the factor 4 / tau.
    np.testing.assert_allclose(
        expected_gradient("online_ipo", tau=tau),
        4 / tau * expected_gradient("nash_md_pg", tau=tau, mix=0.0),
        rtol=0,
        atol=1e-12,
    )
