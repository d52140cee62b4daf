"""What a data set's examples bring along: who reads it, and who must not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms, policies
from nashalign.types import Examples
from tests import token_game

POLICY = token_game.TABULAR
SETUP = token_game.setup(POLICY)
PROMPTS = token_game.prompts(range(6))


def configured(name):
    return algorithms.configure(name, **token_game.SETTINGS[name])


def moved_state():
    return token_game.moved_state(family=POLICY, scale=1.0)


def examples_of(method, state) -> Examples:
    """Examples that say what each frozen policy of the state says of them."""
    examples = token_game.drawn_examples(method, PROMPTS)
    known = {
        name: policies.log_probs(
            SETUP.policy, params, examples.prompts, examples.responses
        )
        for name, params in state.frozen.items()
    }
    return dataclasses.replace(examples, frozen_log_probs=known)


def without(examples: Examples) -> Examples:
    return dataclasses.replace(examples, frozen_log_probs={})


def wrong(examples: Examples) -> Examples:
    """Examples that say the same of all policies, and nothing true."""
    known = jax.tree.map(lambda x: jnp.full_like(x, -9.0), examples.frozen_log_probs)
    return dataclasses.replace(examples, frozen_log_probs=known)


@token_game.compiled
def roll(method, state, examples):
    return algorithms.rollout(method, SETUP, state, examples)


@token_game.compiled
def update(method, state, examples):
    state, metrics, _ = algorithms.update(
        method, SETUP, token_game.annotator(method), state, examples
    )
    return state.players, metrics


@pytest.mark.parametrize("name", ["dpo", pytest.param("kto", marks=pytest.mark.full)])
def test_a_step_is_the_same_whoever_has_computed_the_log_probabilities(name):
    method = configured(name)
    state = token_game.moved_state(method, POLICY, 1.0)
    examples = examples_of(method, state)
    (players, metrics), (expected, computed) = (
        update(method, state, own) for own in (examples, without(examples))
    )
    for name, value in computed.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), players, expected
    )


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("dpo", {"reference"}),
        # It has more responses than it needs.
        ("sft", {"reference"}),
        ("simpo", set()),
        # One frozen policy moves, the other stays.
        ("sequential_po", {"reference"}),
        ("tr_dpo", set()),
        # A part of the table is the policy's own, or all of it.
        ("soft_po", set()),
        ("spin", set()),
        ("online_dpo", set()),
        # Other prompts, or other responses, than those of the examples.
        ("reward_augmented", set()),
        ("preference_degree", set()),
    ],
)
def test_log_probabilities_are_read_of_policies_that_stay_and_texts_that_are_given(
    name, read
):
    method = configured(name)
    state = token_game.moved_state(method, POLICY, 1.0)
    examples = examples_of(method if method.num_data else configured("dpo"), state)
    groups = roll(method, state, without(examples))
    expected, untrue = groups.frozen_log_probs, np.where(groups.responses.mask, -9.0, 0)
    brought = roll(method, state, examples).frozen_log_probs
    found = roll(method, state, wrong(examples)).frozen_log_probs
    assert found.keys() == brought.keys() == expected.keys()
    for name, own in found.items():
        np.testing.assert_array_equal(own, untrue if name in read else expected[name])
        np.testing.assert_allclose(brought[name], expected[name], rtol=1e-5)


def test_where_an_extragradient_step_looks_is_no_policy_that_stays():
    assert configured("egpo").still == ("reference",)
    assert configured("inpo").still == ("reference",)


def test_log_probabilities_go_where_their_responses_go():
    examples = examples_of(configured("filtered"), moved_state())
    known = examples.frozen_log_probs["reference"]
    chosen = algorithms.take(algorithms.first(examples, 1), np.array([4, 2]))
    np.testing.assert_array_equal(
        chosen.frozen_log_probs["reference"], known[np.array([4, 2]), :1]
    )


def test_responses_that_are_written_again_have_none_of_the_old_log_probabilities():
    method, state = configured("optune"), moved_state()
    found = algorithms.regenerate(
        SETUP,
        lambda prompts, responses: np.zeros(responses.truncated.shape),
        state,
        examples_of(method, state),
        share=0.5,
    )
    assert not found.frozen_log_probs


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x: x[:, :1], r"must have shape \[6, 2, 2\], as their responses have"),
        (lambda x: np.where(x < 0, np.inf, x), "must be finite"),
    ],
)
def test_log_probabilities_that_are_none_are_refused_by_name(spoil, said):
    method, state = configured("dpo"), moved_state()
    examples = examples_of(method, state)
    known = {"reference": spoil(np.asarray(examples.frozen_log_probs["reference"]))}
    examples = dataclasses.replace(examples, frozen_log_probs=known)
    with pytest.raises(ValueError, match=rf"frozen_log_probs\['reference'\] .*{said}"):
        algorithms.rollout(method, SETUP, state, examples)
