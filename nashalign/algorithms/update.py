"""The one update that trains every method: roll out, annotate, learn.

`update` is pure and compiles into one program when the annotator is made of JAX
functions. With an annotator on the host (people, an LLM) it splits at its natural
place: `rollout`, and `label` with `learn`, are compiled, `ask` runs between them. A row
with an extragradient step does so twice, with draws of each half's own: first from
`looking(state)`, to `learn(..., look_ahead=True)`.
"""

import dataclasses
import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nashalign import policies, preferences
from nashalign.algorithms.columns import Reduce
from nashalign.algorithms.memory import value_and_grad
from nashalign.algorithms.method import Method
from nashalign.algorithms.rollouts import rollout
from nashalign.algorithms.state import Setup, State, looking, step_keys, trained
from nashalign.algorithms.weighing import (
    effective_sample_size,
    group_losses,
    weighs,
)
from nashalign.types import Array, Examples, Groups, Prompts


def ask(
    method: Method,
    annotator: preferences.Annotator | None,
    state: State,
    groups: Groups,
) -> Groups:
    """Asks the annotator what the row reads.

    A pair of unique responses is asked about once, in one order; the other order is its
    complement, and a response ties with itself. Votes may be integers or truth values.
    Nobody is asked where the data set has brought the answer along.

    Raises:
      ValueError: an answer is no probability, or no finite reward, or there is not one
        for each text. Inside a compiled program, where numbers cannot be looked at,
        they become NaN, and with them the loss.
      TypeError: the annotator runs on the host, and is asked in a compiled program.
    """
    key = step_keys(state)[1]
    if method.annotation == "reward" and groups.rewards is None:
        rewards = preferences.scored_by(
            annotator,
            key,
            groups.prompts,
            groups.responses,
            dtype=groups.probability.dtype,
        )
        return dataclasses.replace(groups, rewards=rewards)
    if method.annotation in ("preference", "data") and groups.preference is None:
        preference = _compared(annotator, key, groups)
        return dataclasses.replace(groups, preference=preference)
    return groups


def label(method: Method, state: State, groups: Groups) -> Groups:
    """Reads the annotator's answers as the row does, and selects."""
    method = method.at(state.step)
    return method.select(method, method.label(method, groups))


def annotate(
    method: Method,
    annotator: preferences.Annotator | None,
    state: State,
    groups: Groups,
) -> Groups:
    """Asks the annotator, labels, and selects: see `ask` and `label`.

    Raises:
      ValueError: an answer is not what it must be; see `ask`.
      TypeError: the annotator runs on the host, and is asked in a compiled program.
    """
    return label(method, state, ask(method, annotator, state, groups))


def learn(
    method: Method,
    setup: Setup,
    state: State,
    groups: Groups,
    reduce: Reduce = lambda values: values,
    *,
    look_ahead: bool = False,
) -> tuple[State, dict[str, Array]]:
    """One optimizer step on annotated groups, or as many as the row has epochs.

    The direction is the sum over groups of probability times the gradient of the loss,
    over the sum of the probabilities; a group that the row weighs or drops counts as
    much in that denominator.

    Args:
      method: the row.
      setup: model family and optimizer.
      state: where the policy stands.
      groups: annotated groups.
      reduce: sums a pytree over devices: the identity under `jit`,
        `functools.partial(jax.lax.psum, axis_name=...)` under `pmap`.
      look_ahead: move the frozen policy `ahead` instead: the first half of an
        extragradient step.

    Returns:
      The next state, and metrics: scalars averaged over groups or responses, and of
      rows that weigh the effective sample size.
    """
    method = method.at(state.step)
    groups = _with_old_statistics(method, setup, state, groups)
    move = functools.partial(_move, method, setup, state, groups, reduce)
    own, opt_state, metrics = move(trained(state.players), state.opt_state)
    if look_ahead:
        ahead = policies.lora.join(state.params, own["policy"])
        state = dataclasses.replace(state, frozen=state.frozen | {"ahead": ahead})
        return state, metrics
    if method.step.epochs is not None:
        own, opt_state = jax.lax.fori_loop(
            1,
            method.num_epochs,
            lambda _, carried: move(*carried)[:2],
            (own, opt_state),
        )
    players, step = policies.lora.join(state.players, own), state.step + 1
    state = dataclasses.replace(
        state,
        players=players,
        frozen=_refreshed(method, step, state.frozen, players["policy"]),
        opt_state=opt_state,
        step=step,
    )
    return state, metrics


