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
    matrix = evaluation.win_rate_matrix(preferences)
    learned = _learned_table(preference_model, list(written.values()))
    learned_matrix = evaluation.win_rate_matrix(learned)
    game = evaluation.empirical_game(matrix.mean)
    verdicts = {
        name: population.verdicts(utilities[name], utilities[evaluation.paper.START])
        for name in names
    }
    lengths = {name: w.responses.mask.sum(-1)[:, 0] for name, w in written.items()}
    start = names.index(evaluation.paper.START)
    summaries = {}
    for index, name in enumerate(names):
        own, policy = written[name], policies[name]
        is_start = name == evaluation.paper.START
        method = policy.settings
        summaries[name] = evaluation.Summary(
            method=name,
            tau=None if is_start else method.tau,
            mix=(method.mix or None) if method else None,
            win_rate=_cell(matrix, index, start),
            length_controlled=None
            if is_start
            else _length_controlled(
                preferences[:, index, start],
                lengths[name],
                lengths[evaluation.paper.START],
            ),
            learned_win_rate=_cell(learned_matrix, index, start),
            reviewers={
                kind: evaluation.mean_interval(verdicts[name][number])
                for number, kind in enumerate(population.kinds)
            },
            kl=evaluation.kl_to_reference(
                own.log_probs, own.reference_log_probs, own.responses.mask
            ),
            length=evaluation.response_length(own.responses.mask),
            truncated=evaluation.truncated_share(own.responses.truncated),
            exploitability=float(game.exploitability[index]),
            nash=float(game.nash[index]),
            seconds=policy.seconds,
        )
    _report(
        folder,
        names,
        {"exact population": matrix, "learned preference model": learned_matrix},
        list(summaries.values()),
    )
    _samples(task, written, preferences, rows, settings.num_samples, folder)
    return summaries


def _cell(matrix: evaluation.Interval, row: int, column: int) -> evaluation.Interval:
    """One win rate of a matrix."""
    return evaluation.Interval(matrix.mean[row, column], matrix.half_width[row, column])


def _length_controlled(preferred, length, opponent_length):
    """The win rate at equal lengths."""
    result = evaluation.length_controlled_win_rate(preferred, length, opponent_length)
    return result.win_rate


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
