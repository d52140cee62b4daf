"""Compiled updates, for annotators on the device and on the host."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from nashalign import algorithms, compiling, policies, preferences, sampling, training
from nashalign.alignment import examples, optimizers
from nashalign.types import Array, Examples, Groups, Numeric, Prompts


class Step(Protocol):
    """An update, wherever its annotator lives."""

    def __call__(
        self,
        state: algorithms.State,
        batch: Prompts | Examples,
        method: algorithms.Method,
        annotator: preferences.Annotator | None,
        base: policies.Params | None,
        /,
    ) -> tuple[algorithms.State, Mapping[str, Array], Groups]:
        """Returns the next state, metrics, and the groups that were learnt from.

        The state is without the base, if policies have one in common.
        """
        ...


# Programs of rows that are done with would fill the memory of a small machine.
_PROGRAMS = 8

# What makes an update of its halves; its last arguments are learning rate and base.
Split = Callable[["Halves"], Callable[..., Any]]
# What stays of a run, given the peak of its learning rate: a number, or a traced one.
MakeSetup = Callable[[Numeric], algorithms.Setup]


def compile_step(
    policy: policies.Policy,
    decoding: sampling.Decoding,
    levels: tuple[tuple[int, ...], ...] | None,
    learning_rate: float,
    num_steps: int,
    schedule: optimizers.Schedule,
    rule: optimizers.Rule,
    memory: algorithms.Memory,
    mesh: jax.sharding.Mesh,
    on_host: bool,
    split: Split | None = None,
) -> tuple[algorithms.Setup, Step]:
    """Returns the setup of a run and its step.

    One program serves every seed, every value of the settings of a row, every learning
    rate, and every row of one structure.

    Args:
      policy: the model family.
      decoding: how responses are drawn.
      levels: token strings of scores, for rows conditioned on rewards.
      learning_rate: peak of the optimizer's schedule.
      num_steps: steps of the optimizer.
      schedule: what follows the warm-up.
      rule: of the optimizer.
      memory: what is traded for memory.
      mesh: the devices.
      on_host: whether the annotator is asked between two programs.
      split: the update that is made of its halves then; by default one that asks about
        a whole batch.
    """
    asking = (split or InPieces) if on_host else None
    make_setup, step = _compiled(
        policy, decoding, levels, num_steps, schedule, rule, memory, mesh, asking
    )

    def at_rate(state, batch, method, annotator, base):
        rate = np.float32(learning_rate)
        return step(state, batch, method, annotator, rate, base)

    return make_setup(learning_rate), at_rate


@functools.lru_cache(_PROGRAMS)
def _compiled(
    policy, decoding, levels, num_steps, schedule, rule, memory, mesh, asking
):
    """What `compile_step` makes of everything but the learning rate."""

    def make_setup(learning_rate):
        return algorithms.Setup(
            policy=policy,
            optimizer=optimizers.make_optimizer(
                learning_rate, num_steps, schedule=schedule, rule=rule
            ),
            decoding=decoding,
            levels=levels,
            memory=memory,
        )

    if asking is None:
        return make_setup, _whole(make_setup, mesh)
    return make_setup, asking(_halves(make_setup, mesh))


def _whole(make_setup: MakeSetup, mesh: jax.sharding.Mesh) -> Callable[..., Any]:
    """An update in one program; its last arguments are learning rate and base."""

    def step(state, batch, method, annotator, learning_rate, base, *, reduce):
        setup, state = make_setup(learning_rate), algorithms.on_base(state, base)
        state, metrics, groups = algorithms.update(
            method, setup, annotator, state, batch, reduce
        )
        return algorithms.without_base(state), metrics, groups

    return _placed(step, mesh)


@dataclasses.dataclass(frozen=True)
class Halves:
    """The two programs of an update, between which an annotator on the host is asked.

    Attributes:
      mesh: the devices.
      rollout: `(method, state, batch, base) -> groups`; the batch is on the mesh.
      learn: `(state, groups, method, learning_rate, base) -> (state, metrics, groups)`.
      look: the same, of the first half of an extragradient step.
    """

    mesh: jax.sharding.Mesh
    rollout: Callable[..., Groups]
    learn: Callable[..., Any]
    look: Callable[..., Any]

    def put(self, state: algorithms.State) -> algorithms.State:
        """Returns a state where it is kept."""
        return jax.device_put(state, sharding(state, self.mesh))

    def draw(self, method, state, batch, base) -> Groups:
        """Returns a batch's groups, not annotated, as soon as they are begun."""
        placed = jax.device_put(batch, training.batched(self.mesh))
        return self.rollout(method, state, placed, base)


