"""The comparison: every aligned policy and the start policy on test prompts."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import rich.console

from experiments.summarise import task as tasks
from experiments.summarise.config import Evaluation, Settings
from nashalign import evaluation, training

_PAIR_BATCH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligned:
    """A policy and how it came about.

    Attributes:
      params: its parameters.
      settings: of its method; None for the start policy.
      seconds: its training time; None for the start policy.
    """

    params: Any
    settings: Settings | None = None
    seconds: float | None = None


def compare(
    task: tasks.Task,
    preference_model: Any,
    aligned: Mapping[str, Aligned],
    settings: Evaluation,
    seed: int,
    folder: pathlib.Path,
) -> dict[str, evaluation.Summary]:
    """Writes matrices, summary and samples to a folder, and prints the tables.

    Args:
      task: prompts and reviewers.
      preference_model: the learned judge.
      aligned: policies by their names in the paper's table; the start policy is added.
      settings: how many prompts.
      seed: of the choice of prompts and of the samples.
      folder: where the results go.

    Returns:
      The summary of each policy.
    """
    policies = {**aligned, evaluation.paper.START: Aligned(params=task.start.params)}
    names = tuple(policies)
    rows = task.rows("test", settings.num_prompts, seed)
    written = {
        name: task.write(
            policy.params,
            "test",
            rows,
            tasks.stage_key(seed, 40 + number),
            name=f"test summaries: {name}",
        )
        for number, (name, policy) in enumerate(policies.items())
    }
    utilities = {name: task.utilities(w)[..., 0] for name, w in written.items()}
    population = task.annotator.population

    def exact(i, j):
        return population.prefer(utilities[names[i]], utilities[names[j]])

    preferences = evaluation.preference_table(exact, len(names))
    learned = _learned_table(preference_model, list(written.values()))
    matrices = {
        "exact population": evaluation.win_rate_matrix(preferences),
        "learned preference model": evaluation.win_rate_matrix(learned),
    }
    game = evaluation.empirical_game(matrices["exact population"].mean)
    start = names.index(evaluation.paper.START)
    summaries = {
        name: evaluation.Summary(
            method=name,
            **_settings(policies[name]),
            **_writing(written[name]),
            win_rate=evaluation.mean_interval(preferences[:, index, start]),
            length_controlled=_length_controlled(
                preferences[:, index, start], written[name], written[names[start]]
            ),
            learned_win_rate=evaluation.mean_interval(learned[:, index, start]),
            reviewers=_by_kind(population, utilities[name], utilities[names[start]]),
            exploitability=float(game.exploitability[index]),
            nash=float(game.nash[index]),
        )
        for index, name in enumerate(names)
    }
    _report(folder, names, matrices, list(summaries.values()))
    _samples(task, written, preferences, rows, settings.num_samples, folder)
    return summaries


def _settings(policy: Aligned) -> dict:
    """What the summary says about how a policy came about."""
    method = policy.settings
    return {
        "tau": method.tau if method else None,
        "mix": (method.mix or None) if method else None,
        "seconds": policy.seconds,
    }


def _writing(written: tasks.Written) -> dict:
    """What the summary says about a policy's responses alone."""
    responses = written.responses
    return {
        "kl": evaluation.kl_to_reference(
            written.log_probs, written.reference_log_probs, responses.mask
        ),
        "length": evaluation.response_length(responses.mask),
        "truncated": evaluation.truncated_share(responses.truncated),
    }


def _by_kind(population, own, start) -> dict[str, evaluation.Interval]:
    """Each kind of reviewer's win rate, from utilities `[kinds, num_prompts]`."""
    verdicts = population.verdicts(own, start)
    return {
        kind: evaluation.mean_interval(verdict)
        for kind, verdict in zip(population.kinds, verdicts, strict=True)
    }


def _length_controlled(preferred, own, start) -> evaluation.Interval | None:
    """The win rate at equal lengths; None for the start policy against itself."""
    if own is start:
        return None
    lengths = (w.responses.mask.sum(-1)[:, 0] for w in (own, start))
    return evaluation.length_controlled_win_rate(preferred, *lengths).win_rate


def _learned_table(model, written) -> np.ndarray:
    """The learned model's preference `[num_prompts, M, M]` among all policies."""
    first, second = np.triu_indices(len(written), 1)
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

    answers = []
    with training.progress_bar("learned model compares", num_prompts) as advance:
        for part in tasks.chunks(np.arange(num_prompts), _PAIR_BATCH):
            at = jax.tree.map(lambda x, part=part: x[part], (prompts, responses))
            answers.append(np.asarray(prefer(model, *at)))
            advance(len(set(part)), "")
    answers = dict(
        zip(
            zip(first.tolist(), second.tolist(), strict=True),
            np.concatenate(answers)[:num_prompts].T,
            strict=True,
        )
    )
    return evaluation.preference_table(lambda i, j: answers[i, j], len(written))


def _report(folder, names, matrices, summaries):
    """Tables in the terminal and as files."""
    folder.mkdir(parents=True, exist_ok=True)
    console = rich.console.Console()
    files = {"exact population": "win_rates", "learned preference model": "learned"}
    for judge, matrix in matrices.items():
        title = f"Win rates, judged by the {judge}"
        console.print(evaluation.win_rate_table(names, matrix, title=title))
        stem = folder / files[judge]
        with training.replacing(stem.with_suffix(".csv")) as path:
            evaluation.write_win_rate_csv(path, names, matrix)
        with training.replacing(stem.with_suffix(".png")) as path:
            evaluation.save_figure(
                evaluation.win_rate_figure(names, matrix, title=title), path
            )
        training.write_text(
            stem.with_suffix(".md"), evaluation.win_rate_markdown(names, matrix)
        )
    console.print(evaluation.summary_table(summaries, title="Test prompts"))
    with training.replacing(folder / "summary.csv") as path:
        evaluation.write_summary_csv(path, summaries)
    training.write_text(folder / "summary.md", evaluation.summary_markdown(summaries))


def _samples(task, written, preferences, rows, num_samples, folder):
    """A page of the first test prompts with every policy's summary."""
    names = tuple(written)
    texts = {name: task.texts(w.responses) for name, w in written.items()}
    start = names.index(evaluation.paper.START)
    samples = []
    for number, row in enumerate(rows[:num_samples]):
        pair = task.pairs[task.prompts["test"].ids[row]]
        samples.append(
            evaluation.Sample(
                code=pair.code,
                summaries={name: texts[name][number][0] for name in names},
                preferred={
                    name: float(preferences[number, index, start])
                    for index, name in enumerate(names)
                    if index != start
                },
                written=pair.summary,
                source=f"{pair.package}: {pair.name}",
            )
        )
    description = (
        f"The first {len(samples)} test prompts, unselected. The share is the "
        "probability that the population of reviewers prefers the summary to the start "
        "policy's."
    )
    with training.replacing(folder / "samples.html") as path:
        evaluation.write_samples_html(path, samples, description=description)
    training.write_text(folder / "samples.md", evaluation.samples_markdown(samples))
