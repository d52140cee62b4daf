"""The tree search against trees whose values are known, and the pairs it leaves."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from nashalign import policies, sampling
from nashalign.sampling import Node, Step
from tests import token_game

EOS = 0


def two_arms(prefix):
    """Two steps with the worse one in front and preferred by the prior."""
    del prefix
    return [Step((1,), 0.6, True), Step((2,), 0.4, True)]


def arm_value(prefix, terminal):
    assert terminal
    return {(1,): 0.2, (2,): 0.8}[prefix]


class Game:
    """Random steps of one or two tokens up to four tokens, which records its calls."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.expanded, self.valued = [], []

    def expand(self, prefix):
        self.expanded.append(prefix)
        steps = [(EOS,), (1, 0), (1, 1), (2,), (3, 2)]
        return [
            Step(step, self.random.uniform(0.1, 1), step == (EOS,) or len(prefix) > 2)
            for step in steps
        ]

    def value(self, prefix, terminal):
        self.valued.append((prefix, terminal))
        return self.random.normal()


def nodes(root, depth=0):
    """Every node below the root and itself, with its depth."""
    yield root, depth
    for child in root.children:
        yield from nodes(child, depth + 1)


def searched(seed, **settings):
    """A tree of a random game, and the game."""
    game = Game(seed)
    root = sampling.tree_search(Node(prefix=()), game.expand, game.value, **settings)
    return root, game


def siblings(*children):
    """A root whose children have these `(prefix, visits, Q)`."""
    return Node(
        prefix=(),
        children=tuple(
            Node(prefix=prefix, visits=visits, action_value=value)
            for prefix, visits, value in children
        ),
    )


# The search.


def test_visits_concentrate_on_the_better_of_two_arms():
    root = sampling.tree_search(Node(prefix=()), two_arms, arm_value)
    worse, better = root.children
    assert (worse.action_value, better.action_value) == (0.2, 0.8)
    assert better.visits > 0.9 * root.visits
    # PUCT keeps both bounds level: an arm is tried until its bonus covers its gap.
    gap = 0.6 * math.sqrt(root.visits) / (1 + worse.visits)
    gap -= 0.4 * math.sqrt(root.visits) / (1 + better.visits)
    np.testing.assert_allclose(gap, 0.8 - 0.2, atol=0.06)


@pytest.mark.parametrize("exploration, first", [(0.0, (2,)), (10.0, (1,))])
def test_exploration_weighs_the_prior_against_the_value(exploration, first):
    root = sampling.tree_search(
        Node(prefix=()), two_arms, arm_value, exploration=exploration, num_visits=1
    )
    assert [child.prefix for child in root.children if child.visits] == [first]


