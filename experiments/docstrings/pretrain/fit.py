"""The training itself: by the clock, resumable."""

import contextlib
import dataclasses
import functools
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

from experiments.docstrings.pretrain import card
from experiments.docstrings.pretrain.config import Config
from experiments.docstrings.pretrain.sequences import Batches, Sequences, filled
from nashalign import compiling, policies, terminal, training
from nashalign.types import Array, pytree


def token_losses(
    policy: policies.Policy,
    params: dict,
    tokens: Array,
    scored: Array,
) -> Array:
    """Cross-entropies `[K]`, in nats, of the next tokens at flat positions `[K]`."""
    inputs = tokens[:, :-1]
    hidden, _ = policy.hidden(params, inputs, jnp.ones(inputs.shape, bool), None)
    hidden = hidden.reshape(-1, hidden.shape[-1])[scored]
    targets = tokens[:, 1:].reshape(-1)[scored]
    logits = policy.logits(params, hidden)
    picked = jnp.take_along_axis(logits, targets[:, None], -1)[:, 0]
    return jax.nn.logsumexp(logits, -1) - picked


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """What training carries from step to step, as arrays.

    Attributes:
      params: the model's parameters.
      opt_state: the optimizer's state.
      step: updates made.
      seen: sequences learnt from.
      seconds: time spent.
    """

    params: policies.Params
    opt_state: optax.OptState
    step: Array
    seen: Array
    seconds: Array


def fit(
    config: Config,
    policy: policies.Policy,
    params: policies.Params,
    parts: tuple[Sequences, Sequences],
    validation: Sequences,
) -> tuple[policies.Params, dict]:
    """Trains until the time is up; returns the parameters and what the card says.

    The first part, with short prompts, ends when its share of the time is gone. The
    learning rate is warmed up by steps and falls as a cosine of the share of the time
    that is gone, to zero at its end.
    """
    optimizer = _optimizer(config)
    update = _update(policy, optimizer)
    score = jax.jit(lambda params, *batch: token_losses(policy, params, *batch))
    batches = [Batches(config, part) for part in parts]
    zero = jnp.zeros((), jnp.int32)
    fresh = State(
        params=params,
        opt_state=optimizer.init(params),
        step=zero,
        seen=zero,
        seconds=jnp.zeros(()),
    )
    budget, record = 60 * config.minutes, None

    def measured(state):
        return {
            "step": int(state.step),
            "minutes": float(state.seconds) / 60,
            "sequences": int(state.seen),
            **_evaluation(score, state.params, validation),
        }

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(
            training.Checkpoints(config.output / "checkpoints")
        )
        restored = checkpoints.restore_latest(fresh)
        state = restored[1] if restored else fresh
        lines = training.JsonLines(config.output / "log.jsonl", int(state.step))
        stack.callback(lines.close)
        shown = round(float(state.seconds))
        advance = stack.enter_context(
            terminal.progress_bar("seconds of training", round(budget), shown)
        )
        while float(state.seconds) < budget:
            state, losses = _stretch(config, update, batches, state)
            record = measured(state)
            # Before the checkpoint: what is logged beyond it is cut, not missing.
            lines.write([record | {"loss": float(np.mean(losses))}])
            lines.sync()
            checkpoints.save(int(state.step), state)
            card.publish(config, config.output / "latest", state.params, record)
            gone = round(float(state.seconds))
            advance(gone - shown, f"loss {record['validation_loss']:.3f}")
            shown = gone
    return state.params, record or measured(state)


def _stretch(config, update, batches, state):
    """Trains for the time between two checkpoints; returns the losses too."""
    begun, before = time.monotonic(), float(state.seconds)
    step, seen, losses = int(state.step), int(state.seen), []
    model = jax.tree.map(jnp.copy, (state.params, state.opt_state))
    end = min(before + 60 * config.save_minutes, 60 * config.minutes)
    while (seconds := before + time.monotonic() - begun) < end:
        part = batches[seconds > 60 * config.minutes * config.short_share]
        batch = part.batch(step)
        *model, loss = update(*model, _learning_rate(config, step, seconds), *batch)
        step, seen = step + 1, seen + len(batch[0])
        losses.append(float(loss))
        if not math.isfinite(losses[-1]):
            raise ValueError(
                f"The loss is {losses[-1]} at step {step}; start again from the "
                f"checkpoint in {config.output} with a lower learning rate."
            )
    params, opt_state = model
    state = State(
        params=params,
        opt_state=opt_state,
        step=jnp.asarray(step, jnp.int32),
        seen=jnp.asarray(seen, jnp.int32),
        seconds=jnp.asarray(seconds),
    )
    return state, losses


def _optimizer(config: Config) -> optax.GradientTransformation:
    """Returns Muon for the layers' matrices and Adam for the rest.

    Muon (Jordan 2024; step sizes as AdamW's, Liu et al. 2025, arXiv:2502.16982) learnt
    more in four minutes, from 32 thousand pairs, than AdamW from 38 thousand.
    Its step is at learning rate 1: the caller scales it.
    """

    def matrices(params):
        return jax.tree.map(
            lambda leaf: MuonDimensionNumbers(-2, -1) if leaf.ndim == 3 else None,
            params,
        )

    return optax.chain(
        optax.clip_by_global_norm(1.0),
        muon(
            -1.0,
            ns_steps=4,
            preconditioning="schatten",
            consistent_rms=0.2,
            weight_decay=config.weight_decay,
            adam_b2=0.98,
            muon_weight_dimension_numbers=matrices,
        ),
    )


def _update(policy: policies.Policy, optimizer: optax.GradientTransformation):
    """Returns the compiled step."""

    @functools.partial(
        jax.jit, donate_argnums=(0, 1), compiler_options=compiling.compiler_options()
    )
    def update(params, opt_state, rate, tokens, scored, weights):
        def loss(params):
            losses = token_losses(policy, params, tokens, scored)
            return jnp.sum(losses * weights)

        value, grads = jax.value_and_grad(loss)(params)
        moves, opt_state = optimizer.update(grads, opt_state, params)
        params = jax.tree.map(lambda leaf, move: leaf - rate * move, params, moves)
        return params, opt_state, value

    return update


def _learning_rate(config: Config, step: int, elapsed: float) -> np.float32:
    """Returns the rate: linear warmup by steps, then a cosine of the time gone."""
    gone = min(1.0, elapsed / (60 * config.minutes))
    warm = min(1.0, (step + 1) / config.warmup_steps)
    cosine = (1 + math.cos(math.pi * gone)) / 2
    return np.float32(config.learning_rate * warm * cosine)


def _evaluation(score, params: dict, sequences: Sequences) -> dict:
    """Returns the mean loss of summary tokens and bytes, in nats."""
    total, count, size = 0.0, 0, 64
    for start in range(0, len(sequences.tokens), size):
        # The last batch is filled up with rows whose scores are not read.
        rows = np.arange(start, min(start + size, len(sequences.tokens)))
        tokens = np.resize(
            sequences.tokens[rows].astype(np.int32), (size, sequences.tokens.shape[1])
        )
        column = np.arange(1, tokens.shape[1])[None, :]
        scored = np.flatnonzero(
            (column >= sequences.prompt_lengths[rows][:, None])
            & (column < sequences.lengths[rows][:, None])
        )
        losses = score(params, tokens, filled(scored, size * 32))
        total += float(losses[: len(scored)].sum())
        count += len(scored)
    return {
        "validation_loss": total / count,
        "validation_nats_per_byte": total / sequences.num_bytes,
    }
