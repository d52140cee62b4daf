"""The one update that trains every method: roll out, annotate, learn.

`update` is pure and compiles into one program when the annotator is made of JAX
functions. With an annotator on the host (reviewers, an LLM) it splits at its natural
place: `rollout` and `learn` are compiled, `annotate` runs between them. In a token
game `expected_rollout` stands in for `rollout`, and the same update computes its own
expectation.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from nashalign import policies, preferences, sampling
from nashalign.algorithms.method import Method
from nashalign.types import Groups, Prompts, Responses, pytree

Reduce = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What stays the same through a run: model family, optimizer, decoding."""

    policy: policies.Policy
    optimizer: optax.GradientTransformation
    decoding: sampling.Decoding


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a run carries from step to step.

    Attributes:
      params: the trained policy's parameters.
      frozen: those of each frozen policy that the method names, by name; the same
        arrays while they are the same policy.
      opt_state: the optimizer's.
      step: int32, updates made.
      key: the run's key; never consumed, only folded with the step.
    """

    params: policies.Params
    frozen: dict[str, policies.Params]
    opt_state: optax.OptState
    step: chex.Array
    key: chex.PRNGKey

    @property
    def reference(self) -> policies.Params:
        """The parameters of the policy that the trained one is held to."""
        return self.frozen["reference"]


def init(
    method: Method, setup: Setup, params: policies.Params, key: chex.PRNGKey
) -> State:
    """Returns the state before the first step: all policies start at the same place."""
    return State(
        params=params,
        frozen={name: params for name in method.frozen},
        opt_state=setup.optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        key=key,
    )


def rollout(method: Method, setup: Setup, state: State, prompts: Prompts) -> Groups:
    """Draws each prompt's responses from the method's authors: one group a prompt.

    Returns:
      Groups not yet annotated, all of probability one. Log-probabilities of frozen
      policies that write come from decoding, the others from a forward pass each.
    """
    weights = {
        name: jnp.asarray([author[name] for author in _weights(method)])[None, :, None]
        for name in method.writers
    }
    responses, log_probs = sampling.sample(
        setup.policy,
        _sampled_params(method, state),
        _behaviour(weights),
        _keys(state)[0],
        prompts,
        num_responses=len(method.authors),
        decoding=setup.decoding,
    )
    frozen_log_probs = {
        name: jax.lax.stop_gradient(log_probs[name])
        if name in log_probs
        else policies.log_probs(setup.policy, state.frozen[name], prompts, responses)
        for name in method.frozen
    }
    batch = prompts.tokens.shape[0]
    indices = jnp.arange(len(method.authors))
    indices = jnp.broadcast_to(indices[None, None], (batch, 1, len(method.authors)))
    return Groups(
        prompts=prompts,
        responses=responses,
        frozen_log_probs=frozen_log_probs,
        members=indices[..., : method.num_members],
        opponents=indices[..., method.num_members :],
        probability=jnp.ones((batch, 1), frozen_log_probs["reference"].dtype),
    )


def expected_rollout(
    method: Method, setup: Setup, state: State, prompts: Prompts, table: Responses
) -> Groups:
    """Every group of a token game with its exact probability under the authors.

    Args:
      method: the row.
      setup: its decoding's temperature must be 1.
      state: where the policy stands; probabilities are detached from it.
      prompts: `B` prompts.
      table: all responses, `[1, Y, T]`, from `sampling.enumerate_responses`.

    Returns:
      Groups `[B, Y ** N]` for `N` authors, probabilities summing to one.
    """
    batch = prompts.tokens.shape[0]
    table = jax.tree.map(lambda x: jnp.repeat(x, batch, 0), table)
    params = _sampled_params(method, state)
    log_probability = [
        sampling.exact_log_probs(
            setup.policy, params, _behaviour(weights), prompts, table
        )
        for weights in _weights(method)
    ]
    num_responses = table.tokens.shape[1]
    choices = itertools.product(range(num_responses), repeat=len(method.authors))
    indices = jnp.asarray(list(choices), jnp.int32)
    joint = sum(
        log_probability[author][:, indices[:, author]]
        for author in range(len(method.authors))
    )
    indices = jnp.broadcast_to(indices[None], (batch, *indices.shape))
    return Groups(
        prompts=prompts,
        responses=table,
        frozen_log_probs={
            name: policies.log_probs(setup.policy, state.frozen[name], prompts, table)
            for name in method.frozen
        },
        members=indices[..., : method.num_members],
        opponents=indices[..., method.num_members :],
        probability=jnp.exp(joint),
    )


def annotate(method: Method, annotator: Any, state: State, groups: Groups) -> Groups:
    """Asks the annotator what the method's loss reads, about the unique responses.

    A pair is asked about once, in one order; the other order is its complement, and a
    response ties with itself. Votes may be integers or truth values.

    Raises:
      ValueError: an answer is NaN or outside [0, 1]. Inside a compiled program, where
        nothing can be raised, it becomes NaN, and with it the loss.
    """
    key = _keys(state)[1]
    prompts, responses = groups.prompts, groups.responses
    if method.annotation == "reward":
        rewards = annotator.score(key, prompts, responses)
        return dataclasses.replace(groups, rewards=jax.lax.stop_gradient(rewards))
    num_responses = responses.tokens.shape[1]
    first, second = jnp.triu_indices(num_responses, 1)
    y = jax.tree.map(lambda x: x[:, first], responses)
    z = jax.tree.map(lambda x: x[:, second], responses)
    preferred = _probabilities(annotator.prefer(key, prompts, y, z), groups)
    preferred = jax.lax.stop_gradient(preferred)
    shape = (preferred.shape[0], num_responses, num_responses)
    preference = jnp.full(shape, 0.5, preferred.dtype)
    preference = preference.at[:, first, second].set(preferred)
    preference = preference.at[:, second, first].set(1 - preferred)
    return dataclasses.replace(groups, preference=preference)


def learn(
    method: Method,
    setup: Setup,
    state: State,
    groups: Groups,
    reduce: Reduce = lambda values: values,
) -> tuple[State, dict[str, chex.Array]]:
    """One optimizer step on annotated groups.

    The direction is the sum over groups of probability times the gradient of the loss,
    over the sum of the probabilities.

    Args:
      method: the row.
      setup: model family and optimizer.
      state: where the policy stands.
      groups: annotated groups.
      reduce: sums a pytree over devices: the identity under `jit`,
        `functools.partial(jax.lax.psum, axis_name=...)` under `pmap`.

    Returns:
      The next state, and metrics: scalars averaged over groups or responses.
    """

    def total_loss(params):
        log_probs = policies.log_probs(
            setup.policy, params, groups.prompts, groups.responses
        )
        per_group = method.loss(method, log_probs, groups)
        return jnp.sum(groups.probability * per_group), log_probs

    (loss, log_probs), gradient = jax.value_and_grad(total_loss, has_aux=True)(
        state.params
    )
    loss, gradient, weight = reduce((loss, gradient, jnp.sum(groups.probability)))
    gradient = jax.tree.map(lambda g: g / weight, gradient)
    updates, opt_state = setup.optimizer.update(gradient, state.opt_state, state.params)
    metrics = {"loss": loss / weight, "gradient_norm": optax.tree.norm(gradient)}
    metrics |= _response_metrics(log_probs, groups, reduce)
    params, step = optax.apply_updates(state.params, updates), state.step + 1
    state = dataclasses.replace(
        state,
        params=params,
        frozen=_refreshed(method, step, state.frozen, params),
        opt_state=opt_state,
        step=step,
    )
    return state, metrics


def update(
    method: Method,
    setup: Setup,
    annotator: Any,
    state: State,
    prompts: Prompts,
    reduce: Reduce = lambda values: values,
) -> tuple[State, dict[str, chex.Array], Groups]:
    """Rolls out, annotates and learns: one step of online preference optimisation.

    Returns:
      The next state, metrics, and the groups that were learnt from.
    """
    groups = rollout(method, setup, state, prompts)
    groups = annotate(method, annotator, state, groups)
    state, metrics = learn(method, setup, state, groups, reduce)
    return state, metrics, groups


def _probabilities(preferred, groups):
    """An annotator's answers in the precision of the groups; none is out of range."""
    if not isinstance(preferred, jax.core.Tracer):
        preferences.check_preferred(preferred, "the annotator")
    preferred = jnp.asarray(preferred, groups.reference_log_probs.dtype)
    return jnp.where((preferred >= 0) & (preferred <= 1), preferred, jnp.nan)