def _halves(make_setup: MakeSetup, mesh: jax.sharding.Mesh) -> Halves:
    """The programs of an update that is split where an annotator is asked."""
    drawing = make_setup(0.0)

    @functools.partial(
        jax.jit,
        out_shardings=training.batched(mesh),
        compiler_options=compiling.compiler_options(mesh.devices.flat[0].platform),
    )
    def rollout(method, state, batch, base):
        whole = algorithms.on_base(state, base)
        return algorithms.rollout(method, drawing, whole, batch)

    def learn(state, groups, method, learning_rate, base, *, reduce, look_ahead=False):
        setup, state = make_setup(learning_rate), algorithms.on_base(state, base)
        groups = algorithms.label(method, state, groups)
        state, metrics = algorithms.learn(
            method, setup, state, groups, reduce, look_ahead=look_ahead
        )
        return algorithms.without_base(state), metrics, groups

    look = functools.partial(learn, look_ahead=True)
    return Halves(mesh, rollout, _placed(learn, mesh), _placed(look, mesh))


@dataclasses.dataclass(frozen=True)
class InPieces:
    """An update that asks an annotator on the host between two programs.

    Attributes:
      halves: the programs.
      pieces: in which a batch is written, where the annotator reads texts: it is asked
        about one while the device writes the next.
    """

    halves: Halves
    pieces: int = 1

    def __call__(self, state, batch, method, annotator, learning_rate, base):
        """Returns the next state, metrics, and the groups that were learnt from."""
        state = self.halves.put(state)
        if method.step.looks_ahead:
            first = algorithms.looking(state)
            groups = self._asked(method, annotator, first, batch, base)
            state, _, _ = self.halves.look(state, groups, method, learning_rate, base)
        groups = self._asked(method, annotator, state, batch, base)
        return self.halves.learn(state, groups, method, learning_rate, base)

    def _asked(self, method, annotator, state, batch, base):
        """The groups of a batch, annotated."""
        number = self.pieces if _in_pieces(annotator, batch) else 1
        # All are on their way before the first is waited for.
        drawn = [
            self.halves.draw(method, state, own, base)
            for own in _shared_out(batch, number)
        ]
        found = [
            algorithms.ask(method, annotator, state, jax.device_get(groups))
            for groups in drawn
        ]
        return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


@functools.cache
def in_pieces(number: int) -> Split:
    """Returns what makes updates that ask about a batch in so many pieces."""
    return functools.partial(InPieces, pieces=number)


def _in_pieces(annotator, batch) -> bool:
    """Whether an annotator may be asked about a batch piece by piece.

    One that draws would draw the same for each, and what is learnt from examples may
    depend on all of them.
    """
    by_text = preferences.TextPreference | preferences.TextReward
    return isinstance(annotator, by_text) and isinstance(batch, Prompts)


def _shared_out(batch: Any, number: int) -> list[Any]:
    """The rows of a batch in pieces of equal size, in order."""
    size = jax.tree.leaves(batch)[0].shape[0] // number
    ends = range(size, size * number + 1, size)
    return [
        jax.tree.map(lambda own, end=end: own[end - size : end], batch) for end in ends
    ]


def sharding(state: Any, mesh: jax.sharding.Mesh) -> Any:
    """Returns where a state, or a part of one, is kept.

    It is whole on every device, or shared out over `fsdp`.

    Args:
      state: a pytree of arrays.
      mesh: the devices.
    """
    if mesh.shape["fsdp"] == 1:
        return training.replicated(mesh)
    return training.fully_sharded(state, mesh)


def _placed(step: training.Step, mesh: jax.sharding.Mesh) -> training.Placed:
    """A step compiled for a mesh, once for each structure of the state."""
    made: dict[Any, training.Placed] = {}

    def call(state, batch, *others):
        structure = jax.tree.structure(state)
        if structure not in made:
            made[structure] = training.data_parallel(
                step, mesh, state_sharding=sharding(state, mesh)
            )
        return made[structure](state, batch, *others)

    return call


def hashable(levels: np.ndarray | None) -> tuple[tuple[int, ...], ...] | None:
    """Returns token strings as a value that `compiled` can know again."""
    if levels is None:
        return None
    rows: Sequence[Sequence[int]] = levels.tolist()
    return tuple(map(tuple, rows))


def needs_levels(method: algorithms.Method) -> bool:
    """Returns whether a row appends scores to its prompts."""
    prompted = any("|" in writer for writer in method.writers)
    return prompted or examples.conditions_on_rewards(method)
