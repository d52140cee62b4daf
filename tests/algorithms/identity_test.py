"""No two rows are one method, but for those of which theory says so.

To rest where a method rests is necessary for a row that has its name, and identifies
nothing: many rows have one resting place. Here all of them play one game in which
everything that can differ does, and each pair of rows is held against each other after
one expected update and after two. The second shows what moves in between: iterates,
averages, magnets, rivals, schedules.

Rows whose settings have the same name have the same value of it, so that they differ by
what they are. Each step has one length whatever the gradient's, so that rows whose
updates agree up to scale stay together.
"""

import concurrent.futures
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import algorithms, games
from tests import lanes, token_game

POLICY = token_game.TABULAR
LENGTH = 0.5

# Far from where rows become others; anchors move after each update.
VALUES = {
    "tau": 0.4,
    "eta": 1.5,
    "mix": 0.25,
    "period": 1,
    "num_inner": 1,
    "num_responses": 3,
    "num_epochs": 2,
    "decay": 0.75,
    "follow": 0.6,
    "retain": 0.4,
    "flip": 0.2,
    "alpha": 0.4,
    "gamma": 0.5,
    "likelihood": 0.3,
    "degree": 0.5,
    "share": 0.6,
    "rho": 0.8,
    "trace": 0.8,
    "value": 0.3,
    "desirable": 1.2,
    "undesirable": 0.7,
    "threshold": -0.2,
    "bound": 3.0,
}

# Rows that are one in expectation, up to scale, at every step:
# - A policy gradient is the same whatever is credited to a token that the token has no
#   influence on: the score of a token has mean zero given what came before it. So RLOO,
#   which credits the whole penalised return, less that of others, who are independent,
#   is RL, which leaves the past and the own baseline out. (`degeneracy_test`)
# - The mean win rate over K - 1 others of the policy's own is unbiased for that over
#   one: SPO is self-play. (`degeneracy_test`)
# - Online IPO's gradient is 4 / tau times self-play's: Calandriello et al. 2024,
#   proposition 4.2. (`fixed_points_test`)
# - MCTS-DPO's update is that of DPO; what is its own is the search that its pairs come
#   from. So is self-rewarding's, whose own is who writes and judges them, and that of
#   mixed PO's last stage PPO's. (`degeneracy_test`, `rounds_test`,
#   `own_judgement_test`)
ALIKE = (
    {"rl", "rloo"},
    {"online_ipo", "self_play_pg", "spo"},
    {"dpo", "mcts_dpo", "self_rewarding"},
    {"ppo", "mixed_po"},
)
# Rows that are one until their anchor moves: MPO is self-play while its magnet is the
# reference, COMAL is INPO while its reference stays, TR-DPO is DPO until its reference
# moves. (`degeneracy_test`)
ALIKE_AT_FIRST = (
    {"rl", "rloo"},
    {"online_ipo", "self_play_pg", "spo", "mpo"},
    {"dpo", "mcts_dpo", "self_rewarding", "tr_dpo", "tr_dpo_hard"},
    {"ppo", "mixed_po"},
    {"inpo", "comal"},
)


def steps_of_one_length():
    """Each player moves by a step down its gradient that is `LENGTH` long."""

    def update(gradient, state, params=None):
        del params
        lengths = {n: optax.tree.norm(player) for n, player in gradient.items()}
        steps = {
            name: jax.tree.map(
                lambda g, n=name: -LENGTH * g / jnp.maximum(lengths[n], 1e-30), player
            )
            for name, player in gradient.items()
        }
        return steps, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


SETUP = token_game.setup(POLICY, steps_of_one_length())


@token_game.compiled
def updated(method, state):
    """The state after an expected update on three prompts."""
    after, _ = token_game.expected_update(
        method, SETUP, state, token_game.THREE_PROMPTS, judge=token_game.Told()
    )
    return after


def configured(name):
    shared = {
        setting.name: VALUES[setting.name]
        for setting in algorithms.TABLE[name].settings
        # Two rows may have a threshold, each of another range.
        if setting.name in VALUES and setting.range.holds(VALUES[setting.name])
    }
    return algorithms.configure(name, **token_game.SETTINGS[name] | shared)


@functools.cache
def trajectory(name):
    """What one and two updates have added to the policy, `[2, logits]`."""
    with jax.enable_x64(True):
        method = configured(name)
        state = before = token_game.moved_state(method, POLICY, scale=0.7)
        moved = []
        for _ in range(2):
            state = updated(method, state)
            step = state.params["logits"] - before.params["logits"]
            moved.append(np.asarray(step).reshape(-1))
    return np.stack(moved)


def trajectories(names):
    """By row. Compiling them is what they cost, which two can do at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(trajectory, names), strict=True))


def test_the_game_has_all_that_tells_rows_apart():
    preference, rewards = token_game.preference(), token_game.rewards()
    assert games.intransitive_share(preference) > 0.1
    assert np.abs(preference - 0.5).min() < 0.1 < np.abs(preference - 0.5).max()
    assert len(set(rewards)) == len(rewards)
    by_reward = games.from_rewards(rewards) > 0.5
    assert (by_reward != (preference > 0.5)).any()
    with jax.enable_x64(True):
        state = token_game.moved_state(family=POLICY, scale=0.7)
        known = [state.params, *state.frozen.values()]
        laws = np.exp(
            [
                np.asarray(token_game.log_policy(POLICY, p, token_game.THREE_PROMPTS))
                for p in known
            ]
        )
    uniform = np.full_like(laws[:1], 1 / laws.shape[-1])
    written = np.concatenate(
        [laws, uniform, token_game.data_policy(token_game.THREE_PROMPTS)[None]]
    )
    apart = np.abs(written[:, None] - written[None]).sum(-1).min(-1) / 2
    assert apart[~np.eye(len(written), dtype=bool)].min() > 0.05


# Of those that are alike, a few; the rows of which all others' parts are.
FEW = {"rl", "rloo", "online_ipo", "self_play_pg", "mpo", *lanes.REPRESENTATIVES}


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(tuple(FEW), id="few rows"),
        pytest.param(tuple(algorithms.TABLE), id="all rows", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize("number, alike", [(1, ALIKE_AT_FIRST), (2, ALIKE)])
def test_expected_updates_of_all_pairs_of_rows_differ_but_for_those_that_theory_names(
    number, alike, names
):
    moved = {name: t[number - 1] / LENGTH for name, t in trajectories(names).items()}
    assert all(np.linalg.norm(step) > 0.1 for step in moved.values())
    wrong = {}
    for one, other in itertools.combinations(moved, 2):
        distance = np.linalg.norm(moved[one] - moved[other])
        same = any({one, other} <= rows for rows in alike)
        if distance > 1e-9 if same else distance < 1e-2:
            wrong[one, other] = distance
    assert not wrong, f"rows that should be one are not, or the other way: {wrong}"
