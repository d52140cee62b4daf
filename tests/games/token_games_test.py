"""Tests of token games: mixtures by walking strings, fixed points by their equation."""

import itertools

import numpy as np
import pytest
import scipy.special

from nashalign import games

EOS, PAD = 0, 0


def all_strings(vocabulary, length):
    """Returns every response, as a tuple: ended by EOS, or cut at the length."""
    strings = []
    for count in range(length + 1):
        for words in itertools.product(range(1, vocabulary), repeat=count):
            strings.append(words if count == length else (*words, EOS))
    # In no particular order, so that nothing can rely on one.
    np.random.default_rng(0).shuffle(strings := np.array(strings, dtype=object))
    return [tuple(string) for string in strings]


def tree_of(strings):
    """Returns the tree of a list of responses."""
    length = max(map(len, strings))
    tokens = [[*string, *[PAD] * (length - len(string))] for string in strings]
    mask = [[t < len(string) for t in range(length)] for string in strings]
    return games.token_tree(np.array(tokens), np.array(mask))


def mixture_by_walking(strings, policy, reference, mix):
    """Returns the token-level mixture, one string and one token at a time."""

    def beginning_with(prefix, weights):
        return sum(
            weight
            for string, weight in zip(strings, weights, strict=True)
            if string[: len(prefix)] == prefix
        )

    def conditional(prefix, token):
        numerator, total = 0.0, 0.0
        for other in {s[len(prefix)] for s in strings if s[: len(prefix)] == prefix}:
            extended = (*prefix, other)
            ours, theirs = (
                beginning_with(extended, p) / beginning_with(prefix, p)
                for p in (policy, reference)
            )
            weight = ours ** (1 - mix) * theirs**mix
            total += weight
            numerator += weight if other == token else 0.0
        return numerator / total

    return np.array(
        [
            np.prod([conditional(s[:t], token) for t, token in enumerate(s)])
            for s in strings
        ]
    )


def two_policies(size, seed=0):
    """Returns two full-support policies over the responses of a game."""
    logits = np.random.default_rng(seed).normal(size=(2, size))
    return scipy.special.softmax(2 * logits, axis=-1)


@pytest.mark.parametrize("vocabulary, length", [(2, 3), (3, 3), (4, 2), (5, 1)])
@pytest.mark.parametrize("mix", [0.0, 0.125, 0.5, 1.0])
def test_mixture_is_that_of_each_token_given_its_prefix(vocabulary, length, mix):
    strings = all_strings(vocabulary, length)
    policy, reference = two_policies(len(strings))
    mixed = tree_of(strings).mixture(policy, reference, mix)
    expected = mixture_by_walking(strings, policy, reference, mix)
    np.testing.assert_allclose(mixed, expected, rtol=1e-12)
    assert mixed.sum() == pytest.approx(1, abs=1e-14)


def test_mixture_ends_at_the_policy_and_at_the_reference():
    strings = all_strings(3, 3)
    policy, reference = two_policies(len(strings))
    tree = tree_of(strings)
    np.testing.assert_allclose(tree.mixture(policy, reference, 0), policy, rtol=1e-13)
    np.testing.assert_allclose(
        tree.mixture(policy, reference, 1), reference, rtol=1e-13
    )
    np.testing.assert_allclose(tree.mixture(policy, policy, 0.3), policy, rtol=1e-13)


def test_mixture_of_a_batch_is_that_of_its_members():
    strings = all_strings(3, 2)
    tree = tree_of(strings)
    policy, reference = (two_policies(7 * len(strings), s) for s in (0, 1))
    policy, reference = (
        p.reshape(2, 7, -1) / p.reshape(2, 7, -1).sum(-1, keepdims=True)
        for p in (policy, reference)
    )
    together = tree.mixture(policy, reference, 0.4)
    apart = tree.mixture(policy[1, 3], reference[1, 3], 0.4)
    np.testing.assert_allclose(together[1, 3], apart, rtol=1e-13)


