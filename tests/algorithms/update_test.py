"""The shared update: what it draws, what it asks, what it moves and what it reports."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import algorithms, preferences
from tests import token_game

POLICY = token_game.POLICY
SETUP = token_game.setup(POLICY)
PROMPTS = token_game.THREE_PROMPTS


def configured(name):
    return algorithms.configure(name, **token_game.SETTINGS[name])


@token_game.compiled
def roll(method, state, batch=PROMPTS):
    return algorithms.rollout(method, SETUP, state, batch)


def learning(setup):
    """A program that learns from groups: the state after it."""

    @token_game.compiled
    def learn(method, state, groups):
        return algorithms.learn(method, setup, state, groups)[0]

    return learn


@token_game.compiled
def log_policies(state):
    """Log-probabilities `[B, Y]` of all responses under policy and reference."""
    return [
        token_game.log_policy(POLICY, params, PROMPTS)
        for params in (state.params, state.reference)
    ]


@pytest.mark.parametrize("name", ["online_ipo", "nash_md_pg"])
def test_rollout_knows_what_the_reference_thinks_of_its_responses(name):
    state = token_game.moved_state()
    groups = roll(configured(name), state)
    _, log_reference = log_policies(state)
    indices = np.asarray(preferences.locate(token_game.TABLE, groups.responses))
    np.testing.assert_allclose(
        groups.reference_log_probs.sum(-1),
        np.take_along_axis(np.asarray(log_reference), indices, 1),
        atol=1e-5,
    )


def test_every_step_draws_anew_and_the_same_step_draws_the_same():
    method, state = configured("online_ipo"), token_game.moved_state()
    later = dataclasses.replace(state, step=state.step + 1)
    other = dataclasses.replace(state, key=jax.random.key(8))
    first, again, after, elsewhere = (
        np.asarray(roll(method, s).responses.tokens)
        for s in (state, state, later, other)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != after).any() and (first != elsewhere).any()


class Counting:
    """A host annotator that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def prefer(self, key, prompts, y, z):
        self.asked.append((y, z))
        return np.tile(np.array([0.9, 0.2, 0.6], np.float32), (3, 1))


def test_each_pair_is_asked_about_once_and_the_rest_is_complement():
    state, annotator = token_game.moved_state(), Counting()
    groups = roll(configured("online_ipo"), state)
    table = jax.tree.map(lambda x: jnp.repeat(x[:, :3], 3, 0), token_game.TABLE)
    groups = dataclasses.replace(groups, responses=table)
    groups = algorithms.annotate(configured("online_ipo"), annotator, state, groups)
    expected = [[0.5, 0.9, 0.2], [0.1, 0.5, 0.6], [0.8, 0.4, 0.5]]
    np.testing.assert_allclose(groups.preference, [expected] * 3, atol=1e-6)
    [(y, z)] = annotator.asked
    np.testing.assert_array_equal(y.tokens, table.tokens[:, [0, 0, 1]])
    np.testing.assert_array_equal(z.tokens, table.tokens[:, [1, 2, 2]])


class Answering:
    """An annotator that says the same of every pair."""

    def __init__(self, answer):
        self.answer = answer

    def prefer(self, key, prompts, y, z):
        return self.answer


@pytest.mark.parametrize("answer", [True, 1, np.int8(1), 1.0])
def test_votes_are_probabilities_whatever_their_type(answer):
    method, state = configured("online_ipo"), token_game.moved_state()
    groups = roll(method, state)
    votes = Answering(np.full((3, 1), answer))
    groups = algorithms.annotate(method, votes, state, groups)
    expected = np.broadcast_to([[0.5, 1.0], [0.0, 0.5]], (3, 2, 2))
    np.testing.assert_array_equal(groups.preference, expected)
    assert groups.preference.dtype == groups.reference_log_probs.dtype


@pytest.mark.parametrize("answer", [1.5, -0.1, np.nan])
def test_an_answer_that_is_no_probability_is_never_learnt_from(answer):
    method, state = configured("online_ipo"), token_game.moved_state()
    groups, answers = roll(method, state), np.full((3, 1), 0.5)
    answers[1] = answer
    with pytest.raises(ValueError, match=r"the annotator.*entry \(1, 0\)"):
        algorithms.annotate(method, Answering(answers), state, groups)
    with jax.debug_nans(False):
        preference = jax.jit(
            lambda answers: (
                algorithms.annotate(
                    method, Answering(answers), state, groups
                ).preference
            )
        )(answers)
        broken = np.isnan(np.asarray(preference)[:, 0, 1])
    np.testing.assert_array_equal(broken, [False, True, False])


