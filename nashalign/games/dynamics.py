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

from nashalign.games import preferences

Schedule = float | chex.Array | Callable[[chex.Array], chex.Array]


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
      num_questions: how often a step asks what beats what: the policies about which it
        asks later depend on the answers before.
    """

    init: Callable[[chex.Array], State]
    update: Callable[..., State]
    num_questions: int = 1


def make_solver(
    advance: Callable[..., State],
    remember: Callable[[jax.Array], Any] = lambda log_reference: (),
    *,
    num_questions: int = 1,
) -> Solver:
    """Returns the solver that moves by `advance`; the average and the count are kept.

    Args:
      advance: `(state, preference) -> state` with the next policy and memory, and
        perhaps another reference; `(state, *preferences)` if it asks several times.
      remember: the memory to begin with, from `log_reference [*B, Y]`.
      num_questions: how many preferences `advance` takes.

    Returns:
      The solver.
    """

    def init(reference):
        if not isinstance(reference, jax.core.Tracer):
            preferences.check_policy(reference, "reference")
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
        answers = [jnp.asarray(answer, state.average.dtype) for answer in answers]
        chex.assert_equal_shape_suffix([state.log_policy, *answers], 1)
        answers = answers * num_questions if len(answers) == 1 else answers
        after = advance(state, *answers)
        weight = 1 / (state.step + 2).astype(state.average.dtype)
        average = state.average + weight * (jnp.exp(after.log_policy) - state.average)
        return after._replace(average=average, step=state.step + 1)

    return Solver(init, update, num_questions)


def anchored(
    log_policy: chex.Array, log_reference: chex.Array, weight: chex.Numeric
) -> jax.Array:
    r"""Returns the geometric mixture of a policy and a reference.

    .. math:: w \propto \pi^{1-weight} \mu^{weight}

    Args:
      log_policy: `[*B, Y]` log pi, nats.
      log_reference: `[*B, Y]` log mu, nats.
      weight: of the reference, in [0, 1].

    Returns:
      `[*B, Y]` log w, normalised.
    """
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
    if num_votes < 1:
        raise ValueError(f"num_votes must be at least 1, not {num_votes}")

    def cast(key, preference):
        chance = jnp.clip(preference, 0, 1)
        votes = jax.random.binomial(key, num_votes, chance)
        upper = jnp.triu(votes / num_votes, 1).astype(preference.dtype)
        lower = jnp.tril(1 - jnp.swapaxes(upper, -1, -2), -1)
        tie = 0.5 * jnp.eye(preference.shape[-1], dtype=preference.dtype)
        return upper + lower + jnp.broadcast_to(tie, preference.shape)

    def update(state, preference):
        preference = jnp.asarray(preference, state.average.dtype)
        drawn = jax.random.fold_in(key, state.step)
        questions = range(solver.num_questions)
        shares = [cast(jax.random.fold_in(drawn, q), preference) for q in questions]
        return solver.update(state, *shares)

    return Solver(solver.init, update)


def run(
    solver: Solver,
    preference: chex.Array,
    start: State,
    *,
    num_steps: int,
    every: int = 1,
    measure: Callable[[State], Any] = lambda state: state.log_policy,
) -> tuple[State, Any]:
    """Takes many steps, measuring now and then: one loop, for `jax.jit` and `jax.vmap`.

    Args:
      solver: the dynamics.
      preference: `[*B, Y, Y]` preference.
      start: the state to go on from, such as `solver.init(reference)`.
      num_steps: number of steps, a multiple of `every`.
      every: steps from one measurement to the next, the last of them measured.
      measure: a pytree of arrays from a state; the policies themselves by default.

    Returns:
      The last state, and the measurements stacked along a new first axis
      `[num_steps // every, ...]`.

    Raises:
      ValueError: if the steps do not divide into measurements.
    """
    if every < 1 or num_steps < every or num_steps % every:
        raise ValueError(f"num_steps = {num_steps} is no multiple of every = {every}")
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


def at(schedule: Schedule, step: chex.Array) -> chex.Numeric:
    """Returns the value of a schedule at a step; a constant is its own schedule."""
    return schedule(step) if callable(schedule) else schedule


def converted(
    paper_eta: Schedule, convert: Callable[[chex.Numeric], chex.Numeric]
) -> Schedule:
    """Returns the step for a paper's eta, constant or scheduled.

    Raises:
      ValueError: if a constant is not positive.
    """
    if callable(paper_eta):
        return lambda step: convert(paper_eta(step))
    if not isinstance(paper_eta, jax.core.Tracer) and not paper_eta > 0:
        raise ValueError(f"paper_eta must be positive, not {paper_eta}")
    return convert(paper_eta)


def check_step(tau: chex.Numeric, eta: Schedule) -> None:
    """Raises a ValueError if an anchor would give a policy a negative weight."""
    if any(callable(x) or isinstance(x, jax.core.Tracer) for x in (tau, eta)):
        return
    if not (tau >= 0 and eta > 0 and eta * tau <= 1):
        raise ValueError(
            f"need tau >= 0, eta > 0 and eta * tau <= 1, not tau = {tau}, eta = {eta}: "
            "eta is the mirror-descent step, not its inverse"
        )
