"""The learned judges: a preference model and a reward model, from the same hard votes.

The start policy writes four summaries to each prompt. They are paired up, and each pair
is shown to a few reviewers drawn from the population, each of whom votes; no vote is
read twice. Both models start from the start policy. Accuracy is the expected one on
votes about validation prompts, next to that of knowing the population's probabilities.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.summarise import task as tasks
from experiments.summarise.config import Judges
from nashalign import data, preferences, terminal, training
from nashalign.types import Prompts, Responses, pytree

# Three ways to pair up four summaries, so that every two meet once.
_PAIRINGS = (((0, 2), (1, 3)), ((0, 1), (2, 3)), ((0, 1), (3, 2)))
_SAMPLES, _TRAIN = 4, 1

VOTES = "votes.npz"
"""Summaries of training prompts and the votes on them, `[num_prompts, 4, 4]`."""
HELD_OUT_VOTES = "held_out_votes.npz"
"""The same of validation prompts."""

_MODELS = {
    "preference": preferences.PairwiseModel,
    "reward": preferences.RewardModel,
}


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparisons:
    """Two comparisons for each of `B` prompts.

    Attributes:
      prompts: the prompts.
      y: `[B, 2, T]` one response of each comparison.
      z: `[B, 2, T]` the other.
      preferred: `[B, 2]` the population's P(y beats z).
      votes: `[B, 2]` the share of the hard votes that y won.
    """

    prompts: Prompts
    y: Responses
    z: Responses
    preferred: Any
    votes: Any

    def at(self, rows: Any) -> "Comparisons":
        """Returns the comparisons of some prompts."""
        return jax.tree.map(lambda x: x[rows], self)


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """State of a judge in training: the model, which is its parameters, and Adam's."""

    model: Any
    opt_state: optax.OptState


def learned_judges(
    task: tasks.Task,
    settings: Judges,
    wanted: Collection[str],
    seed: int,
    folder: pathlib.Path,
) -> dict[str, Any]:
    """Returns the annotators by what methods read: a preference, or a reward.

    Votes and fits are kept in `folder`, and not made twice; what is not among `wanted`
    is not fitted. `report.json` holds accuracies and the share of intransitive triples.
    """
    console, report = terminal.console(), {}
    asked = functools.partial(
        _comparisons, task=task, seed=seed, console=console, report=report
    )
    train = asked(
        split="train",
        num_prompts=settings.num_prompts,
        num_pairings=settings.num_pairings,
        num_voters=settings.num_voters,
        stage=_TRAIN,
        path=folder / VOTES,
    )
    held_out = asked(
        split="validation",
        num_prompts=settings.num_held_out,
        num_pairings=len(_PAIRINGS),
        num_voters=settings.num_voters,
        stage=2,
        path=folder / HELD_OUT_VOTES,
    )
    best = preferences.best_attainable_accuracy(held_out.preferred)
    report["best_attainable_accuracy"] = best
    judges = {}
    for number, (kind, model) in enumerate(_MODELS.items()):
        if kind not in wanted:
            continue
        title = f"{kind} model"
        judge = _fit(
            task,
            model,
            train,
            settings,
            tasks.stage_key(seed, 10 + number),
            folder / kind,
            title,
        )
        accuracy = _accuracy(judge, held_out)
        console.print(
            f"{title}: held-out accuracy {accuracy:.3f} "
            f"(best attainable {best:.3f}, coin 0.500)"
        )
        judges[kind] = judge
        report[f"{kind}_model_accuracy"] = accuracy
    training.write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    return judges


def read_votes(
    path: pathlib.Path, num_prompts: int | None = None, length: int | None = None
) -> dict[str, np.ndarray]:
    """Returns what is in a file of votes: summaries of so many tokens, and votes.

    Args:
      path: the file.
      num_prompts: how many there must be; None, any number.
      length: tokens that summaries must be padded to; None, any number.

    Raises:
      ValueError: if it is damaged; names the file, and what to delete.
    """
    pairs = (num_prompts, _SAMPLES, _SAMPLES)
    shapes = {
        "tokens": (num_prompts, _SAMPLES, length),
        "mask": (num_prompts, _SAMPLES, length),
        "truncated": (num_prompts, _SAMPLES),
        "preference": pairs,
        "votes": pairs,
    }
    return training.read_arrays(path, "Delete it to have the votes again", shapes)


def voted_rows(task: tasks.Task, settings: Judges, seed: int) -> np.ndarray:
    """Rows of the training split that the votes are about, in the file's order."""
    return task.rows("train", settings.num_prompts, seed + _TRAIN)


