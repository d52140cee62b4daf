"""What an annotator is, and the check of what it answers.

An annotator says how good responses are. It is a value, passed as an argument, with one
of two methods, or both:

    prefer(key, prompts, y, z) -> [B, M]   P(y beats z), and P(z beats y) = 1 - that
    score(key, prompts, responses) -> [B, N]   a reward

`y` and `z` are Responses of equal shape, M comparisons to a prompt. One that would read
a response once for all comparisons that it is in may have a third method beside them:

    prefer_pairs(key, prompts, responses, pairs) -> [B, len(pairs)]   P(y beats z)

for pairs of places in `[B, N, T]` responses; whoever compares more than two at a time
asks for it first. Annotators that
compute with JAX are pytrees whose leaves are their weights, and can be traced. Those
that read text run on the host: they take and return numpy arrays, between two compiled
programs. `on_host` says of any annotator which of the two it is.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeGuard, overload, runtime_checkable

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.types import Array, Prompts, Responses


@runtime_checkable
class PreferenceAnnotator(Protocol):
    """Says how probably one response beats another."""

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> Array:
        """Return `[B, M]`, P(y beats z) in [0, 1]; P(z beats y) is its complement."""
        ...


@runtime_checkable
class RewardAnnotator(Protocol):
    """Gives every response a reward."""

    def score(self, key: chex.PRNGKey, prompts: Prompts, responses: Responses) -> Array:
        """Return `[B, N]` rewards, comparable among the responses to one prompt."""
        ...


Annotator = PreferenceAnnotator | RewardAnnotator


def on_host(annotator: Annotator | None) -> bool:
    """Return whether an annotator answers on the host, between two compiled programs.

    An annotator may say so itself, by an attribute `host`, true or false. Of one that
    does not, its form tells: a registered pytree can be an argument of a compiled
    program and answers on the device; any other object cannot.

    Args:
      annotator: any annotator; None, where nobody is asked, is not on the host.

    Raises:
      TypeError: its `host` is neither true nor false.
    """
    said = getattr(annotator, "host", None)
    if isinstance(said, bool | np.bool_):
        return bool(said)
    if said is not None:
        raise TypeError(
            f"{type(annotator).__name__}.host is {said!r:.60}; it must be True where "
            "the annotator answers on the host, else False"
        )
    return jax.tree_util.all_leaves([annotator])


@overload
def can_answer(
    annotator: Annotator | None, question: Literal["prefer"]
) -> TypeGuard[PreferenceAnnotator]: ...
@overload
def can_answer(
    annotator: Annotator | None, question: Literal["score"]
) -> TypeGuard[RewardAnnotator]: ...
@overload
def can_answer(annotator: Annotator | None, question: str) -> bool: ...
def can_answer(annotator: Annotator | None, question: str) -> bool:
    """Return whether an annotator answers a question.

    It does if it has a method of that name. One that asks others, and has the method
    whoever they are, may say so itself, by a method `can_answer(question)`.

    Args:
      annotator: any annotator; None answers nothing.
      question: `"prefer"` or `"score"`.
    """
    said = getattr(annotator, "can_answer", None)
    if callable(said):
        return bool(said(question))
    return callable(getattr(annotator, question, None))


Pairs = Sequence[tuple[int, int]]


def preferred_among(
    annotator: Annotator | None,
    key: chex.PRNGKey | None,
    prompts: Prompts,
    responses: Responses,
    pairs: Pairs,
) -> Array:
    """Return what an annotator answers about pairs of responses.

    Args:
      annotator: has a `prefer`, or a `prefer_pairs`, which is then asked.
      key: consumed; None where it draws nothing.
      prompts: `B` prompts.
      responses: `[B, N, T]`.
      pairs: `(y, z)` places of the responses that are compared.

    Returns:
      `[B, len(pairs)]` P(y beats z), as it came.

    Raises:
      ValueError: there is not an answer for each pair.
      TypeError: the annotator answers other questions, or it runs on the host, and is
        asked in a compiled program.
    """
    shape = (len(responses.tokens), len(pairs))
    if callable(getattr(annotator, "prefer_pairs", None)):
        texts = (prompts, responses, pairs)
        return _ask(annotator, "prefer_pairs", key, *texts, shape=shape)
    places = np.asarray(pairs)
    y, z = (
        jax.tree.map(lambda x, at=at: x[:, places[:, at]], responses) for at in (0, 1)
    )
    return _ask(annotator, "prefer", key, prompts, y, z, shape=shape)


def scored_by(
    annotator: Annotator | None,
    key: chex.PRNGKey,
    prompts: Prompts,
    responses: Responses,
    *,
    dtype: jax.typing.DTypeLike,
) -> Array:
    """Return an annotator's rewards of responses.

    Args:
      annotator: has a `score`; one that has none is refused.
      key: consumed.
      prompts: `B` prompts.
      responses: `[B, N, T]`.
      dtype: of what is returned.

    Returns:
      `[B, N]` rewards, detached. Traced, one that is not finite is NaN.

    Raises:
      ValueError: a reward is not finite, or there is not one for each response.
      TypeError: the annotator answers other questions, or it runs on the host, and is
        asked in a compiled program.
    """
    shape = responses.tokens.shape[:2]
    answer = _ask(annotator, "score", key, prompts, responses, shape=shape)
    return finite_rewards(answer, "the annotator", dtype=dtype)


def probabilities(
    preferred: Array, where: str, *, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Return preferences in a precision; votes may be integers or truth values.

    Raises:
      ValueError: an entry is no probability. Traced, it becomes NaN.
    """
    if checks.known(preferred):
        check_preferred(np.asarray(preferred, float), where)
    preferred = jax.lax.stop_gradient(jnp.asarray(preferred, dtype))
    return jnp.where((preferred >= 0) & (preferred <= 1), preferred, jnp.nan)


