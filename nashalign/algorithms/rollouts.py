"""Groups of responses: sampled from a row's authors, or all of them enumerated.

In a token game `expected_rollout` stands in for `rollout`, and the same update computes
its own expectation.
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import policies, sampling
from nashalign.algorithms import authors, given
from nashalign.algorithms.method import Method
from nashalign.algorithms.state import Setup, State, step_keys, writers
from nashalign.types import Array, Examples, Groups, Prompts, Responses

_LEAST_AS_MULTISETS = 5


def rollout(
    method: Method, setup: Setup, state: State, batch: Prompts | Examples
) -> Groups:
    """Draws each prompt's responses from the row's authors: one group a prompt.

    Args:
      method: the row.
      setup: model family and decoding.
      state: where the policies stand.
      batch: prompts; Examples where some author is `data`.

    Returns:
      Groups not yet annotated, unless the data set has answers to what the row asks.
      Log-probabilities of frozen policies that write come from decoding; those that
      the examples bring along are read, where the row may (`Method.precomputed`); the
      others come from a forward pass each.

    Raises:
      ValueError: the row needs a data set's responses, and the batch has too few; an
        answer that it brings along is none; or a prompt leaves too little of the
        context. Traced, wrong numbers become NaN.
    """
    method = method.at(state.step)
    batch = given.checked(batch)
    known = given.log_probs(method, batch)
    batch = method.prompts(method, setup, batch)
    given.require_responses(method, batch)
    examples = batch if isinstance(batch, Examples) else None
    prompts = batch.prompts if isinstance(batch, Examples) else batch
    drawn, log_probs = _drawn(method, setup, state, prompts)
    responses = _in_order(method, drawn, examples and examples.responses)
    if not method.num_data:
        known = jax.lax.stop_gradient(log_probs)
    frozen_log_probs = {
        name: known[name]
        if name in known
        else policies.log_probs(setup.policy, state.frozen[name], prompts, responses)
        for name in method.frozen
    }
    size, dtype = len(prompts.ids), _dtype(state)
    weight = None if examples is None else examples.probability
    indices = jnp.arange(len(method.authors))
    members, opponents = _members(
        method, jnp.broadcast_to(indices, (size, 1, len(indices)))
    )
    groups = Groups(
        prompts=prompts,
        responses=responses,
        frozen_log_probs=frozen_log_probs,
        probability=jnp.ones((size, 1), dtype) if weight is None else weight[:, None],
        members=members,
        opponents=opponents,
    )
    return dataclasses.replace(groups, **given.answers(method, batch))


def expected_rollout(
    method: Method,
    setup: Setup,
    state: State,
    prompts: Prompts,
    table: Responses,
    data: Array | None = None,
) -> Groups:
    """Every group of a token game with its exact probability under the authors.

    Args:
      method: the row; one that changes the prompts of its data set has none of this.
      setup: its decoding's temperature must be 1.
      state: where the policy stands; probabilities are detached from it.
      prompts: `B` prompts.
      table: all responses, `[1, Y, T]`, from `sampling.enumerate_responses`.
      data: `[B, Y]` probabilities of the data set's responses, drawn independently;
        for rows with an author `data`.

    Returns:
      Groups `[B, Y ** N]` for `N` authors, probabilities summing to one. Of five or
      more equal members, or opponents, in a row each multiset is one group: rows treat
      them alike.
    """
    method, batch = method.at(state.step), prompts.tokens.shape[0]
    table = jax.tree.map(lambda x: jnp.repeat(x, batch, 0), table)
    params, contexts = writers(method, setup, state, prompts)
    weights = [author(method.settings) for author in method.authors]
    marginals = {}
    for author, weight in zip(method.authors, weights, strict=True):
        if author is authors.data:
            marginals[author] = data
        elif author not in marginals:
            marginals[author] = jnp.exp(
                sampling.exact_log_probs(
                    setup.policy,
                    {name: params[name] for name in weight},
                    _behaviour(weight),
                    prompts,
                    table,
                    contexts={n: contexts[n] for n in weight if n in contexts},
                )
            )
    indices, count = _enumerated(method, table.tokens.shape[1])
    joint = jnp.broadcast_to(count, (batch, len(count))).astype(_dtype(state))
    for place, author in enumerate(method.authors):
        joint = joint * marginals[author][:, indices[:, place]]
    members, opponents = _members(
        method, jnp.broadcast_to(indices[None], (batch, *indices.shape))
    )
    return Groups(
        prompts=prompts,
        responses=table,
        frozen_log_probs={
            name: policies.log_probs(setup.policy, state.frozen[name], prompts, table)
            for name in method.frozen
        },
        probability=joint,
        members=members,
        opponents=opponents,
    )


def _enumerated(method, num_responses):
    """Indices `[G, N]` of all groups, and the number of orders `[G]` each stands for.

    As numpy arrays: they are constants of the program.
    """
    numbered = enumerate(method.authors)
    runs = itertools.groupby(numbered, lambda a: (a[1], a[0] < method.num_members))
    choices = [_choices(num_responses, len(list(run))) for _, run in runs]
    joined = list(itertools.product(*choices))
    indices = np.array([sum((c for c, _ in group), ()) for group in joined], np.int32)
    return indices, np.array([math.prod(n for _, n in group) for group in joined])


def _choices(num_responses, length):
    """All choices of a run of equal authors, with the number of orders of each."""
    if length < _LEAST_AS_MULTISETS:
        return [(c, 1) for c in itertools.product(range(num_responses), repeat=length)]
    multisets = itertools.combinations_with_replacement(range(num_responses), length)
    orders = math.factorial(length)
    return [
        (c, orders // math.prod(math.factorial(c.count(i)) for i in set(c)))
        for c in multisets
    ]


def _dtype(state):
    """The precision of the policies' log-probabilities."""
    dtype = jax.tree.leaves(state.params)[0].dtype
    return jnp.promote_types(dtype, jnp.float32)


def _drawn(method, setup, state, prompts):
    """The responses that policies write, and log-probabilities from decoding."""
    drawn = [a for a in method.authors if a is not authors.data]
    if not drawn:
        return None, {}
    weights = [author(method.settings) for author in drawn]
    shares = {
        name: jnp.asarray([w.get(name, 0.0) for w in weights])[None, :, None]
        for name in method.writers
    }
    params, contexts = writers(method, setup, state, prompts)
    return sampling.sample(
        setup.policy,
        params,
        _behaviour(shares),
        step_keys(state)[0],
        prompts,
        contexts=contexts,
        num_responses=len(drawn),
        decoding=setup.decoding,
    )


def _in_order(method, drawn, given):
    """The table: written and given responses in the order of the authors."""
    if drawn is None:
        return jax.tree.map(lambda x: x[:, : method.num_data], given)
    if not method.num_data:
        return drawn
    own, others = itertools.count(drawn.tokens.shape[1]), itertools.count()
    order = [next(own if a is authors.data else others) for a in method.authors]
    return jax.tree.map(
        lambda a, b: jnp.concatenate([a, b], 1)[:, jnp.asarray(order)], drawn, given
    )


def _members(method, indices):
    """Members and opponents, from the authors' responses `[B, G, N]`."""
    return indices[..., : method.num_members], indices[..., method.num_members :]


def _behaviour(weights):
    """The distribution that an author with these weights writes from."""
    return lambda logits: policies.geometric_mixture(logits, weights)