def test_mixture_of_one_token_is_the_geometric_mixture():
    strings = all_strings(6, 1)
    policy, reference = two_policies(len(strings))
    mixed = tree_of(strings).mixture(policy, reference, 0.25)
    expected = policy**0.75 * reference**0.25
    np.testing.assert_allclose(mixed, expected / expected.sum(), rtol=1e-13)


def equation_error(strings, policy, preference, reference, tau, mix):
    """Returns tau max|log pi - log BR(w)|, with w found by walking the strings."""
    wins = preference @ mixture_by_walking(strings, policy, reference, mix)
    response = scipy.special.log_softmax(np.log(reference) + wins / tau)
    return tau * np.abs(np.log(policy) - response).max()


@pytest.mark.parametrize("vocabulary, length", [(3, 3), (4, 2)])
@pytest.mark.parametrize(
    "tau, mix", [(1.0, 0.5), (0.1, 0.0), (0.1, 0.125), (0.01, 0.25), (1e-3, 0.125)]
)
def test_fixed_point_solves_its_equation(vocabulary, length, tau, mix):
    strings = all_strings(vocabulary, length)
    preference = games.random_preference(length, len(strings))
    _, reference = two_policies(len(strings))
    tree = tree_of(strings)
    policy = games.token_mixture_fixed_point(tree, preference, reference, tau, mix)
    error = equation_error(strings, policy, preference, reference, tau, mix)
    assert error < 1e-13
    assert policy.sum() == pytest.approx(1, abs=1e-14)


def test_fixed_point_is_where_damped_best_responses_end():
    strings = all_strings(3, 3)
    preference = games.random_preference(0, len(strings))
    _, reference = two_policies(len(strings))
    tree, policy = tree_of(strings), reference
    for _ in range(300):
        wins = preference @ tree.mixture(policy, reference, 0.25)
        response = scipy.special.softmax(np.log(reference) + wins / 0.1)
        policy = 0.8 * policy + 0.2 * response
    expected = games.token_mixture_fixed_point(tree, preference, reference, 0.1, 0.25)
    np.testing.assert_allclose(policy, expected, rtol=1e-10)


@pytest.mark.parametrize("tau, mix", [(0.1, 0.0), (0.1, 0.125), (0.02, 0.5)])
def test_mixture_of_one_token_is_the_nash_policy_of_a_larger_tau(tau, mix):
    strings = all_strings(7, 1)
    preference = games.random_preference(0, 7)
    _, reference = two_policies(7)
    tree = tree_of(strings)
    policy = games.token_mixture_fixed_point(tree, preference, reference, tau, mix)
    mixed = tree.mixture(policy, reference, mix)
    nash = games.regularized_nash(preference, reference, tau / (1 - mix))
    np.testing.assert_allclose(mixed, nash, rtol=1e-11)


def test_mixture_of_longer_responses_is_only_near_that_nash_policy():
    strings = all_strings(3, 3)
    preference = games.random_preference(0, len(strings))
    _, reference = two_policies(len(strings))
    tree = tree_of(strings)
    policy = games.token_mixture_fixed_point(tree, preference, reference, 0.1, 0.125)
    nash = games.regularized_nash(preference, reference, 0.1 / 0.875)
    distance = np.abs(tree.mixture(policy, reference, 0.125) - nash).sum() / 2
    assert 1e-3 < distance < 3e-2


def test_without_mixing_the_fixed_point_is_the_nash_policy():
    strings = all_strings(3, 3)
    preference = games.random_preference(2, len(strings))
    _, reference = two_policies(len(strings))
    policy = games.token_mixture_fixed_point(
        tree_of(strings), preference, reference, 0.01, 0.0
    )
    nash = games.regularized_nash(preference, reference, 0.01)
    np.testing.assert_allclose(policy, nash, rtol=1e-9)


