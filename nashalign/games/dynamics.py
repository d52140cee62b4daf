r"""Dynamics: how policies move towards equilibrium, as pure `(init, update)` pairs.

    solver = games.nash_md(tau=0.1, eta=1.0)
    state = solver.init(reference)
    state = solver.update(state, preference)
    state.log_policy, state.average

A `Solver` is two pure functions, and its state a pytree of arrays: it compiles, maps
over games, seeds and hyperparameters, and is sharded like the reference that it starts
from. The dynamics themselves are in `mirror`, `regressions`, `optimistic`, `proximal`
and `gradient_flows`; here is what they share. Most of them move by

    pi' proportional to pi^(1 - eta tau) mu^(eta tau) exp(eta P(y > opponent)),

the p that maximises P(p > opponent) - tau KL(p || mu) - (1/eta - tau) KL(p || pi), and
differ in who the opponent is, what mu is and what they remember. `eta` is always this
step. Where a paper's eta is its inverse, or tied to it in another way, the factory
takes that as `paper_eta`, converts it, and says how.

Everything is computed in the precision of the reference. Float32 sees differences of
probabilities down to about 1e-7: distances and rates below that need float64, inside
`jax.enable_x64(True)`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.games import arguments
from nashalign.types import Array, Numeric


class State(NamedTuple):
    """Where a dynamics is.

    Attributes:
      log_policy: `[*B, Y]` logarithm of the current policy, nats.
      log_reference: `[*B, Y]` logarithm of the policy that it is held to, nats: the
        reference, or the last one where a dynamics moves it.
      average: `[*B, Y]` mean of all policies so far, the first one included.
      step: `[]` number of updates taken, int32.
      memory: what else the dynamics remembers, a pytree of arrays.
    """

    log_policy: jax.Array
    log_reference: jax.Array
    average: jax.Array
    step: jax.Array
    memory: Any = ()


class Solver(NamedTuple):
    """A dynamics as data.

    Attributes:
      init: `reference [*B, Y] -> State`, at the reference, which must be positive
        everywhere (a ValueError, where it is not traced).
      update: `(State, preference [*B, Y, Y]) -> State`, one step later. A step that
        asks several times takes as many preferences, one for each time, or one for all.
        What is no preference is a ValueError, where it is not traced; of a state, which
        comes from `init`, the numbers are not looked at.
      num_questions: how often a step asks what beats what: the policies about which it
        asks later depend on the answers before.
    """

    init: Callable[[Array], State]
    update: Callable[..., State]
    num_questions: int = 1


def make_solver(
    advance: Callable[..., State],
    remember: Callable[[jax.Array], Any] = lambda log_reference: (),
    *,
    num_questions: int = 1,
) -> Solver:
    """Returns the solver that moves by `advance`; the average and the count are kept.

    A dynamics of one's own is the line that makes it differ from others::

        def advance(state, preference):
            wins = games.win_rates(jnp.exp(state.log_policy), preference)
            logits = state.log_policy + 0.1 * wins
            return state._replace(log_policy=jax.nn.log_softmax(logits))

        solver = games.make_solver(advance)

    It compiles, is mapped over, voted on (`voting`) and swept (`sweep`) like those of
    this room, and its arguments are checked as theirs are.

    Args:
      advance: `(state, preference [*B, Y, Y]) -> state` with the next `log_policy`
        `[*B, Y]`, normalised, nats, and the next `memory`, and perhaps another
        `log_reference`; `(state, *preferences)` if it asks several times. It is pure,
        and may be traced; the preference has the precision of the reference. What it
        does to `average` and `step` is overwritten.
      remember: the memory to begin with, a pytree of arrays, from
        `log_reference [*B, Y]`.
      num_questions: how many preferences `advance` takes, >= 1.

    Returns:
      The solver.

    Raises:
      ValueError: if it asks less than once.
    """
    checks.whole(num_questions, "num_questions")

    def init(reference):
        reference = arguments.policy(reference, "reference", positive=True)
        reference = jnp.asarray(reference)
        log_reference = jnp.log(reference)
        return State(
            log_policy=log_reference,
            log_reference=log_reference,
            average=reference,
            step=jnp.zeros((), jnp.int32),
            memory=remember(log_reference),
        )

    def update(state, *answers):
        if len(answers) not in (1, num_questions):
            raise TypeError(
                f"a step of this dynamics takes 1 preference or {num_questions}, not "
                f"{len(answers)}"
            )
        answers = [offer(state, answer) for answer in answers]
        answers = answers * num_questions if len(answers) == 1 else answers
        after = advance(state, *answers)
        weight = 1 / (state.step + 2).astype(state.average.dtype)
        average = state.average + weight * (jnp.exp(after.log_policy) - state.average)
        return after._replace(average=average, step=state.step + 1)

    return Solver(init, update, num_questions)


def offer(state: State, preference: Array) -> jax.Array:
    """Returns the preference that a state is to move by, in the state's precision.

    Raises:
      TypeError: if the state is none, as where the two are swapped.
      ValueError: if the preference is none, where it is not traced, or not of as many
        responses as the state.
    """
    require_state(state, "state, preference")
    if checks.known(preference):
        preference = arguments.preference(preference)
    size = state.log_policy.shape[-1]
    if jnp.shape(preference)[-2:] != (size, size):
        raise ValueError(
            f"the state is of {size} responses, the preference of shape "
            f"{list(jnp.shape(preference))}, which must end with [{size}, {size}]"
        )
    return jnp.asarray(preference, state.average.dtype)


def require_state(state: State, order: str) -> None:
    """Raises a TypeError if something else is in the place of a state."""
    if not isinstance(state, State):
        raise TypeError(
            f"a State comes from solver.init; here is {type(state).__name__} in its "
            f"place: the order is {order}"
        )


def anchor(log_policy: Array, log_reference: Array, weight: Numeric) -> jax.Array:
    r"""Returns the geometric mixture of a policy and a reference.

    .. math:: w \propto \pi^{1-weight} \mu^{weight}

    Args:
      log_policy: `[*B, Y]` log pi, nats.
      log_reference: `[*B, Y]` log mu, nats.
      weight: of the reference, in [0, 1]; beyond it, by more than rounding, the
        mixture is NaN.

    Returns:
      `[*B, Y]` log w, normalised.
    """
    if isinstance(weight, jax.Array):
        weight = jnp.where((weight >= 0) & (weight <= 1 + 1e-6), weight, jnp.nan)
    return jax.nn.log_softmax((1 - weight) * log_policy + weight * log_reference)


def voting(solver: Solver, key: chex.PRNGKey, *, num_votes: int) -> Solver:
    """Returns the dynamics whose annotator casts votes instead of naming probabilities.

    Whenever a step asks, each pair of responses is put to `num_votes` voters, and the
    share of votes takes the preference's place. The two orders of a pair are one
    question, so that the shares obey the laws of a preference. A step that asks twice,
    as extragradient does, is answered by other voters the second time: votes that have
    led ahead say nothing unbiased of where they have led.

    Args:
      solver: the dynamics.
      key: of the votes; at step t, question q draws with
        `fold_in(fold_in(key, t), q)`.
      num_votes: per pair and question, >= 1.

    Returns:
      The solver, with the same states. Map over keys for independent seeds.

    Raises:
      ValueError: if there is no vote.
    """
    checks.whole(num_votes, "num_votes")

    def cast(key, preference):
        chance = jnp.clip(preference, 0, 1)
        votes = jax.random.binomial(key, num_votes, chance)
        upper = jnp.triu(votes / num_votes, 1).astype(preference.dtype)
        lower = jnp.tril(1 - jnp.swapaxes(upper, -1, -2), -1)
        tie = 0.5 * jnp.eye(preference.shape[-1], dtype=preference.dtype)
        return upper + lower + jnp.broadcast_to(tie, preference.shape)

    def update(state, preference):
        preference = offer(state, preference)
        drawn = jax.random.fold_in(key, state.step)
        questions = range(solver.num_questions)
        shares = [cast(jax.random.fold_in(drawn, q), preference) for q in questions]
        return solver.update(state, *shares)

    return Solver(solver.init, update)


def run(
    solver: Solver,
    start: State,
    preference: Array,
    *,
    num_steps: int,
    every: int = 1,
    measure: Callable[[State], Any] = lambda state: state.log_policy,
) -> tuple[State, Any]:
    """Takes many steps, measuring now and then: one loop, for `jax.jit` and `jax.vmap`.

    Args:
      solver: the dynamics.
      start: the state to begin with, such as `solver.init(reference)`.
      preference: `[*B, Y, Y]` preference; where it is traced and none, all is NaN.
      num_steps: number of steps, a multiple of `every`.
      every: steps from one measurement to the next, the last of them measured.
      measure: a pytree of arrays from a state; the policies themselves by default.

    Returns:
      The last state, and the measurements stacked along a new first axis
      `[num_steps // every, ...]`.

    Raises:
      TypeError: if the start is no state, as where it is swapped with the preference.
      ValueError: if the preference breaks a law, or the steps do not divide into
        measurements.
    """
    require_state(start, "solver, start, preference")
    require_multiple(num_steps, every)
    preference = arguments.preference(preference)
    batch, games = start.log_policy.shape[:-1], jnp.shape(preference)[:-2]
    if jnp.broadcast_shapes(batch, games) != batch:
        raise ValueError(
            f"the start has batch {batch}, the preference {games}: start every game, "
            "with a reference of the shape of the preference without its last axis"
        )

    def leap(state, _):
        state = jax.lax.fori_loop(
            0, every, lambda _, state: solver.update(state, preference), state
        )
        return state, measure(state)

    return jax.lax.scan(leap, start, length=num_steps // every)


def require_multiple(num_steps: int, every: int) -> None:
    """Raises a ValueError if steps do not divide into measurements."""
    checks.whole(num_steps, "num_steps", least=0)
    if checks.whole(every, "every", least=0) < 1 or num_steps < 1 or num_steps % every:
        raise ValueError(f"num_steps = {num_steps} is no multiple of every = {every}")