def _comparisons(
    *,
    task,
    split,
    num_prompts,
    num_pairings,
    num_voters,
    seed,
    stage,
    path,
    console,
    report,
) -> Comparisons:
    """Samples and votes on a split's prompts, from the file if they are there."""
    rows = task.rows(split, num_prompts, seed + stage)
    if not path.exists():
        written = task.write(
            task.start.params,
            split,
            rows,
            tasks.stage_key(seed, stage),
            num_responses=_SAMPLES,
            name=f"samples of the start policy ({split})",
        )
        utilities = task.utilities(written)
        population = task.annotator.population
        votes = population.votes(
            np.random.default_rng(seed + stage),
            utilities[..., :, None],
            utilities[..., None, :],
            num_voters=num_voters,
        )
        with training.replacing(path) as temporary:
            np.savez(
                temporary,
                tokens=written.responses.tokens,
                mask=written.responses.mask,
                truncated=written.responses.truncated,
                preference=population.matrix(utilities).astype(np.float32),
                votes=votes.astype(np.float32),
            )
    arrays = read_votes(path, num_prompts, task.decoding.max_length)
    share = preferences.intransitive_share(arrays["preference"])
    report[f"intransitive_share_{split}"] = share
    console.print(
        f"reviewers: {share:.1%} of the triples of sampled responses ({split}) are "
        "intransitive"
    )
    prompts = task.batch(split, rows)
    pairings = [
        _paired(prompts, arrays, *pairing) for pairing in _PAIRINGS[:num_pairings]
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *pairings)


def _paired(prompts, arrays, y, z) -> Comparisons:
    """The comparisons of summaries `y` with summaries `z`, two indices each."""
    y, z = np.asarray(y), np.asarray(z)
    written = Responses(
        tokens=arrays["tokens"], mask=arrays["mask"], truncated=arrays["truncated"]
    )
    return Comparisons(
        prompts=prompts,
        y=jax.tree.map(lambda x: x[:, y], written),
        z=jax.tree.map(lambda x: x[:, z], written),
        preferred=arrays["preference"][:, y, z],
        votes=arrays["votes"][:, y, z],
    )


def _fit(task, model, comparisons, settings, key, folder, title) -> Any:
    """Trains one judge on the votes."""
    num_rows = len(comparisons.votes)
    draw = data.batches(range(num_rows), batch_size=settings.batch_size, seed=0)
    num_steps = num_rows // settings.batch_size
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(
            optax.warmup_cosine_decay_schedule(
                0.0, settings.learning_rate, max(1, num_steps // 10), num_steps
            )
        ),
    )
    policy = task.start.policy
    model = model(
        params=preferences.init_params(key, policy, task.start.params),
        policy=policy,
        eos_id=task.tokenizer.closing_id,
    )
    state = training.run(
        training.data_parallel(
            functools.partial(_fit_step, optimizer), training.make_mesh()
        ),
        Fit(model=model, opt_state=optimizer.init(model)),
        lambda step: comparisons.at(np.asarray(draw(step))),
        num_steps,
        folder=folder,
        name=title,
        save_every=max(1, num_steps // 3),
        show=("loss",),
    )
    return state.model


def _fit_step(
    optimizer: optax.GradientTransformation,
    state: Fit,
    batch: Comparisons,
    *,
    reduce: Callable,
):
    """One step on the mean cross-entropy of the votes."""

    def total(model):
        loss = preferences.vote_loss(
            model, batch.prompts, batch.y, batch.z, batch.votes
        )
        return jnp.sum(loss)

    loss, gradient = jax.value_and_grad(total)(state.model)
    loss, gradient, count = reduce((loss, gradient, jnp.asarray(batch.votes.size)))
    gradient = jax.tree.map(lambda g: g / count, gradient)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.model)
    metrics = {"loss": loss / count, "gradient_norm": optax.tree.norm(gradient)}
    model = optax.apply_updates(state.model, updates)
    return Fit(model=model, opt_state=opt_state), metrics, None


def _accuracy(judge, comparisons: Comparisons) -> float:
    """Expected accuracy of a judge on votes drawn from the population."""
    prefer = jax.jit(lambda judge, c: judge.prefer(None, c.prompts, c.y, c.z))
    scores = []
    for rows in tasks.chunks(np.arange(len(comparisons.votes))):
        part = comparisons.at(rows)
        chosen = np.asarray(prefer(judge, part)) > 0.5
        scores.append(np.where(chosen, part.preferred, 1 - part.preferred))
    return float(np.concatenate(scores)[: len(comparisons.votes)].mean())
