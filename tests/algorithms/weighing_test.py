"""How much groups count, what that leaves of a batch, and what it does not touch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms
from tests import token_game
from tests.algorithms import definitions
from tests.algorithms.degeneracy_test import P, random_groups

WEIGHED = ["soft_po_weighted", "wpo", "rwr", "optune"]


def test_the_rows_that_weigh_are_these():
    plain = algorithms.columns.equal
    found = [
        name for name, row in algorithms.TABLE.items() if row.method.weight is not plain
    ]
    assert found == WEIGHED


@token_game.compiled
def learnt(method, state, batch):
    """A batch's groups, and what is said of learning from them."""
    setup = token_game.setup(token_game.POLICY)
    groups = algorithms.rollout(method, setup, state, batch)
    judge = token_game.annotator(method)
    groups = algorithms.annotate(method, judge, state, groups)
    return groups, algorithms.learn(method, setup, state, groups)[1]


@pytest.mark.parametrize("name", ["dpo", *WEIGHED])
def test_rows_that_weigh_say_how_many_groups_that_leaves(name):
    method = algorithms.configure(name, **token_game.SETTINGS[name])
    with jax.enable_x64(True):
        setup = token_game.setup(token_game.POLICY)
        state = token_game.moved_state(method)
        batch = token_game.drawn_examples(method, token_game.prompts(range(12)))
        groups, metrics = learnt(method, state, batch)
        weights = by_hand(name, method, setup, state, groups)
    if name == "dpo":
        assert "effective_sample_size" not in metrics
        return
    expected = weights.sum() ** 2 / (weights**2).sum()
    assert 1 < expected < 11.99
    np.testing.assert_allclose(metrics["effective_sample_size"], expected, rtol=1e-9)


def by_hand(name, method, setup, state, groups):
    """Weights `[B]`, as the papers have them."""
    if name == "rwr":
        return np.exp(np.asarray(groups.rewards)[:, 0] / method.tau)
    if name == "optune":
        gap = np.abs(np.diff(np.asarray(groups.rewards)[:, :2], axis=1))[:, 0]
        return 1 / (1 + np.exp(-method.settings["sharpness"] * gap))
    own = token_game.log_policy(setup.policy, state.params, groups.prompts)
    texts = token_game.strings()
    given = groups.responses
    tokens, mask = np.asarray(given.tokens), np.asarray(given.mask)
    pairs = [
        [texts.index(tuple(tokens[b, i][mask[b, i]].tolist())) for i in (0, 1)]
        for b in range(len(tokens))
    ]
    if name == "wpo":
        return np.array(
            [_likeness(own[b], texts, pair) for b, pair in enumerate(pairs)]
        )
    total = [own[b, y] + own[b, z] for b, (y, z) in enumerate(pairs)]
    return np.exp(method.settings.get("power", 0.0) * np.asarray(total))


def _likeness(log_policy, texts, pair):
    """How much both responses of a pair are the policy's own."""
    (table,) = definitions.conditionals(np.asarray(log_policy)[None])
    relative = [
        [
            table[y[:t]][v] - np.log(np.exp(2 * table[y[:t]]).sum())
            for t, v in enumerate(y)
        ]
        for y in (texts[i] for i in pair)
    ]
    return np.exp(sum(np.mean(tokens) for tokens in relative))


def test_effective_sample_size_is_kishs():
    weights = jnp.array([[3.0], [1.0], [1.0], [0.0]])
    ones = jnp.ones((4, 1))
    size = algorithms.effective_sample_size
    np.testing.assert_allclose(size(ones, weights), 25 / 11, rtol=1e-6)
    np.testing.assert_allclose(size(ones, 7 * ones), 4, rtol=1e-6)
    # A group of probability two is two groups; one of none, none.
    np.testing.assert_allclose(
        size(jnp.array([[1.0], [2.0], [0.0], [0.0]]), weights), 25 / 11, rtol=1e-6
    )
    # The square of a weight may be beyond the numbers that there are.
    np.testing.assert_allclose(size(ones, 1e30 * weights), 25 / 11, rtol=1e-6)
    assert size(ones, 0 * weights) == 0


def weighed(method, groups):
    """Losses and weights of a batch, `[B]` each."""
    return (np.asarray(x)[:, 0] for x in algorithms.group_losses(method, groups))


def groups_of(method, longer=0.0):
    """Pairs whose log-probabilities are lower by so much at every token."""
    groups = random_groups(method, P)
    return dataclasses.replace(groups, log_probs=groups.log_probs - longer)