class Scoring:
    """An annotator that answers the same whoever asks."""

    def __init__(self, answer):
        self.answer = answer

    def score(self, key, prompts, responses):
        return self.answer


@pytest.mark.parametrize("answer", [np.inf, -np.inf, np.nan])
def test_a_reward_that_is_not_finite_is_never_learnt_from(answer):
    method, state = configured("rl"), token_game.moved_state()
    groups, answers = roll(method, state), np.full((3, 2), 0.5)
    answers[1, 0] = answer
    with pytest.raises(ValueError, match=r"the annotator: a reward.*entry \(1, 0\)"):
        algorithms.annotate(method, Scoring(answers), state, groups)
    annotate = jax.jit(
        lambda x: algorithms.annotate(method, Scoring(x), state, groups).rewards
    )
    with jax.debug_nans(False):
        np.testing.assert_array_equal(
            np.isnan(annotate(answers)), [[False] * 2, [True, False], [False] * 2]
        )


@pytest.mark.parametrize(
    "answer, words",
    [
        (None, "not None"),
        (np.array([[0.5, None]] * 3), "not an array of object"),
        (np.full((3, 1), "0.5"), "must answer with an array of numbers"),
        (np.full((3, 1), 0.5j), "not an array of complex128"),
        (0.5, r"not \[\]"),
        (np.full(3, 0.5), r"not \[3\]"),
        (np.full((3, 4), 0.5), r"not \[3, 4\]"),
        (np.full((1, 3), 0.5), r"not \[1, 3\]"),
    ],
    ids=str,
)
@pytest.mark.parametrize("row, judge", [("online_ipo", Answering), ("rl", Scoring)])
def test_an_answer_that_is_not_one_number_a_text_is_refused(row, judge, answer, words):
    method, state = configured(row), token_game.moved_state()
    groups = roll(method, state)
    with pytest.raises(ValueError, match=rf"the annotator \({judge.__name__}.*{words}"):
        algorithms.annotate(method, judge(answer), state, groups)


class Reading:
    """An annotator on the host: it looks at tokens."""

    def prefer(self, key, prompts, y, z):
        return np.asarray(y.tokens)[..., 0] / token_game.VOCABULARY

    def score(self, key, prompts, responses):
        return np.asarray(responses.tokens)[..., 0]


@pytest.mark.parametrize("row", ["online_ipo", "rl"])
def test_a_judge_on_the_host_is_not_asked_in_a_compiled_program(row):
    method, state = configured(row), token_game.moved_state()
    update = jax.jit(
        lambda state: algorithms.update(method, SETUP, Reading(), state, PROMPTS)
    )
    with pytest.raises(TypeError, match=r"call algorithms.rollout, annotate and learn"):
        update(state)
    groups = algorithms.annotate(method, Reading(), state, roll(method, state))
    assert (groups.rewards if row == "rl" else groups.preference) is not None


@pytest.mark.parametrize(
    "row, answers, words",
    [
        ("dpo", {"preference": np.full((3, 2, 2), 1.5)}, "preference of the examples"),
        ("dpo", {"preference": np.full((3, 2), 0.5)}, r"must have shape \[3, 2, 2\]"),
        ("rwr", {"rewards": np.full((3, 2), np.nan)}, "rewards of the examples"),
        ("rwr", {"rewards": np.full(3, 0.5)}, r"must have shape \[3, 2\]"),
    ],
)
def test_what_a_data_set_says_of_its_responses_is_looked_at(row, answers, words):
    method = configured(row)
    state = token_game.moved_state(method)
    examples = token_game.drawn_examples(method, PROMPTS)
    examples = dataclasses.replace(examples, **answers)
    with pytest.raises(ValueError, match=words):
        algorithms.rollout(method, SETUP, state, examples)


