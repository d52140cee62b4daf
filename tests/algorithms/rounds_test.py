"""Rounds: how examples are parted, answered again and searched for."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import algorithms, policies, sampling
from nashalign.types import Examples
from tests import token_game

R = token_game.rewards()
ONE = token_game.prompts([1])


def pairs(labels=True):
    """Every pair of responses to one prompt, with labels by reward."""
    examples = token_game.all_examples(algorithms.TABLE["dpo"].method, ONE)
    gaps = examples.rewards[:, :, None] - examples.rewards[:, None, :]
    preference = jax.nn.sigmoid(gaps) if labels else None
    return dataclasses.replace(examples, preference=preference)


MIXED = {"dpo_tau": 0.8, "tau": 1.2, "trace": 1.0, "num_epochs": 1}


def stages(threshold):
    return algorithms.find("mixed_po").course(60, threshold=threshold, **MIXED)


def parts(threshold, examples):
    """The examples of each stage of mixed PO."""
    context = algorithms.Context(setup=None, state=None, given=examples)
    return [stage.make(context, None) for stage in stages(threshold)]


def rows(part, examples):
    """Which of some examples a part has, each of which has a first response of its own.

    A pair is known by its rewards.
    """
    own = np.asarray(part.rewards).tolist()
    return np.array([pair in own for pair in np.asarray(examples.rewards).tolist()])


def test_pairs_are_parted_by_the_gap_of_their_rewards():
    examples = pairs()
    easy, difficult = (rows(part, examples) for part in parts(0.7, examples))
    gap = np.abs(np.diff(np.asarray(examples.rewards), axis=1)[:, 0])
    np.testing.assert_array_equal(easy, gap > 0.7)
    np.testing.assert_array_equal(difficult, gap <= 0.7)
    assert easy.any() and difficult.any()


@pytest.mark.parametrize("threshold, alone", [(np.inf, "ppo"), (-np.inf, "dpo")])
def test_an_infinite_threshold_leaves_one_stage(threshold, alone):
    examples = pairs()
    dpo, ppo = (rows(part, examples).all() for part in parts(threshold, examples))
    assert (dpo, ppo) == (alone == "dpo", alone == "ppo")


@pytest.mark.parametrize(
    "threshold, error",
    [(np.nan, ValueError), (-1.0, ValueError), ("1", TypeError), (None, TypeError)],
)
def test_a_threshold_that_parts_nothing_is_refused(threshold, error):
    with pytest.raises(error, match="threshold must be "):
        stages(threshold)


def test_a_label_that_contradicts_the_rewards_by_far_is_left_out():
    examples = pairs()
    turned = dataclasses.replace(
        examples, preference=jnp.swapaxes(examples.preference, 1, 2)
    )
    np.testing.assert_array_equal(
        algorithms.reward_gap(turned), -algorithms.reward_gap(examples)
    )
    easy, difficult = (rows(part, turned) for part in parts(0.7, turned))
    assert not easy.any()
    far = np.abs(algorithms.reward_gap(turned)) > 0.7
    np.testing.assert_array_equal(difficult, ~far)


def trained(method, setup, state, examples, num_steps):
    """Expected updates on weighted examples, or on every response of the policy."""

    @jax.jit
    def run(state, examples):
        def step(state, _):
            if method.num_data:
                groups = algorithms.rollout(method, setup, state, examples)
            else:
                groups = algorithms.expected_rollout(
                    method, setup, state, ONE, token_game.TABLE
                )
            judge = token_game.annotator(method)
            groups = algorithms.annotate(method, judge, state, groups)
            return algorithms.learn(method, setup, state, groups)[0], None

        return jax.lax.scan(step, state, None, num_steps)[0]

    return run(state, examples)


def test_mixed_po_ends_at_the_dpo_policy_tilted_by_the_reward():
    policy, num_steps = policies.tabular(token_game.VOCABULARY, 5), 2000
    with jax.enable_x64(True):
        optimizer = optax.adam(optax.cosine_decay_schedule(0.02, num_steps))
        setup = token_game.setup(policy, optimizer)
        shapes = jax.eval_shape(policy.init, jax.random.key(0))
        start = jax.tree.map(
            lambda x: jnp.asarray(np.random.default_rng(2).normal(size=x.shape)) / 2,
            shapes,
        )
        first, last = stages(0.7)
        state = algorithms.init(first.method, setup, start, jax.random.key(0))
        for stage, part in zip((first, last), parts(0.7, pairs()), strict=True):
            state = algorithms.next_stage(stage.method, setup, state)
            state = trained(stage.method, setup, state, part, num_steps)
        log_start, log_end = (
            np.asarray(token_game.log_policy(policy, params, ONE))[0]
            for params in (start, state.params)
        )
    # Easy pairs connect all responses, so that DPO's optimum is the whole data set's.
    predicted = log_start + R / 0.8 + R / 1.2
    predicted = np.exp(predicted - predicted.max())
    predicted /= predicted.sum()
    assert np.abs(predicted - np.exp(log_start)).sum() / 2 > 0.1
    assert np.abs(predicted - np.exp(log_end)).sum() / 2 < 1e-6


def test_next_stage_is_held_to_the_policy_that_the_last_one_made():
    setup = token_game.setup(token_game.POLICY, optax.adam(0.1))
    state = token_game.moved_state()
    method = algorithms.configure("ppo")
    after = algorithms.next_stage(method, setup, dataclasses.replace(state, step=9))
    assert after.reference is after.params is state.params
    assert sorted(after.players) == ["critic", "policy"] and after.step == 9
    assert after.opt_state[0].count == 0 and after.key == state.key


def test_what_the_next_stages_policy_was_held_to_is_its_previous_one():
    setup = token_game.setup(token_game.POLICY, optax.adam(0.1))
    state = token_game.moved_state()
    after = algorithms.next_stage(algorithms.configure("dice"), setup, state)
    assert after.frozen["previous"] is state.reference
    assert after.frozen["iterate"] is after.reference is state.params


def test_the_penalty_is_that_of_the_iterates_own_finished_responses():
    method = algorithms.configure("dice", **token_game.SETTINGS["dice"])
    setup = token_game.setup(token_game.TABULAR, optax.adam(0.1))
    with jax.enable_x64(True):
        state = token_game.moved_state(method, token_game.TABULAR, scale=0.3)
        prompts = token_game.prompts(range(60))
        examples = token_game.drawn_examples(method, prompts)
        grid = np.linspace(-1, 1, 9)
        found = algorithms.length_corrected(method, setup, state, examples, grid)
        key = jax.random.fold_in(state.key, 2**32 - 1)
        searching = dataclasses.replace(state, key=key)
        groups = algorithms.rollout(method, setup, searching, examples)
        learnt_from = algorithms.rollout(method, setup, state, examples)
    drawn, later = groups.responses.tokens[:, :3], learnt_from.responses.tokens[:, :3]
    assert (drawn != later).any(-1).mean() > 0.5
    log_probs = jax.tree.map(np.asarray, groups.frozen_log_probs)
    implicit = (log_probs["iterate"] - log_probs["previous"]).sum(-1)
    lengths = np.asarray(groups.responses.mask.sum(-1))
    gaps = []
    for penalty in grid:
        gap = 0
        for row in range(60):
            own = [k for k in range(3) if not groups.responses.truncated[row, k]]
            scores = {k: implicit[row, k] - penalty * lengths[row, k] for k in own}
            if own:
                best, worst = max(own, key=scores.get), min(own, key=scores.get)
                gap += lengths[row, best] - lengths[row, worst]
        gaps.append(abs(gap))
    assert found.settings == {**method.settings, "penalty": grid[np.argmin(gaps)]}
    assert min(gaps) < min(gaps[0], gaps[-1])


def stored_pairs(num_prompts=10):
    """A pair to each prompt whose rewards are the prompt's number, last first."""
    prompts = token_game.prompts(range(num_prompts))
    responses = jax.tree.map(
        lambda x: np.repeat(np.asarray(x)[:, :2], num_prompts, 0), token_game.TABLE
    )
    rewards = np.arange(num_prompts, 0, -1.0)[:, None] * np.ones((1, 2))
    return Examples(prompts=prompts, responses=responses, rewards=rewards)