def update(
    method: Method,
    setup: Setup,
    annotator: preferences.Annotator | None,
    state: State,
    batch: Prompts | Examples,
    reduce: Reduce = lambda values: values,
) -> tuple[State, dict[str, Array], Groups]:
    """Rolls out, annotates and learns: one step of preference optimisation.

    Returns:
      The next state, metrics, and the groups that were learnt from.
    """
    if method.step.looks_ahead:
        first = looking(state)
        groups = rollout(method, setup, first, batch)
        groups = annotate(method, annotator, first, groups)
        state, _ = learn(method, setup, state, groups, reduce, look_ahead=True)
    groups = annotate(method, annotator, state, rollout(method, setup, state, batch))
    state, metrics = learn(method, setup, state, groups, reduce)
    return state, metrics, groups


def _move(
    method, setup, state, groups, reduce, own, opt_state
) -> tuple[dict[str, policies.Params], optax.OptState, dict[str, Array]]:
    """One optimizer step: what is trained of the players, optimizer state, metrics."""

    def read(own, groups):
        players = policies.lora.join(state.players, own)
        found = _read(method, setup, players, state.frozen, groups)
        return found.log_probs, found.statistics

    def total_loss(found):
        log_probs, statistics = found
        read = dataclasses.replace(groups, log_probs=log_probs, statistics=statistics)
        per_group, counted = group_losses(method, read, reduce)
        return jnp.sum(groups.probability * per_group), (log_probs, counted)

    loss, (log_probs, counted), gradient = value_and_grad(
        read, total_loss, own, groups, setup.memory.num_microbatches
    )
    loss, gradient, weight = reduce((loss, gradient, jnp.sum(groups.probability)))
    gradient = jax.tree.map(lambda g: g / weight, gradient)
    updates, opt_state = setup.optimizer.update(gradient, opt_state, own)
    metrics = {"loss": loss / weight, "gradient_norm": optax.tree.norm(gradient)}
    metrics |= _response_metrics(log_probs, groups, reduce)
    if weighs(method):
        size = effective_sample_size(groups.probability, counted, reduce)
        metrics["effective_sample_size"] = size
    moved: Any = optax.apply_updates(own, updates)
    return moved, opt_state, metrics


def _read(method, setup, players, frozen, groups):
    """The groups with what the row's loss reads of the players."""
    params = players["policy"]
    model = setup.policy if setup.memory.remat else setup.policy.without_remat
    model = model or setup.policy
    hidden = policies.read(model, params, groups.prompts, groups.responses)
    log_probs = policies.log_probs_of(setup.policy, params, hidden, groups.responses)
    found = {
        name: statistic(setup, players, frozen, hidden, groups)
        for name, statistic in method.statistics
    }
    return dataclasses.replace(
        groups, log_probs=log_probs, statistics={**groups.statistics, **found}
    )


def _with_old_statistics(method, setup, state, groups):
    """The groups with what rows of several epochs read of the players before them."""
    if method.step.epochs is None:
        return groups
    read = _read(method, setup, state.players, state.frozen, groups)
    old = {f"old_{name}": value for name, value in read.statistics.items()}
    return dataclasses.replace(
        groups, statistics={**old, "old_log_probs": read.log_probs}
    )


def _compared(annotator, key, groups):
    """P(row beats column) `[B, N, N]` of the unique responses."""
    responses = groups.responses
    num_responses = responses.tokens.shape[1]
    pairs = tuple(itertools.combinations(range(num_responses), 2))
    answers = preferences.preferred_among(
        annotator, key, groups.prompts, responses, pairs
    )
    dtype = groups.probability.dtype
    preferred = preferences.probabilities(answers, "the annotator", dtype=dtype)
    shape = (preferred.shape[0], num_responses, num_responses)
    preference = jnp.full(shape, 0.5, preferred.dtype)
    first, second = np.asarray(pairs).T
    preference = preference.at[:, first, second].set(preferred)
    return preference.at[:, second, first].set(1 - preferred)


def _refreshed(method, step, frozen, params):
    """The frozen policies after a step; all move at once, from where all were."""
    sources = {"policy": params, **frozen}

    def move(name, source, rule):
        moved = jax.tree.map(
            lambda old, new: rule(method.settings, step, old, new),
            policies.lora.trained(frozen[name]),
            policies.lora.trained(sources[source]),
        )
        return policies.lora.join(frozen[name], moved)

    return frozen | {entry[0]: move(*entry) for entry in method.refresh}


def _response_metrics(log_probs, groups, reduce):
    """Means over the table's responses; masked, so padding counts nowhere."""
    responses = groups.responses
    sums = {
        "length": jnp.sum(responses.mask),
        "truncated": jnp.sum(responses.truncated),
    }
    if "reference" in groups.frozen_log_probs:
        sums["log_ratio"] = jnp.sum(log_probs - groups.reference_log_probs)
    sums, count = reduce((sums, jnp.asarray(responses.truncated.size)))
    return {name: value / count for name, value in sums.items()}