def test_step_moves_the_policy_counts_itself_and_leaves_the_rest():
    with jax.enable_x64(True):
        state = token_game.moved_state()
        after, _ = token_game.expected_step(configured("online_ipo"), state)
    assert after.step == state.step + 1
    assert after.key == state.key
    same = jax.tree.map(lambda a, b: bool((a == b).all()), state, after)
    assert all(jax.tree.leaves(same.reference))
    assert not any(jax.tree.leaves(same.params))


def begun():
    """A state of a table, which compiles soonest."""
    return token_game.moved_state(family=token_game.TABULAR, scale=0.7)


def moves(name, num_steps=4, **settings):
    """Parameters of every policy after each step, one leaf `[num_steps, ...]` each."""
    method, state = algorithms.configure(name, **settings), begun()
    state = dataclasses.replace(
        state, frozen=dict.fromkeys(method.frozen, state.params)
    )
    seen = []
    for _ in range(num_steps):
        state, _ = token_game.expected_step(method, state, policy=token_game.TABULAR)
        policies_ = {"policy": state.params, **state.frozen}
        seen.append({n: jax.tree.leaves(p)[0] for n, p in policies_.items()})
    return {n: np.array([np.asarray(step[n]) for step in seen]) for n in seen[0]}


def test_the_iterate_follows_every_period_and_the_reference_every_stage():
    with jax.enable_x64(True):
        seen = moves("comal", tau=0.3, eta=1.5, period=1, num_inner=3)
        slow = moves("inpo", tau=0.3, eta=1.5, period=2)
    np.testing.assert_array_equal(seen["iterate"], seen["policy"])
    np.testing.assert_array_equal(seen["reference"][2], seen["policy"][2])
    np.testing.assert_array_equal(seen["reference"][3], seen["policy"][2])
    np.testing.assert_array_equal(seen["reference"][1], seen["reference"][0])
    assert (seen["reference"][1] != seen["policy"][1]).any()
    np.testing.assert_array_equal(slow["iterate"][[1, 2]], slow["policy"][[1, 1]])
    assert (slow["iterate"][0] != slow["policy"][0]).any()
    np.testing.assert_array_equal(slow["reference"][3], slow["reference"][0])


def test_a_reference_moves_by_its_share_every_period_and_by_none_or_all_of_it():
    with jax.enable_x64(True):
        seen = moves("tr_dpo", tau=0.7, share=0.6, period=2)
        whole = moves("tr_dpo", tau=0.7, share=1.0, period=2)
        none = moves("tr_dpo", tau=0.7, share=0.0, period=2)
        hard = moves("tr_dpo_hard", tau=0.7, period=2)
        plain = moves("dpo", tau=0.7)
        start = np.asarray(begun().params["logits"])
    np.testing.assert_array_equal(seen["reference"][0], start)
    halfway = 0.6 * seen["policy"][1] + 0.4 * start
    np.testing.assert_allclose(seen["reference"][1], halfway, rtol=1e-12)
    np.testing.assert_array_equal(seen["reference"][2], seen["reference"][1])
    further = 0.6 * seen["policy"][3] + 0.4 * halfway
    np.testing.assert_allclose(seen["reference"][3], further, rtol=1e-12)
    np.testing.assert_array_equal(whole["reference"][1], whole["policy"][1])
    np.testing.assert_array_equal(none["reference"], plain["reference"])
    np.testing.assert_allclose(none["policy"], plain["policy"], rtol=1e-12)
    np.testing.assert_allclose(whole["policy"], hard["policy"], rtol=1e-12)
    assert np.abs(hard["policy"][3] - plain["policy"][3]).max() > 1e-6


def test_the_average_is_a_running_mean_of_parameters():
    with jax.enable_x64(True):
        seen = moves("nash_ema_pg", tau=0.3, decay=0.75)
        mean = np.asarray(begun().params["logits"])
    for average, policy in zip(seen["average"], seen["policy"], strict=True):
        mean = 0.75 * mean + 0.25 * policy
        np.testing.assert_allclose(average, mean, rtol=1e-12)


def test_policies_that_are_the_same_are_stored_once():
    method, setup = configured("comal"), token_game.setup(POLICY)
    params = token_game.parameters(POLICY, 0)
    state = algorithms.init(method, setup, params, jax.random.key(0))
    assert sorted(state.frozen) == ["iterate", "reference"]
    assert all(frozen is params for frozen in state.frozen.values())
    plain = algorithms.init(configured("rl"), setup, params, jax.random.key(0))
    assert list(plain.frozen) == ["reference"]


