"""Arguments of the room: what is no policy, preference or state is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import games
from nashalign.games import preferences

GAME = games.random_preference(0, 3)
POLICY = np.array([0.5, 0.3, 0.2])
SOLVER = games.nash_md(tau=0.1, eta=1.0)
NO_PREFERENCES = {
    "ties of .6": np.full((3, 3), 0.6),
    "percentages": 100 * GAME,
    "not a number": np.where(np.eye(3, dtype=bool), np.nan, GAME),
    "payoffs": GAME - 0.5,
}
NO_POLICIES = {
    "a sum of two": 2 * POLICY,
    "a negative share": np.array([1.2, 0.3, -0.5]),
    "not a number": np.array([np.nan, 0.5, 0.5]),
    "logarithms": np.log(POLICY),
}
OF_BOTH = {
    "win_rates": games.win_rates,
    "best_response": lambda p, game: games.best_response(p, game, POLICY, 0.1),
    "duality_gap": games.duality_gap,
    "regularised gap": lambda p, game: games.duality_gap(p, game, POLICY, 0.1),
    "exploitability": games.exploitability,
    "nash_conv": lambda p, game: games.nash_conv(POLICY, p, game),
}
OF_PREFERENCE = {
    "run": lambda game: games.run(SOLVER, SOLVER.init(POLICY), game, num_steps=1),
    "update": lambda game: SOLVER.update(SOLVER.init(POLICY), game),
    "voting": lambda game: games.voting(SOLVER, jax.random.key(0), num_votes=1).update(
        SOLVER.init(POLICY), game
    ),
    "sweep": lambda game: games.sweep(
        lambda: SOLVER,
        {},
        np.asarray(game)[None],
        POLICY[None],
        num_steps=1,
        every=1,
    ),
    "fit_bradley_terry": games.fit_bradley_terry,
    "top_cycle": games.top_cycle,
}
OF_POLICY = {
    "kl": lambda policy: games.kl(policy, POLICY),
    "kl from": lambda policy: games.kl(POLICY, policy),
    "total_variation": lambda policy: games.total_variation(POLICY, policy),
    "gap from": lambda policy: games.duality_gap(POLICY, GAME, policy, 0.1),
    "init": SOLVER.init,
}


@pytest.mark.parametrize("game", NO_PREFERENCES.values(), ids=NO_PREFERENCES)
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray, np.ndarray.tolist])
@pytest.mark.parametrize("function", [*OF_BOTH, *OF_PREFERENCE])
def test_what_is_no_preference_is_refused(function, kind, game):
    with jax.debug_nans(False), pytest.raises(ValueError, match="preference"):
        if function in OF_BOTH:
            OF_BOTH[function](POLICY, kind(game))
        else:
            OF_PREFERENCE[function](kind(game))


@pytest.mark.parametrize("policy", NO_POLICIES.values(), ids=NO_POLICIES)
@pytest.mark.parametrize("function", [*OF_BOTH, *OF_POLICY])
def test_what_is_no_policy_is_refused(function, policy):
    names = "policy|opponent|reference|other"
    with pytest.raises(ValueError, match=names):
        if function in OF_BOTH:
            OF_BOTH[function](policy, GAME)
        else:
            OF_POLICY[function](policy)


@pytest.mark.parametrize("function", OF_BOTH.values(), ids=OF_BOTH)
def test_a_policy_and_a_preference_that_are_swapped_are_told_apart(function):
    with pytest.raises(ValueError, match=r"\[3\].*the order is policy, pref"):
        function(GAME, POLICY)


def test_a_state_and_a_preference_that_are_swapped_are_told_apart():
    start = SOLVER.init(POLICY)
    with pytest.raises(TypeError, match="the order is solver, start, preference"):
        games.run(SOLVER, GAME, start, num_steps=1)
    with pytest.raises(TypeError, match="the order is state, preference"):
        SOLVER.update(GAME, start)


def test_a_preference_of_other_responses_than_the_state_is_refused():
    with pytest.raises(ValueError, match=r"of 3 responses.*\[4, 4\]"):
        SOLVER.update(SOLVER.init(POLICY), games.random_preference(0, 4))


@pytest.mark.parametrize(
    "name", ["duality_gap", "regularised gap", "best_response", "win_rates"]
)
def test_inside_a_program_what_is_no_preference_or_policy_becomes_nan(name):
    compiled = jax.jit(OF_BOTH[name])
    assert np.isfinite(compiled(POLICY, GAME)).all()
    with jax.debug_nans(False):
        assert np.isnan(compiled(POLICY, np.full((3, 3), 0.6))).all()
        assert np.isnan(compiled(2 * POLICY, GAME)).all()


def test_inside_a_program_a_run_on_what_is_no_preference_is_nan():
    def last(game):
        return games.run(SOLVER, SOLVER.init(POLICY), game, num_steps=2)[0].average

    compiled = jax.jit(last)
    assert np.isfinite(compiled(GAME)).all()
    with jax.debug_nans(False):
        assert np.isnan(compiled(np.full((3, 3), 0.6))).all()


def test_inside_a_program_a_step_outside_its_range_is_nan():
    def first(tau, eta):
        solver = games.nash_md(tau=tau, eta=eta)
        return solver.update(solver.init(POLICY), GAME).log_policy

    with jax.debug_nans(False):
        moved = jax.vmap(first)(jnp.array([0.1, -0.1, 0.1]), jnp.array([1.0, 1.0, 20]))
        scheduled = games.mirror_descent(tau=0.0, eta=lambda step: step - 1.0)
        backwards = scheduled.update(scheduled.init(POLICY), GAME).log_policy
    np.testing.assert_array_equal(np.isnan(moved).all(1), [False, True, True])
    assert np.isnan(backwards).all()


def test_a_loop_checks_a_jax_array_once_and_another_one_again(monkeypatch):
    state = SOLVER.init(POLICY)
    game, other = map(jnp.asarray, games.random_preference(1, (2, 3)))
    seen, refuse = [], preferences.refuse
    monkeypatch.setattr(
        preferences, "refuse", lambda *a: seen.append(a[1]) or refuse(*a)
    )
    for _ in range(3):
        state = SOLVER.update(state, game)
    assert len(seen) == 1
    SOLVER.update(state, other)
    assert len(seen) == 2


def test_a_preference_in_half_precision_is_one_within_its_rounding():
    half = jnp.asarray(games.random_preference(0, 40), jnp.float16)
    assert np.isfinite(games.exploitability(np.full(40, 1 / 40), half))


def test_the_first_entry_that_breaks_a_law_is_found_beyond_the_first_block(monkeypatch):
    monkeypatch.setattr(preferences, "_MOST_ENTRIES", 12)
    game = games.random_preference(0, (2, 5))
    np.testing.assert_array_equal(games.check(game), game)
    game[1, 4, 4] = 1.5
    with pytest.raises(ValueError, match=r"preference\[1, 4, 4\] = 1.5 is not a prob"):
        games.check(game)


@pytest.mark.parametrize(
    "call",
    [
        lambda: games.best_response(POLICY, GAME, POLICY, "0.1"),
        lambda: games.duality_gap(POLICY, GAME, POLICY, np.nan),
        lambda: games.regularized_nash(GAME, POLICY, None),
        lambda: games.nash_md(tau="0.1", eta=1.0),
        lambda: games.comal(tau=np.nan, eta=1.0, num_inner=3),
        lambda: games.online_ipo(tau=0.1, learning_rate=-1.0),
        lambda: games.rebel(rewards=[np.inf, 0.0], eta=1.0),
        lambda: games.from_rewards([np.nan, 0.0]),
        lambda: games.from_votes(np.zeros((2, 3))),
        lambda: games.rock_paper_scissors("1"),
        lambda: games.block_cyclic(0, 6, strength=2.0),
        lambda: games.low_rank(0, 4, rank=0),
        lambda: games.population(GAME[None], [np.nan]),
        lambda: games.token_game(2, 0, lambda y, z: 0.5),
        lambda: games.token_game(2, 1, lambda y, z: 0.5, eos=7),
    ],
)
def test_an_argument_that_is_none_is_named(call):
    names = "tau|learning_rate|rewards|wins|strength|rank|weights|length|eos"
    with pytest.raises((ValueError, TypeError), match=names):
        call()
