"""The steps of a tree search: drawn from a policy, or in a token game all of them."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import policies
from nashalign.sampling.enumeration import enumerate_responses
from nashalign.sampling.search import Expand, Step, Tokens, Value
from nashalign.types import Prompts


def step_prior(log_probs: Sequence[float], *, length_penalty: float = 1.25) -> float:
    r"""A step's prior in the search, from the log-probabilities of its tokens.

    .. math:: p = \exp\Bigl(\sum_t \log \pi_t / L^{1.25}\Bigr)

    It adds up to one over the steps where all are of one token, and only there. Xie et
    al. 2024 (arXiv:2405.00451).

    Args:
      log_probs: nats, one for each of the step's `L` tokens.
      length_penalty: exponent of the length.
    """
    return math.exp(math.fsum(log_probs) / len(log_probs) ** length_penalty)


class Continuation(NamedTuple):
    """What a policy has written after a prefix, to the response's end.

    Attributes:
      tokens: of the continuation, at least one.
      log_probs: nats, one for each token.
      worth: of the whole response, on any scale, the higher the better.
    """

    tokens: Tokens
    log_probs: Sequence[float]
    worth: float


def sampled_steps(
    complete: Callable[[Tokens], Sequence[Continuation]],
    *,
    step_length: int,
    max_length: int,
) -> tuple[Expand, Value]:
    """Returns what expands a prefix by steps that a policy draws, and what values them.

    The first tokens of a continuation are a step, and how the responses that begin with
    it end is what it is worth, on average: an unbiased estimate of the policy's reward
    after the step, in the place of the paper's self-evaluation.

    Args:
      complete: draws independent continuations of a prefix; called once for each.
      step_length: tokens of a step; fewer where the response ends.
      max_length: tokens at which a response is cut.
    """
    worth = {}

    def expand(prefix: Tokens) -> list[Step]:
        steps, found = {}, {}
        for tokens, log_probs, value in complete(prefix):
            own = tuple(tokens[:step_length])
            ended = len(tokens) <= step_length
            steps[own] = Step(
                tokens=own,
                prior=step_prior(log_probs[:step_length]),
                terminal=ended or len(prefix) + len(own) >= max_length,
            )
            found.setdefault(own, []).append(value)
        for own, values in found.items():
            worth[prefix + own] = math.fsum(values) / len(values)
        return list(steps.values())

    def value(prefix: Tokens, terminal: bool) -> float:
        del terminal
        return worth[prefix]

    return expand, value


def enumerated_steps(
    policy: policies.Policy,
    params: policies.Params,
    prompt: Tokens,
    *,
    step_length: int,
    max_length: int,
    eos_id: int | Sequence[int],
) -> Expand:
    """Returns what expands a prefix by every step of at most `step_length` tokens.

    A step is shorter where it ends the response, by EOS or at the maximal length.

    Args:
      policy: a model of few tokens: there are about `V^step_length` steps.
      params: its parameters.
      prompt: the prompt's real tokens, at least one.
      step_length: tokens of a step.
      max_length: tokens at which a response is cut.
      eos_id: the token that ends a response, or all of them.
    """
    # Prefixes have one width: it compiles once for each length of a step.
    going_on = policies.continuing(policy, len(prompt))
    log_probs = jax.jit(functools.partial(policies.log_probs, going_on))
    whole = Prompts(
        tokens=jnp.array([prompt], jnp.int32),
        mask=jnp.ones((1, len(prompt)), bool),
        ids=jnp.zeros(1, jnp.int32),
    )

    def expand(prefix: Tokens) -> list[Step]:
        left = max_length - len(prefix)
        steps = enumerate_responses(policy.vocabulary, min(step_length, left), eos_id)
        prompts = policies.begin(whole, prefix, length=max_length)
        found = np.asarray(log_probs(params, prompts, steps), np.float64)[0]
        own = np.asarray(steps.mask)[0]
        tokens = np.asarray(steps.tokens)[0]
        cut = len(prefix) + step_length >= max_length
        return [
            Step(
                tokens=tuple(row[real].tolist()),
                prior=step_prior(each[real]),
                terminal=bool(cut or np.isin(row[real][-1], eos_id)),
            )
            for row, real, each in zip(tokens, own, found, strict=True)
        ]

    return expand