def test_every_visit_follows_the_largest_bound_and_ties_go_to_the_first():
    settings = {"exploration": 0.7, "discount": 0.9, "depth": 2}
    before = searched(1, num_visits=0, **settings)[0]
    for number in range(1, 40):
        after = searched(1, num_visits=number, **settings)[0]
        node, grown = before, after
        while node.children:
            scores = [
                child.action_value
                + 0.7 * child.prior * math.sqrt(node.visits + 1) / (1 + child.visits)
                for child in node.children
            ]
            visited = [
                b.visits - a.visits
                for a, b in zip(node.children, grown.children, strict=True)
            ]
            assert visited == [int(n == np.argmax(scores)) for n in range(len(scores))]
            index = visited.index(1)
            node, grown = node.children[index], grown.children[index]
        before = after
    level = [Step((1,), 0.5, True), Step((2,), 0.5, True)]
    root = sampling.tree_search(
        Node(prefix=()), lambda _: level, lambda *_: 0.0, num_visits=3
    )
    assert [child.visits for child in root.children] == [2, 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_back_up_is_the_visit_weighted_mean_below_each_node(seed, discount):
    root, _ = searched(seed, discount=discount, num_visits=100)

    def state_value(node):
        if not node.children:
            return 0.0
        total = weight = 0.0
        for child in node.children:
            n = max(1, child.visits)
            quality = child.value - node.value + discount * state_value(child)
            total, weight = total + n * quality, weight + n
        return total / weight

    for node, _ in nodes(root):
        np.testing.assert_allclose(node.state_value, state_value(node), atol=1e-12)
        expected = node.reward + discount * node.state_value
        np.testing.assert_allclose(node.action_value, expected, atol=1e-12)


def test_undiscounted_rewards_telescope_to_the_mean_value_of_the_leaves():
    # With values that only a leaf's last token decides, one path has one answer.
    chain = [[Step((1,), 1.0)], [Step((2,), 1.0)], [Step((3,), 1.0, True)]]
    values = {1: 5.0, 2: -7.0, 3: 0.25}
    root = sampling.tree_search(
        Node(prefix=()),
        lambda prefix: chain[len(prefix)],
        lambda prefix, _: values[prefix[-1]],
        num_visits=2,
    )
    assert root.state_value == 0.25


def test_visits_add_up_and_every_prefix_is_opened_and_valued_once():
    root, game = searched(4, num_visits=150)
    assert root.visits == 150
    found = list(nodes(root))
    for node, _ in found:
        if node.children:
            assert node.visits == sum(child.visits for child in node.children)
    assert sorted(game.expanded) == sorted(n.prefix for n, _ in found if n.children)
    valued = [(node.prefix, node.terminal) for node, _ in found[1:]]
    assert sorted(game.valued) == sorted(valued)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_depth_is_limited_and_what_has_ended_is_not_opened(depth):
    root, game = searched(5, depth=depth, num_visits=100)
    found = list(nodes(root))
    assert max(level for _, level in found) == depth
    ends = {node.prefix for node, _ in found if node.terminal}
    assert any(node.terminal and node.visits for node, _ in found)
    assert not ends & set(game.expanded)


def test_a_search_can_go_on_from_the_chosen_step():
    def expand(prefix):
        del prefix
        return [Step((1,), 0.5), Step((2,), 0.5)]

    def value(prefix, terminal):
        del terminal
        return sum(prefix) / 10

    root = sampling.tree_search(Node(prefix=()), expand, value, num_visits=30)
    chosen = root.children[1]
    after = sampling.tree_search(chosen, expand, value, num_visits=20)
    assert after.visits == chosen.visits + 20
    assert after.reward == chosen.reward == 0.2
    found = list(nodes(after))
    assert max(depth for _, depth in found) == 3
    assert all(len(node.prefix) == 1 + depth for node, depth in found)
    assert all(node.prefix[0] == 2 for node, _ in found)


def test_a_dead_end_is_visited_as_it_stands():
    root = sampling.tree_search(
        Node(prefix=()),
        lambda prefix: [] if prefix else [Step((1,), 1.0)],
        lambda *_: 0.5,
        num_visits=4,
    )
    assert (root.visits, root.state_value, root.children[0].visits) == (4, 0.5, 4)


@pytest.mark.parametrize("steps", [[(1,), (2,), (1,)], [(1, 2, 3), (2,), (1, 2)]])
def test_steps_that_begin_with_one_another_are_refused(steps):
    with pytest.raises(ValueError, match="merge them or drop one"):
        sampling.tree_search(
            Node(prefix=()), lambda _: [Step(s, 1.0) for s in steps], lambda *_: 0.0
        )


# The pairs.


@pytest.mark.parametrize(
    "better, worse, confidence, label",
    [
        (6, 6, 1 / 2, 1 / 2),
        (6, 0, 1, 1),
        (6, 2, 3 / 4, 3 / 4),
        (2, 6, 1 / 4, 1 / 2),
        (0, 3, 1 / 4, 1 / 2),
    ],
)
def test_confidence_and_label_come_from_the_visits(better, worse, confidence, label):
    root = siblings(((1,), worse, 0.1), ((2,), better, 0.9), ((3,), 1, 0.5))
    [pair] = sampling.step_pairs(root)
    assert (pair.prefix, pair.better, pair.worse) == ((), (2,), (1,))
    assert (pair.confidence, pair.label) == (confidence, label)
    # The paper's smoothing is what is missing to certainty, at most 1/2.
    assert pair.label == 1 - min(1 - pair.confidence, 1 / 2)


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_the_extremes_of_each_depth_of_the_chosen_path(seed):
    root, _ = searched(seed, num_visits=60)
    pairs, node = sampling.step_pairs(root), root
    while node.children:
        pair = pairs.pop(0)
        ranked = sorted(node.children, key=lambda child: child.action_value)
        assert pair.prefix + pair.worse == ranked[0].prefix
        assert pair.prefix + pair.better == ranked[-1].prefix
        node = max(node.children, key=lambda child: child.visits)
    assert not pairs


def test_the_path_goes_by_visits_and_not_by_value():
    left, right = siblings(((1,), 9, 0.2), ((2,), 1, 0.8)).children
    below = [
        dataclasses.replace(node, prefix=left.prefix + node.prefix)
        for node in siblings(((3,), 6, 0.1), ((4,), 3, 0.0)).children
    ]
    left = dataclasses.replace(left, children=tuple(below))
    pairs = sampling.step_pairs(Node(prefix=(), children=(left, right)))
    compared = [(pair.prefix, pair.better, pair.worse) for pair in pairs]
    assert compared == [((), (2,), (1,)), ((1,), (3,), (4,))]


def test_pairs_share_their_prefix_and_differ_in_the_first_token_after_it():
    root = siblings(((7, 1, 1), 2, 0.0), ((7, 1, 0, 4), 3, 1.0))
    [pair] = sampling.step_pairs(root)
    assert (pair.prefix, pair.better, pair.worse) == ((7, 1), (0, 4), (1,))
    for seed in range(4):
        for pair in sampling.step_pairs(searched(seed, num_visits=60)[0]):
            assert pair.better[0] != pair.worse[0]


def test_equal_siblings_and_only_children_give_no_pair():
    assert not sampling.step_pairs(siblings(((1,), 3, 0.5), ((2,), 1, 0.5)))
    assert not sampling.step_pairs(siblings(((1,), 3, 0.5)))
    assert not sampling.step_pairs(Node(prefix=()))


# The steps of a policy.


def test_prior_is_the_probability_with_a_penalised_length():
    assert sampling.step_prior([math.log(0.3)]) == pytest.approx(0.3)
    log_probs = np.log([0.5, 0.2, 0.9])
    expected = 0.09 ** (1 / 3**1.25)
    assert sampling.step_prior(log_probs) == pytest.approx(expected)
    mean = sampling.step_prior(log_probs, length_penalty=1.0)
    assert mean == pytest.approx(0.09 ** (1 / 3))


def tabular_steps(step_length):
    """Steps of a tabular policy of a game of three tokens, and its parameters."""
    policy = policies.tabular(token_game.VOCABULARY, 5)
    params = token_game.parameters(policy, 3, scale=1.0)
    expand = sampling.enumerated_steps(
        policy, params, (2, 1), step_length=step_length, max_length=3, eos_id=EOS
    )
    return policy, params, expand


@pytest.mark.parametrize("prefix", [(), (1,), (2, 1)])
def test_steps_of_one_token_have_the_policys_probabilities(prefix):
    policy, params, expand = tabular_steps(1)
    tokens = np.array([(2, 1, *prefix)], np.int32)
    logits = policy.apply(params, tokens, np.ones(tokens.shape, bool))[0, -1]
    expected = jax.nn.softmax(logits)
    steps = expand(prefix)
    assert sorted(step.tokens for step in steps) == [(0,), (1,), (2,)]
    for step in steps:
        np.testing.assert_allclose(step.prior, expected[step.tokens[0]], rtol=1e-5)
        assert step.terminal == (step.tokens == (EOS,) or len(prefix) == 2)


def test_longer_steps_are_all_strings_up_to_the_end():
    _, _, expand = tabular_steps(2)
    first = {step.tokens: step for step in expand(())}
    whole = {(0,), (1, 0), (2, 0), (1, 1), (1, 2), (2, 1), (2, 2)}
    assert set(first) == whole
    assert {s for s in whole if first[s].terminal} == {(0,), (1, 0), (2, 0)}
    last = expand((1, 2))
    assert sorted(step.tokens for step in last) == [(0,), (1,), (2,)]
    assert all(step.terminal for step in last)
    single = {step.tokens: step.prior for step in tabular_steps(1)[2](())}
    after = {step.tokens: step.prior for step in tabular_steps(1)[2]((2,))}
    expected = (single[(2,)] * after[(1,)]) ** (1 / 2**1.25)
    np.testing.assert_allclose(first[(2, 1)].prior, expected, rtol=1e-5)


def test_a_policys_tree_finds_the_response_of_the_highest_value():
    _, _, expand = tabular_steps(1)
    best = (2, 1, 2)

    def value(prefix, terminal):
        return float(terminal and prefix == best)

    root = sampling.tree_search(Node(prefix=()), expand, value, exploration=0.5)
    pairs = sampling.step_pairs(root)
    assert [pair.prefix + pair.better for pair in pairs] == [(2,), (2, 1), best]
    assert all(pair.label > 0.9 for pair in pairs)


def test_sampled_steps_are_the_first_tokens_and_worth_how_they_end():
    drawn = {
        (): [
            ((1, 2, 3, 0), [-0.1, -0.2, -0.3, -0.4], 1.0),
            ((1, 2, 0), [-0.1, -0.2, -0.5], 4.0),
            ((3, 0), [-1.0, -2.0], 0.5),
        ],
        (1, 2): [((4, 4), [-0.3, -0.3], 7.0)],
    }
    asked = []

    def complete(prefix):
        asked.append(prefix)
        return [sampling.Continuation(*own) for own in drawn[prefix]]

    expand, value = sampling.sampled_steps(complete, step_length=2, max_length=4)
    first, second = expand(())
    # Two continuations begin with one step, which is worth their mean.
    assert first == Step((1, 2), math.exp(-0.3 / 2**1.25), False)
    assert value((1, 2), False) == 2.5
    assert second == Step((3, 0), math.exp(-3.0 / 2**1.25), True)
    assert value((3, 0), True) == 0.5
    # What is cut at the maximal length is over too.
    assert [step.terminal for step in expand((1, 2))] == [True]
    assert value((1, 2, 4, 4), True) == 7.0 and asked == [(), (1, 2)]


def test_a_search_over_sampled_steps_finds_the_better_one():
    """Continuations of a uniform policy, worth the share of ones among their tokens."""
    random = np.random.default_rng(0)

    def complete(prefix):
        tails = random.integers(1, 3, (6, 4 - len(prefix)))
        return [
            sampling.Continuation(
                tuple(tail.tolist()),
                [math.log(0.5)] * len(tail),
                float(np.mean(np.array([*prefix, *tail]) == 1)),
            )
            for tail in tails
        ]

    expand, value = sampling.sampled_steps(complete, step_length=2, max_length=4)
    root = sampling.tree_search(Node(prefix=()), expand, value, depth=2, num_visits=64)
    pair = sampling.step_pairs(root)[0]
    # Of steps of two tokens: both are ones, or neither is; the first may be shared.
    assert sum(t == 1 for t in pair.better) > sum(t == 1 for t in pair.worse)
    assert max(root.children, key=lambda c: c.visits).prefix == (1, 1)