@pytest.mark.parametrize("share, number", [(0.01, 1), (0.3, 3), (0.31, 4), (1.0, 10)])
def test_the_prompts_with_the_lowest_rewards_are_answered_again(share, number):
    with jax.enable_x64(True):
        examples = stored_pairs()
        state = token_game.moved_state(family=token_game.TABULAR)
        score = functools.partial(
            token_game.annotator(algorithms.TABLE["rl"].method).score, None
        )
        setup = token_game.setup(token_game.TABULAR)
        after = algorithms.regenerate(setup, score, state, examples, share=share)
        scored = np.asarray(score(after.prompts, after.responses))
    new = (after.rewards != examples.rewards).any(-1)
    np.testing.assert_array_equal(new, np.arange(10) >= 10 - number)
    np.testing.assert_allclose(after.rewards[new], scored[new])
    old = jax.tree.map(lambda x: x[~new], (after.responses, examples.responses))
    jax.tree.map(np.testing.assert_array_equal, *old)


def test_prompts_of_equal_rewards_keep_their_order():
    examples = dataclasses.replace(stored_pairs(), rewards=np.zeros((10, 2)))
    with jax.enable_x64(True):
        after = algorithms.regenerate(
            token_game.setup(token_game.TABULAR),
            functools.partial(
                token_game.annotator(algorithms.TABLE["rl"].method).score, None
            ),
            token_game.moved_state(family=token_game.TABULAR),
            examples,
            share=0.2,
        )
    np.testing.assert_array_equal((after.rewards != 0).any(-1), np.arange(10) < 2)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"in \(0, 1\], not 1.5"):
        algorithms.regenerate(None, None, None, None, share=1.5)