def _weights(method):
    """Weights of each author on the policies that write, the same names for all."""
    given = [author(method.settings) for author in method.authors]
    return [{name: own.get(name, 0.0) for name in method.writers} for own in given]


def _sampled_params(method, state):
    """The named policies that the method's authors look at."""
    params = {"policy": jax.lax.stop_gradient(state.params), **state.frozen}
    return {name: params[name] for name in method.writers}


def _behaviour(weights):
    """The distribution that an author with these weights writes from."""
    if len(weights) == 1:
        return lambda logits: logits[next(iter(weights))]
    return lambda logits: jax.nn.log_softmax(
        sum(weight * logits[name] for name, weight in weights.items())
    )


def _refreshed(method, step, frozen, params):
    """The frozen policies after a step."""

    def move(refresh, old):
        return jax.tree.map(
            lambda old, new: refresh(method.settings, step, old, new), old, params
        )

    return frozen | {name: move(by, frozen[name]) for name, by in method.refresh}


def _keys(state):
    """The step's keys, for sampling and for the annotator."""
    return jax.random.split(jax.random.fold_in(state.key, state.step))


def _response_metrics(log_probs, groups, reduce):
    """Means over the table's responses; masked, so padding counts nowhere."""
    responses = groups.responses
    sums = {
        "log_ratio": jnp.sum(log_probs - groups.reference_log_probs),
        "length": jnp.sum(responses.mask),
        "truncated": jnp.sum(responses.truncated),
    }
    sums, count = reduce((sums, jnp.asarray(responses.truncated.size)))
    return {name: value / count for name, value in sums.items()}
