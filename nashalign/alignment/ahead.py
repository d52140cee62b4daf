"""Responses drawn one batch ahead, while an annotator on the host is asked.

In the order of the program, update t is: draw batch t + 1 with the policy as it is, ask
about batch t, learn from batch t. Nobody waits for a draw or an update when they are
begun: the annotator is asked about batch t while the device ends update t - 1 and draws
batch t + 1. That is the whole overlap that there is, and it needs no thread.

From the second update on, responses are then of the policy one update before
(`staleness`). What belongs to them is of the state that drew them: the
log-probabilities of frozen policies, from which margins are measured. Keys, and
settings that follow a schedule, are those of the update that learns. A loss whose
gradient is right on the policy's own responses alone (policy gradients; rows of several
epochs, whose ratios are to the policy that learns) is off-policy by that one update,
and nothing corrects it.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import algorithms, policies, preferences
from nashalign.alignment import asking, runs, steps
from nashalign.types import Array, Groups, Prompts, pytree


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Ahead:
    """What a run that draws ahead carries from step to step.

    Attributes:
      state: of the algorithm.
      pending: the next batch's groups, not annotated; zeros where none are drawn.
      drawn: bool, whether some are. It stays on the host: to read it there waits for no
        update.
    """

    state: algorithms.State
    pending: Groups
    drawn: Array


def begin(
    method: algorithms.Method,
    setup: algorithms.Setup,
    state: algorithms.State,
    prompts: Prompts,
    base: policies.Params | None,
) -> Ahead:
    """Returns what a round begins with: nothing is drawn.

    Args:
      method: the row.
      setup: of the run.
      state: without the base, if policies have one in common.
      prompts: a batch, for its shape.
      base: what policies have in common; None where they are whole.
    """
    draw = functools.partial(algorithms.rollout, method, setup)
    shape = jax.eval_shape(draw, algorithms.on_base(state, base), prompts)
    return Ahead(state=state, pending=_zeros(shape), drawn=np.array(False))


def paired(
    batch_of: Callable[[int], Prompts], num_steps: int
) -> Callable[[int], tuple[Prompts, Prompts | None]]:
    """Returns each update's batch with the next one's; the last has no next.

    Args:
      batch_of: the batches.
      num_steps: updates of the round.
    """

    def pair(index):
        last = index + 1 == num_steps
        return batch_of(index), None if last else batch_of(index + 1)

    return pair


def of_state(evaluate: Callable[[algorithms.State], Any]) -> Callable[[Ahead], Any]:
    """Returns what measures the state of what is carried.

    Args:
      evaluate: measures a state.
    """
    return lambda carried: evaluate(carried.state)


@dataclasses.dataclass(frozen=True)
class Step:
    """An update that draws the next one's batch first; `steps.Step` of an `Ahead`.

    Attributes:
      halves: what is compiled.
    """

    halves: steps.Halves

    def __call__(self, carried, batch, method, annotator, learning_rate, base):
        """Returns what is carried next, metrics with `staleness`, and the groups."""
        own, coming = batch
        state = self.halves.put(carried.state)
        # Nothing of the state is read here, as the update before may be under way.
        groups, staleness = carried.pending, int(carried.drawn)
        if not staleness:
            groups = self.halves.draw(method, state, own, base)
        pending = _zeros(groups)
        if coming is not None:
            # The keys and the schedule of the update to come, the policies of this.
            writing = dataclasses.replace(state, step=state.step + 1)
            pending = self.halves.draw(method, writing, coming, base)
        groups = algorithms.ask(method, annotator, state, jax.device_get(groups))
        state, metrics, groups = self.halves.learn(
            state, groups, method, learning_rate, base
        )
        drawn = np.array(coming is not None)
        carried = Ahead(state=state, pending=pending, drawn=drawn)
        return carried, metrics | {"staleness": jnp.asarray(staleness)}, groups


def _zeros(groups: Any) -> Groups:
    """Groups of a shape, of nothing."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), groups)


def require(
    who: str,
    rounds: Sequence[algorithms.Round],
    annotators: asking.Annotators,
    updates: runs.Training,
) -> None:
    """Requires a run whose batches can be drawn ahead, where that is asked for.

    Args:
      who: the method's title.
      rounds: of the run.
      annotators: by what they answer.
      updates: of the run.

    Raises:
      ValueError: saying what stands against it.
    """
    if not updates.ahead:
        return
    for option, value in (("pieces", 1), ("prompt_lengths", 1)):
        if getattr(updates, option) != value:
            raise ValueError(
                f"--training.ahead draws whole batches of one shape; leave out "
                f"--training.{option.replace('_', '-')}."
            )
    for own in rounds:
        method = own.method
        annotator = annotators.get(method.annotation)
        if method.num_data or own.make is not None:
            reason = f"{who} learns from given examples, and nothing is drawn ahead"
        elif method.step.looks_ahead:
            reason = (
                f"{who} asks twice an update, the second time about where it looked"
            )
        elif annotator is None or not preferences.on_host(annotator):
            reason = "no annotator on the host is asked, and nothing is waited for"
        else:
            continue
        raise ValueError(f"--training.ahead: {reason}; leave it out.")