def test_metrics_are_means_over_the_responses_own_tokens():
    with jax.enable_x64(True):
        method, state = configured("online_ipo"), token_game.moved_state()
        after, metrics = token_game.expected_step(method, state)
        log_policy, log_reference = map(np.asarray, log_policies(state))
        gradient_norm = np.linalg.norm(token_game.direction(state, after))
    lengths = [len(string) for string in token_game.strings()]
    ratio, policy = log_policy - log_reference, np.exp(log_policy)
    margin = ratio[:, :, None] - ratio[:, None]
    errors = margin - (token_game.preference() - 0.5) / method.tau
    loss = (policy[:, :, None] * policy[:, None] * errors**2).sum((1, 2)).mean()
    expected = {
        "loss": loss,
        "gradient_norm": gradient_norm,
        "log_ratio": ratio.mean(),
        "length": np.mean(lengths),
        "truncated": np.asarray(token_game.TABLE.truncated).mean(),
    }
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-9, err_msg=name)


def test_an_extragradient_step_moves_from_where_it_began_by_the_second_gradient():
    with jax.enable_x64(True):
        method = configured("egpo")
        state = token_game.moved_state(method)
        setup = token_game.setup(POLICY, optax.sgd(0.1))

        def gradient(ahead):
            """The expected gradient at the policy, against a policy ahead of it."""
            frozen = state.frozen | {"ahead": ahead}
            start = dataclasses.replace(state, frozen=frozen)
            return token_game.expected_step(method, start)[0].params

        # Plain SGD of rate one returns params - gradient.
        first = jax.tree.map(lambda p, m: p - m, state.params, gradient(state.params))
        ahead = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, first)
        second = jax.tree.map(lambda p, m: p - m, state.params, gradient(ahead))
        expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, second)
        step = token_game.compiled(
            lambda state: token_game.expected_update(method, setup, state, PROMPTS)
        )
        after, _ = step(state)
    chex.assert_trees_all_close(after.params, expected, atol=1e-12)
    chex.assert_trees_all_close(after.frozen["ahead"], ahead, atol=1e-12)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), first, second)
    assert max(jax.tree.leaves(moved)) > 1e-4
    assert after.step == state.step + 1


def test_several_epochs_are_several_steps_on_one_batch():
    """The critic and the clip look at the policy that the batch found."""
    with jax.enable_x64(True):
        settings = {"tau": 0.3, "clip": 0.05, "trace": 0.9, "value": 0.5}
        setup = token_game.setup(POLICY, optax.adam(0.01))
        judge = token_game.annotator(configured("ppo"))
        learn, ends = learning(setup), {}
        for num_epochs in (1, 3):
            method = algorithms.configure("ppo", num_epochs=num_epochs, **settings)
            state = token_game.moved_state(method)
            state = dataclasses.replace(
                state, opt_state=setup.optimizer.init(state.players)
            )
            groups = algorithms.annotate(method, judge, state, roll(method, state))
            ends[num_epochs] = learn(method, state, groups)
        assert all(int(end.step) == int(state.step) + 1 for end in ends.values())
        counts = {number: int(end.opt_state[0].count) for number, end in ends.items()}
        further = [np.linalg.norm(token_game.direction(state, ends[n])) for n in (1, 3)]
    assert counts == {1: 1, 3: 3}
    assert further[1] > 1.5 * further[0]


def test_responses_of_a_data_set_are_put_where_the_authors_say():
    method = configured("dno_prct")
    state = token_game.moved_state(method)
    examples = token_game.drawn_examples(method, token_game.prompts(range(6)))
    groups = roll(method, state, examples)
    assert groups.responses.tokens.shape == (6, 4, token_game.LENGTH)
    np.testing.assert_array_equal(
        groups.responses.tokens[:, 3], examples.responses.tokens[:, 0]
    )
    method = configured("selm")
    groups = roll(method, state, examples)
    np.testing.assert_array_equal(
        groups.responses.tokens[:, 1:], examples.responses.tokens[:, :2]
    )
    method = configured("spin")
    state = token_game.moved_state(method)
    examples = token_game.drawn_examples(method, token_game.prompts(range(6)))
    groups = roll(method, state, examples)
    np.testing.assert_array_equal(
        groups.responses.tokens[:, 0], examples.responses.tokens[:, 0]
    )
    assert (groups.responses.tokens[:, 1] != examples.responses.tokens[:, 0]).any()