def test_with_the_reference_alone_the_fixed_point_is_its_best_response():
    strings = all_strings(3, 3)
    preference = games.random_preference(2, len(strings))
    _, reference = two_policies(len(strings))
    policy = games.token_mixture_fixed_point(
        tree_of(strings), preference, reference, 0.1, 1.0
    )
    expected = scipy.special.softmax(np.log(reference) + preference @ reference / 0.1)
    np.testing.assert_allclose(policy, expected, rtol=1e-12)


@pytest.mark.parametrize("mix", [0.0, 0.125, 0.9])
def test_fixed_point_of_two_responses_does_not_depend_on_the_mixture(mix):
    preference = [[0.5, 0.8], [0.2, 0.5]]
    tree = tree_of([(EOS,), (1,)])
    policy = games.token_mixture_fixed_point(tree, preference, [0.3, 0.7], 0.05, mix)
    log_odds = np.log(0.3 / 0.7) + 0.3 / 0.05
    np.testing.assert_allclose(np.log(policy[0] / policy[1]), log_odds, rtol=1e-12)


@pytest.mark.parametrize(
    "strings",
    [
        [(1, EOS), (1, EOS), (2, EOS)],  # repeated
        [(1,), (1, 2), (2, 2)],  # the first begins the second
        [(), (1, 2)],  # empty
    ],
)
def test_a_table_that_is_no_tree_is_refused(strings):
    with pytest.raises(ValueError, match="is empty, repeated, or the beginning"):
        tree_of(strings)


@pytest.mark.parametrize("mix", [-0.1, 1.5, np.nan])
def test_a_mix_that_is_no_weight_is_refused(mix):
    tree, half = tree_of([(1,), (2,)]), np.array([0.5, 0.5])
    with pytest.raises(ValueError, match=r"mix must be in \[0, 1\]"):
        tree.mixture(half, half, mix)
    with pytest.raises(ValueError, match=r"mix must be in \[0, 1\]"):
        games.token_mixture_fixed_point(tree, np.full((2, 2), 0.5), half, 0.1, mix)


def test_a_policy_without_full_support_is_refused():
    tree, half = tree_of([(1,), (2,)]), np.array([0.5, 0.5])
    with pytest.raises(ValueError, match=r"policy\[1\] = 0, but must be positive"):
        tree.mixture(np.array([1.0, 0.0]), half, 0.5)


def test_a_token_game_has_every_string_once():
    game = games.token_game(3, 2, lambda y, z: 0.9)
    assert game.responses == ((0,), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
    assert game.preference[1, 4] == 0.9 and game.preference[4, 1] == pytest.approx(0.1)
    assert game.tree.passes.shape == (1 + 3 + 6, 7)
    full = games.token_game(3, 2, lambda y, z: 0.5, eos=None)
    assert len(full.responses) == 9


def test_the_preference_of_a_token_game_may_be_any_function_of_two_strings():
    def longer(y, z):
        return 0.5 + 0.1 * (len(y) - len(z))

    game = games.token_game(2, 3, longer)
    for y, one in enumerate(game.responses):
        for z, other in enumerate(game.responses):
            assert game.preference[y, z] == pytest.approx(longer(one, other))


def test_a_token_game_refuses_what_is_no_probability():
    with pytest.raises(
        ValueError, match=r"prefer\(y, z\) must be in \[0, 1\], not 1.5"
    ):
        games.token_game(2, 2, lambda y, z: 1.5)


def test_fixed_points_of_a_batch_of_contexts_are_those_of_each():
    game = games.token_game(2, 2, lambda y, z: 0.5)
    preference = games.random_preference(0, (2, 3, 3))
    reference = np.random.default_rng(0).dirichlet(np.full(3, 3.0), size=(2, 3))
    together = games.token_mixture_fixed_point(
        game.tree, preference, reference, 0.1, 0.3
    )
    for index in np.ndindex(2, 3):
        alone = games.token_mixture_fixed_point(
            game.tree, preference[index], reference[index], 0.1, 0.3
        )
        np.testing.assert_allclose(together[index], alone, rtol=1e-11)