def searched_examples(num_visits=64):
    """Step pairs of a search by reward, from two prompts."""
    policy = policies.tabular(token_game.VOCABULARY, 5)
    params = policy.init(jax.random.key(0))
    strings = token_game.strings()
    prompts, trees = token_game.prompts([1, 2]), []
    for tokens, mask in zip(prompts.tokens, prompts.mask, strict=True):
        expand = sampling.enumerated_steps(
            policy,
            params,
            tuple(np.asarray(tokens)[np.asarray(mask)].tolist()),
            step_length=1,
            max_length=token_game.LENGTH,
            eos_id=token_game.EOS,
        )

        def value(prefix, terminal):
            return R[strings.index(prefix)] if terminal else 0.0

        trees.append(
            sampling.tree_search(
                sampling.Node(prefix=()), expand, value, num_visits=num_visits
            )
        )
    examples = algorithms.step_examples(
        prompts, trees, max_length=token_game.LENGTH, eos_id=token_game.EOS
    )
    return examples, trees


def test_step_pairs_become_examples_that_share_their_prefix():
    examples, trees = searched_examples()
    found = [pair for tree in trees for pair in sampling.step_pairs(tree)]
    assert len(found) == len(examples.preference) > 2
    for row, pair in enumerate(found):
        own = np.asarray(examples.responses.mask)[row]
        texts = [
            tuple(text[mask].tolist())
            for text, mask in zip(examples.responses.tokens[row], own, strict=True)
        ]
        assert texts == [pair.prefix + pair.better, pair.prefix + pair.worse]
        assert examples.preference[row, 0, 1] == np.float32(pair.label)
        assert examples.preference[row].diagonal().tolist() == [0.5, 0.5]
    ended = [
        0 in text[mask]
        for text, mask in zip(
            examples.responses.tokens.reshape(-1, 2),
            examples.responses.mask.reshape(-1, 2),
            strict=True,
        )
    ]
    np.testing.assert_array_equal(
        examples.responses.truncated.ravel(), ~np.array(ended)
    )