@token_game.compiled
def logits_of(params, tokens):
    return POLICY.apply(params, tokens, jnp.ones_like(tokens, bool))


def test_a_greedy_author_writes_the_most_probable_tokens():
    with jax.enable_x64(True):
        method = configured("selm")
        state = token_game.moved_state(method)
        examples = token_game.drawn_examples(method, token_game.THREE_PROMPTS)
        groups = roll(method, state, examples)
        tokens, mask = groups.responses.tokens[:, 0], groups.responses.mask[:, 0]
        for row in range(3):
            own = np.asarray(PROMPTS.mask[row])
            text = np.asarray(PROMPTS.tokens[row])[own].tolist()
            for token in np.asarray(tokens[row])[np.asarray(mask[row])]:
                logits = logits_of(state.frozen["iterate"], jnp.asarray([text]))
                assert token == int(jnp.argmax(logits[0, -1]))
                text.append(int(token))


def test_labels_that_the_data_set_has_are_not_asked_for():
    method = configured("dpo")
    state = token_game.moved_state(method)
    examples = token_game.drawn_examples(method, PROMPTS)
    groups = roll(method, state, examples)
    groups = algorithms.annotate(method, None, state, groups)
    np.testing.assert_array_equal(groups.preference, examples.preference)
    # Of a row that compares other responses too, everything is asked.
    method = configured("selm")
    groups = roll(method, state, examples)
    assert groups.preference is None
    # Of one that reads the data set's labels alone, nothing is.
    method = configured("dice")
    groups = roll(method, state, examples)
    np.testing.assert_array_equal(groups.preference[:, 3:, 3:], examples.preference)


@pytest.mark.parametrize("name", ["sft", "dpo", "soft_po_ranked"])
def test_a_batch_without_the_responses_that_a_row_needs_is_refused(name):
    method = configured(name)
    with pytest.raises(ValueError, match="and the batch has 0; give it types.Examples"):
        algorithms.rollout(method, SETUP, token_game.moved_state(method), PROMPTS)


@token_game.compiled
def expected_groups(method, state):
    return token_game.expected_groups(method, SETUP, state, PROMPTS)


def test_a_group_that_is_dropped_counts_in_the_denominator():
    with jax.enable_x64(True):
        method = configured("online_ipo")
        state = token_game.moved_state(method)
        groups = expected_groups(method, state)
        learn = learning(SETUP)
        kept = jnp.arange(groups.members.shape[1]) % 2 == 0
        kept = jnp.broadcast_to(kept, groups.probability.shape)
        half = dataclasses.replace(groups, kept=kept)
        rest = dataclasses.replace(groups, kept=~kept)
        whole, first, second = (
            token_game.direction(state, learn(method, state, g))
            for g in (groups, half, rest)
        )
    np.testing.assert_allclose(first + second, whole, rtol=0, atol=1e-12)
    assert np.linalg.norm(first) > 0


def test_frozen_policies_move_at_once_from_where_all_were():
    with jax.enable_x64(True):
        seen = moves("onpo", num_steps=5, eta=1.5, period=2)
        other = moves("nash_mirror_prox", num_steps=5, tau=0.3, eta=1.5, period=1)
    # After the second step the iterate is that policy; the one before stays behind.
    np.testing.assert_array_equal(seen["iterate"][1], seen["policy"][1])
    np.testing.assert_array_equal(seen["previous"][1], seen["iterate"][0])
    np.testing.assert_array_equal(seen["previous"][3], seen["policy"][1])
    # The rival follows every period, the centre every other one.
    np.testing.assert_array_equal(other["rival"], other["policy"])
    np.testing.assert_array_equal(other["iterate"][[1, 2]], other["policy"][[1, 1]])


def test_the_gap_between_conditioned_prompts_is_halved():
    method = algorithms.configure("self_prompting", gap=0.8, half_life=3.0)
    better, worse = method.authors
    for step, gap in ((0, 0.8), (3, 0.4), (6, 0.2)):
        settings = method.at(step).settings
        assert better(settings)["policy|better"] == pytest.approx(gap)
        assert worse(settings)["policy"] == pytest.approx(1 - gap)