def finite_rewards(
    rewards: Array, where: str, *, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Return rewards in a precision.

    Raises:
      ValueError: an entry is not finite. Traced, it becomes NaN.
    """
    if checks.known(rewards):
        check_rewards(np.asarray(rewards, float), where)
    rewards = jax.lax.stop_gradient(jnp.asarray(rewards, dtype))
    return jnp.where(jnp.isfinite(rewards), rewards, jnp.nan)


def _ask(annotator, question, key, prompts, *texts, shape) -> Array:
    """An annotator's answer as it came: numbers or truth values of a shape."""
    who = f"the annotator ({type(annotator).__name__}.{question})"
    if not callable(getattr(annotator, question, None)):
        raise TypeError(f"{who} is what the row asks for, and there is no such method")
    try:
        answer = getattr(annotator, question)(key, prompts, *texts)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        if checks.known(prompts, texts):
            raise
        raise TypeError(
            f"{who} runs on the host, and is asked in a compiled program, where tokens "
            "have no values yet. In the place of algorithms.update, call "
            "algorithms.rollout, annotate and learn in turn, and compile the first and "
            "the last alone"
        ) from error
    real = [np.bool_, np.integer, np.floating]
    kind = np.asarray(answer).dtype if not hasattr(answer, "dtype") else answer.dtype
    if answer is None or not any(jnp.issubdtype(kind, one) for one in real):
        told = "None" if answer is None else f"an array of {kind}"
        raise ValueError(
            f"{who} must answer with an array of numbers, not {told}; a judge that has "
            "failed is to raise an error of its own"
        )
    if np.shape(answer) != shape:
        raise ValueError(
            f"{who} must answer with an array of shape {list(shape)}, prompts by texts "
            f"that it is shown, not {list(np.shape(answer))}"
        )
    return answer


def check_rewards(rewards: Array, where: str) -> np.ndarray:
    """Return rewards as they came, or say why they are none.

    Args:
      rewards: array of any shape, every entry to be finite.
      where: who said so, to begin the message with.

    Returns:
      The same numbers as a numpy array.

    Raises:
      ValueError: an entry is not finite; names the place and the first one.
    """
    rewards = np.asarray(checks.numeric(rewards, where))
    _require_all(np.isfinite(rewards), rewards, f"{where}: a reward is a finite number")
    return rewards


def check_preferred(preferred: Array, where: str) -> np.ndarray:
    """Return the probabilities P(y beats z) as they came, or say why they are none.

    Args:
      preferred: array of any shape, every entry to be in [0, 1]; or of truth values.
      where: who said so, to begin the message with.

    Returns:
      The same numbers as a numpy array.

    Raises:
      ValueError: an entry is NaN or outside [0, 1]; names the place and the first one.
    """
    # A truth value is the vote of one voter, and as good a probability as 0 and 1.
    if getattr(preferred, "dtype", None) != np.bool_:
        checks.numeric(preferred, where)
    preferred = np.asarray(preferred)
    _require_all(
        (preferred >= 0) & (preferred <= 1),
        preferred,
        f"{where}: a preference is a probability in [0, 1]",
        " Return P(y beats z); a difference of scores needs a sigmoid.",
    )
    return preferred


def _require_all(lawful, values, law, remedy=""):
    """Raises a ValueError that names the first entry that is not lawful."""
    wrong = ~lawful
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{law}, but entry {first} is {values[first]} "
            f"({wrong.sum()} of {wrong.size} entries are wrong).{remedy}"
        )