def test_a_shared_prefix_has_no_gradient():
    """Of a tabular policy only what is read after the prefix moves."""
    examples, trees = searched_examples()
    lengths = [len(p.prefix) for tree in trees for p in sampling.step_pairs(tree)]
    row = int(np.argmax(lengths))
    assert lengths[row] == 1
    policy = policies.tabular(token_game.VOCABULARY, 5)
    setup = token_game.setup(policy)
    method = algorithms.configure("mcts_dpo", tau=1.0)
    state = algorithms.init(
        method, setup, policy.init(jax.random.key(0)), jax.random.key(0)
    )
    one = algorithms.take(examples, np.array([row]))
    after, _, _ = algorithms.update(method, setup, None, state, one)
    moved = np.abs(np.asarray(after.params["logits"])).sum(-1) > 0
    # One history, that of prompt and prefix, tells the two steps apart.
    assert moved.sum() == 1


@pytest.mark.parametrize("best, worst", [(6, 2), (3, 0), (2, 5)])
def test_a_step_pair_teaches_by_its_visits_as_the_paper_says(best, worst):
    """Xie et al. 2024: DPO with labels smoothed by 1 - 1 / (1 + N_l / max(1, N_w))."""
    tree = sampling.Node(
        prefix=(2,),
        children=tuple(
            sampling.Node(prefix=(2, token), visits=visits, action_value=value)
            for token, visits, value in [(1, best, 0.7), (0, worst, 0.2)]
        ),
    )
    prompts, policy = token_game.prompts([1]), policies.tabular(3, 5)
    examples = algorithms.step_examples(
        prompts, [tree], max_length=token_game.LENGTH, eos_id=token_game.EOS
    )
    tau, smoothing = 0.7, min(1 - 1 / (1 + worst / max(1, best)), 0.5)
    setup = token_game.setup(policy)
    method = algorithms.configure("mcts_dpo", tau=tau)
    state = algorithms.init(
        method, setup, token_game.parameters(policy, 3), jax.random.key(0)
    )
    # Away from its reference by this much after the shared prefix, (2,).
    prompt = np.asarray(prompts.tokens)[0][np.asarray(prompts.mask)[0]]
    row = functools.reduce(lambda row, token: 3 * row + 1 + int(token), [*prompt, 2], 0)
    logits = state.reference["logits"]
    moved = {"logits": logits.at[row].add(jnp.array([0.2, 1.3, -0.4]))}
    state = dataclasses.replace(state, players={"policy": moved})
    after, _, _ = algorithms.update(method, setup, None, state, examples)
    h = 1.3 - 0.2
    slope = (1 - smoothing) / (1 + np.exp(tau * h)) - smoothing / (1 + np.exp(-tau * h))
    expected = np.zeros(logits.shape)
    expected[row] = tau * slope * np.array([-1.0, 1.0, 0.0])
    found = after.params["logits"] - moved["logits"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_policy_learns_the_steps_that_the_search_prefers():
    examples, _ = searched_examples()
    policy = policies.tabular(token_game.VOCABULARY, 5)
    setup = token_game.setup(policy, optax.sgd(2.0))
    method = algorithms.configure("mcts_dpo", tau=1.0)
    state = algorithms.init(
        method, setup, policy.init(jax.random.key(0)), jax.random.key(0)
    )

    @token_game.compiled
    def updated(state):
        return algorithms.update(method, setup, None, state, examples)[0]

    for _ in range(5):
        state = updated(state)
    log_policy = token_game.log_policy(policy, state.params, token_game.prompts([1]))
    assert int(np.argmax(log_policy[0])) == int(np.argmax(R))