def test_the_batchs_mean_is_taken_from_the_log_weight():
    method = algorithms.configure("soft_po_weighted", alpha=0.7, tau=0.3, power=0.5)
    losses, weights = weighed(method, groups_of(method))
    np.testing.assert_allclose(np.log(weights).mean(), 0, atol=1e-6)
    assert np.ptp(np.log(weights)) > 0.1
    # However unlikely a batch is, its pairs weigh what they did, and so does the KL.
    later, same = weighed(method, groups_of(method, longer=20.0))
    np.testing.assert_allclose(same, weights, rtol=1e-4)
    np.testing.assert_allclose(later, losses, rtol=1e-4)


def test_the_kl_is_not_weighed():
    settings = {"alpha": 0.7, "power": 0.5}
    held, free = (
        algorithms.configure("soft_po_weighted", tau=tau, **settings)
        for tau in (0.3, 0.0)
    )
    groups = groups_of(held)
    difference = np.subtract(*(next(weighed(row, groups)) for row in (held, free)))
    along = np.asarray(groups.statistics["kl"]).sum(-1)[:, 2]
    np.testing.assert_allclose(difference, 0.3 * along, rtol=1e-4)


def test_a_statistic_of_the_batch_trains_nothing():
    """It may be read by the loss, which is trained."""
    row = algorithms.TABLE["sft"].method
    method = dataclasses.replace(
        row,
        batch=(("mean", lambda _, groups, reduce: jnp.mean(groups.log_probs)),),
        regulariser=lambda _, groups: groups.statistics["mean"] * jnp.ones((3, 1)),
    )

    def slope(method):
        groups = groups_of(row)

        def total(log_probs):
            read = dataclasses.replace(groups, log_probs=log_probs)
            return jnp.sum(algorithms.group_losses(method, read)[0])

        return jax.value_and_grad(total)(groups.log_probs)

    (value, found), (plain, expected) = slope(method), slope(row)
    assert value != plain
    np.testing.assert_array_equal(found, expected)


def test_a_group_that_is_dropped_is_not_held_either():
    method = algorithms.configure("soft_po_weighted", alpha=0.7, tau=0.3, power=0.5)
    groups = groups_of(method)
    kept = jnp.array([[True], [False], [True]])
    losses, weights = weighed(method, dataclasses.replace(groups, kept=kept))
    assert losses[1] == weights[1] == 0 and losses[0] != 0 != losses[2]


def rewarded(rewards):
    """Groups `[B, 1]` of one response each, with these rewards."""
    method = algorithms.configure("rwr", tau=0.1)
    groups = random_groups(method, P)
    rewards = jnp.broadcast_to(jnp.asarray(rewards)[:, None], groups.rewards.shape)
    return method, dataclasses.replace(groups, rewards=rewards)


@pytest.mark.parametrize("shift", [0.0, -2000.0, 3.0, 1000.0])
def test_rewards_weigh_by_their_distance_from_the_largest(shift):
    rewards = np.array([12.0, 9.5, 11.9], np.float32) + np.float32(shift)
    _, weights = weighed(*rewarded(rewards))
    expected = np.exp((rewards - rewards.max()).astype(float) / 0.1)
    np.testing.assert_allclose(weights, expected, rtol=1e-2)
    assert weights.max() <= 1


def test_the_largest_reward_is_found_by_sums_over_devices():
    method, groups = rewarded(np.array([12.0, 9.5, -300.0], np.float32))
    parts = [jax.tree.map(lambda x, i=i: x[i : i + 1], groups) for i in range(3)]
    shares = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)

    def share(groups):
        def reduce(values):
            return jax.lax.psum(values, "data")

        return algorithms.group_losses(method, groups, reduce)[1]

    found = jax.pmap(share, axis_name="data", devices=jax.devices()[:3])(shares)
    expected = np.exp((np.array([12.0, 9.5, -300.0]) - 12.0) / 0.1)
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("column", ["loss", "weight", "regulariser"])
@pytest.mark.parametrize(
    "shape", [lambda b, g, k: (b,), lambda b, g, k: (b, g, k), lambda b, g, k: ()]
)
def test_what_is_not_one_number_a_group_is_refused(column, shape):
    row = algorithms.configure("dpo")
    groups = random_groups(row, P)
    wrong = shape(*groups.members.shape)
    method = dataclasses.replace(
        row, **{column: lambda method, groups: jnp.ones(wrong)}
    )
    with pytest.raises(
        ValueError, match=f"the row's {column} .* must be one number a group"
    ):
        jax.jit(lambda groups: algorithms.group_losses(method, groups))(groups)
