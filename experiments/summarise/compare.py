"""The comparison: every aligned policy and the start policy on test prompts."""

import dataclasses
import itertools
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.summarise import evidence, examples, report, summaries, sweep
from experiments.summarise import task as tasks
from experiments.summarise.config import Evaluation
from experiments.summarise.settings import Settings
from nashalign import algorithms, evaluation, training

_PAIRS_AT_ONCE = 336
"""Comparisons in one call of the learned model; more would take too much memory."""

MANY = 13
"""So many policies are compared with the start policy alone by the learned model, and
their matrix is no figure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligned:
    """A policy and how it came about.

    Attributes:
      params: its parameters; None where training has diverged.
      key: of its method in the table of methods; None for the start policy.
      settings: of its method; None for the start policy.
      method: the row of the table with them; None for the start policy.
      suffix: what it is shown after a prompt.
      seconds: its training time; None for the start policy.
      tokens_per_second: of responses in training; None for the start policy.
      optimizer_steps: taken in training; None for the start policy.
      diverged: the update at which its training was given up.
    """

    params: Any = None
    key: str | None = None
    settings: Settings | None = None
    method: algorithms.Method | None = None
    suffix: Sequence[int] = ()
    seconds: float | None = None
    tokens_per_second: float | None = None
    optimizer_steps: int | None = None
    diverged: int | None = None


def compare(
    task: tasks.Task,
    preference_model: Any,
    aligned: Mapping[str, Sequence[Aligned]],
    settings: Evaluation,
    seed: int,
    folder: pathlib.Path,
    fingerprint: str,
) -> dict[str, evaluation.Summary]:
    """Writes matrices, summary and samples to a folder, and prints the tables.

    Args:
      task: prompts and reviewers.
      preference_model: the learned judge.
      aligned: policies by their names in the paper's table, one for each training seed;
        the start policy is added.
      settings: how many prompts.
      seed: of the choice of prompts and of the samples.
      folder: where the results go.
      fingerprint: of data, votes and judges.

    Returns:
      The summary of each policy.
    """
    found = {
        name: alive
        for name, runs in aligned.items()
        if (alive := [own for own in runs if own.diverged is None])
    }
    found[evaluation.START] = [Aligned(params=task.start.params)]
    rows = task.rows("test", settings.num_prompts, seed)
    runs = _write(task, found, rows, seed)
    population = task.annotator.population

    def exact(i, j):
        return population.prefer(runs.utilities[i], runs.utilities[j])

    between_runs = evaluation.preference_table(exact, len(runs.written))
    few = len(found) < MANY
    learned = _learned(preference_model, runs.written, all_pairs=few)
    measured = summaries.summaries(population, runs, between_runs, learned)
    lines = {
        name: evaluation.Summary(
            method=name,
            **_origin(aligned.get(name, found.get(name))),
            **measured.get(name, {}),
        )
        for name in dict.fromkeys([*found, *aligned])
    }
    matrices = {
        "exact population": _matrix(runs, between_runs, sweep.WIN_RATE_VARIANCE)
    }
    between_runs_learned = evidence.table(learned, len(runs.written))
    if few:
        matrices["learned preference model"] = _matrix(runs, between_runs_learned)
    over = summaries.described(runs)
    report.report(
        folder,
        tuple(found),
        matrices,
        lines,
        over=over,
        fingerprint=fingerprint,
        readable=few,
    )
    evidence.save_preferences(
        folder / "preferences.npz",
        task,
        rows,
        runs.labels(),
        {"exact": between_runs, "learned": between_runs_learned},
    )
    if not few:
        learns = {name: examples.kind(own[0].method) for name, own in aligned.items()}
        report.draw_ranking(folder, lines, learns)
    keys = {name: own.key for name, own in lines.items() if own.key}
    first = [runs.owners.index(number) for number in range(len(found))]
    report.samples(
        task,
        {name: runs.written[at] for name, at in zip(found, first, strict=True)},
        between_runs[:, first][:, :, first],
        rows,
        settings.num_samples,
        folder,
        keys,
    )
    return lines


def _write(task, found, rows, seed) -> summaries.Written:
    """Lets every run of every policy write to the test prompts."""
    owners, written = [], []
    for number, (name, runs) in enumerate(found.items()):
        for place, policy in enumerate(runs):
            which = f" (seed {place + 1} of {len(runs)})" if len(runs) > 1 else ""
            written.append(
                task.write(
                    policy.params,
                    "test",
                    rows,
                    tasks.stage_key(seed, 40 + len(written)),
                    suffix=policy.suffix,
                    name=f"test summaries: {name}{which}",
                )
            )
            owners.append(number)
    return summaries.Written(
        names=tuple(found),
        owners=owners,
        written=written,
        utilities=[task.utilities(own)[..., 0] for own in written],
        clusters=task.clusters("test", rows),
        halves=task.halves("test", rows),
    )


def _matrix(runs, between_runs, known=None) -> evaluation.Interval:
    """The win-rate matrix of the policies, each a mean over its runs."""
    table, seeds = runs.average(between_runs, known)
    return evaluation.win_rate_matrix(table, clusters=runs.clusters, seeds=seeds)


def _origin(runs: Sequence[Aligned]) -> dict:
    """What the summary says about how a policy came about, from its runs."""
    policy = runs[0]
    own = policy.settings.own if policy.settings else {}
    seconds, speed, steps = (
        [value for run in runs if (value := getattr(run, name)) is not None]
        for name in ("seconds", "tokens_per_second", "optimizer_steps")
    )
    diverged = [run.diverged for run in runs if run.diverged is not None]
    return {
        "key": policy.key,
        "tau": own.get("tau"),
        "mix": own.get("mix"),
        "settings": {n: v for n, v in own.items() if n not in ("tau", "mix")},
        "seconds": statistics.mean(seconds) if seconds else None,
        "tokens_per_second": statistics.mean(speed) if speed else None,
        "optimizer_steps": max(steps, default=None),
        "diverged": min(diverged, default=None),
    }


def _learned(model, written, *, all_pairs) -> dict[tuple[int, int], np.ndarray]:
    """The learned model's preference `[num_prompts]` for one policy over a later one.

    Of every pair of policies, or of each with the last one.
    """
    pairs = list(itertools.combinations(range(len(written)), 2))
    if not all_pairs:
        pairs = [(i, j) for i, j in pairs if j == len(written) - 1]
    first, second = np.asarray(pairs).T
    responses = jax.tree.map(
        lambda *parts: np.concatenate(parts, 1), *[w.responses for w in written]
    )
    prompts = written[0].prompts
    num_prompts = len(responses.tokens)

    @jax.jit
    def prefer(model, prompts, responses):
        y = jax.tree.map(lambda x: x[:, first], responses)
        z = jax.tree.map(lambda x: x[:, second], responses)
        return model.prefer(None, prompts, y, z)

    answers, size = [], max(1, _PAIRS_AT_ONCE // len(pairs))
    with training.progress_bar("learned model compares", num_prompts) as advance:
        for part in tasks.chunks(np.arange(num_prompts), size):
            at = jax.tree.map(lambda x, part=part: x[part], (prompts, responses))
            answers.append(np.asarray(prefer(model, *at)))
            advance(len(set(part)), "")
    answers = np.concatenate(answers)[:num_prompts].T
    return dict(zip(pairs, answers, strict=True))
