"""Fitting a judge: a model that begins with a policy learns from votes on responses."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nashalign import data, policies, preferences, training
from nashalign.alignment import optimizers, steps, votes
from nashalign.alignment import task as tasks
from nashalign.types import pytree

Judge = preferences.PairwiseModel | preferences.RewardModel


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """State of a judge in training: what is trained of its model, and the optimizer's.

    Of a policy with adapters they and the head are trained; its base is not in here.
    """

    model: Judge
    opt_state: optax.OptState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitting:
    """Size and rate of the updates of a judge.

    Attributes:
      batch_size: prompts of an update, each with all of its pairs.
      learning_rate: peak of the optimizer's schedule.
      num_epochs: how often the votes are read.
      rule: of the optimizer.
    """

    batch_size: int
    learning_rate: float
    num_epochs: int = 1
    rule: optimizers.Rule = "adam"


def fit(
    start: policies.Pretrained,
    kind: str,
    voted: votes.Votes,
    pairs: preferences.Pairs,
    fitting: Fitting,
    *,
    eos_id: int,
    key: chex.PRNGKey,
    folder: pathlib.Path,
    seed: int = 0,
    mesh: jax.sharding.Mesh | None = None,
    name: str = "",
) -> Judge:
    """Trains one judge on votes of any kind, or resumes its run where it stopped.

    Args:
      start: the policy that it begins with; where that has adapters, they alone are
        trained, beside the head.
      kind: of judge, of `preferences.JUDGES`.
      voted: what it learns from.
      pairs: `(y, z)` places of the responses that are compared.
      fitting: size and rate of the updates.
      eos_id: the token that closes a response which was cut.
      key: of its head.
      folder: where its run is kept.
      seed: of the order in which the votes are read.
      mesh: the devices; all of them by default.
      name: of the progress bar; the kind's by default.

    Returns:
      The judge, whole: base and adapters together, where there are adapters.

    Raises:
      ValueError: there are fewer prompts than a batch has.
      TrainingDiverged: the loss is not finite.
    """
    mesh = training.make_mesh() if mesh is None else mesh
    number = len(voted.votes)
    draw = data.batches(range(number), batch_size=fitting.batch_size, seed=seed)
    num_steps = fitting.num_epochs * (number // fitting.batch_size)
    optimizer = optimizers.make_optimizer(
        fitting.learning_rate, num_steps, rule=fitting.rule
    )
    whole = preferences.JUDGES[kind](
        params=preferences.init_params(key, start.policy, start.params),
        policy=start.policy,
        eos_id=eos_id,
    )
    model: Any = _trained(whole)  # a pytree, which optax takes as such alone
    base = _base(whole)
    state = Fit(model=model, opt_state=optimizer.init(model))
    shared = steps.sharding(state, mesh)
    step = training.data_parallel(
        functools.partial(_step, optimizer, tuple(pairs)), mesh, state_sharding=shared
    )
    base = jax.device_put(base, steps.sharding(base, mesh))
    found = training.run(
        lambda state, batch: step(state, batch, base),
        state,
        lambda place: tasks.rows_of(voted, np.asarray(draw(place))),
        num_steps,
        folder=folder,
        name=name or f"{kind} model",
        save_every=max(1, num_steps // 3),
        show=("loss",),
    )
    return _joined(found.model, base)


def _trained(model: Judge) -> Judge:
    """The model's parameters that are trained: head and policy, or its adapters."""
    own = policies.lora.trained(model.params["policy"])
    return dataclasses.replace(model, params={**model.params, "policy": own})


def _base(model: Judge) -> policies.Params | None:
    """The policy's parameters beside its adapters; None where all are trained."""
    own = model.params["policy"]
    return policies.lora.base(own) if policies.lora.has_adapters(own) else None


def _joined(model: Judge, base: policies.Params | None) -> Judge:
    """The model whole."""
    if base is None:
        return model
    own = policies.lora.join(base, model.params["policy"])
    return dataclasses.replace(model, params={**model.params, "policy": own})


def _step(
    optimizer: optax.GradientTransformation,
    pairs: preferences.Pairs,
    state: Fit,
    batch: votes.Votes,
    base: policies.Params | None,
    *,
    reduce: Callable[[Any], Any],
) -> tuple[Fit, dict[str, Any], None]:
    """One step on the mean cross-entropy of the votes."""
    first, second = np.asarray(pairs).T
    won = batch.votes[:, first, second]

    def total(model):
        loss = preferences.vote_loss(
            _joined(model, base), batch.prompts, batch.responses, pairs, won
        )
        return jnp.sum(loss)

    loss, gradient = jax.value_and_grad(total)(state.model)
    loss, gradient, count = reduce((loss, gradient, jnp.asarray(won.size)))
    gradient = jax.tree.map(lambda g: g / count, gradient)
    model: Any = state.model  # a pytree, which optax takes as such alone
    updates, opt_state = optimizer.update(gradient, state.opt_state, model)
    metrics = {"loss": loss / count, "gradient_norm": optax.tree.norm(gradient)}
    model = optax.apply_updates(model, updates)
    return Fit(model=model, opt_state=opt_state), metrics, None
