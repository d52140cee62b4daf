"""The comparison: every aligned policy and the start policy on test prompts."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.summarise import evidence, examples, report
from experiments.summarise import task as tasks
from experiments.summarise.config import Evaluation
from experiments.summarise.settings import Settings
from nashalign import algorithms, evaluation, training

_PAIR_BATCH = 16

MANY = 13
"""So many policies are compared with the start policy alone by the learned model, and
their matrix is no figure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligned:
    """A policy and how it came about.

    Attributes:
      params: its parameters; None where training has diverged.
      settings: of its method; None for the start policy.
      method: the row of the table with them; None for the start policy.
      suffix: what it is shown after a prompt.
      seconds: its training time; None for the start policy.
      tokens_per_second: of responses in training; None for the start policy.
      diverged: the update at which its training was given up.
    """

    params: Any = None
    settings: Settings | None = None
    method: algorithms.Method | None = None
    suffix: Sequence[int] = ()
    seconds: float | None = None
    tokens_per_second: float | None = None
    diverged: int | None = None


def compare(
    task: tasks.Task,
    preference_model: Any,
    aligned: Mapping[str, Aligned],
    settings: Evaluation,
    seed: int,
    folder: pathlib.Path,
    fingerprint: str,
) -> dict[str, evaluation.Summary]:
    """Writes matrices, summary and samples to a folder, and prints the tables.

    Args:
      task: prompts and reviewers.
      preference_model: the learned judge.
      aligned: policies by their names in the paper's table; the start policy is added.
      settings: how many prompts.
      seed: of the choice of prompts and of the samples.
      folder: where the results go.
      fingerprint: of data, votes and judges.

    Returns:
      The summary of each policy.
    """
    found = {name: own for name, own in aligned.items() if own.diverged is None}
    found[evaluation.paper.START] = Aligned(params=task.start.params)
    rows = task.rows("test", settings.num_prompts, seed)
    written = {
        name: task.write(
            policy.params,
            "test",
            rows,
            tasks.stage_key(seed, 40 + number),
            suffix=policy.suffix,
            name=f"test summaries: {name}",
        )
        for number, (name, policy) in enumerate(found.items())
    }
    utilities = [task.utilities(own)[..., 0] for own in written.values()]
    population = task.annotator.population

    def exact(i, j):
        return population.prefer(utilities[i], utilities[j])

    preferences = evaluation.preference_table(exact, len(found))
    few = len(found) < MANY
    learned = _learned(preference_model, list(written.values()), all_pairs=few)
    summaries = _summaries(population, found, written, utilities, preferences, learned)
    for name, own in aligned.items():
        if own.diverged is not None:
            summaries[name] = evaluation.Summary(method=name, **_origin(own))
    matrices = {"exact population": preferences}
    if few:
        matrices["learned preference model"] = evaluation.preference_table(
            lambda i, j: learned[i, j], len(found)
        )
    report.report(
        folder,
        tuple(found),
        matrices,
        summaries,
        fingerprint=fingerprint,
        readable=few,
    )
    evidence.save_preferences(
        folder / "preferences.npz",
        task,
        rows,
        tuple(found),
        {"exact": preferences, "learned": evidence.table(learned, len(found))},
    )
    if not few:
        learns = {name: examples.kind(own.method) for name, own in aligned.items()}
        report.draw_ranking(folder, summaries, learns)
    report.samples(task, written, preferences, rows, settings.num_samples, folder)
    return summaries


def _summaries(
    population, found, written, utilities, preferences, learned
) -> dict[str, evaluation.Summary]:
    """The summary of each policy that there is; the start policy is the last."""
    game = evaluation.empirical_game(evaluation.win_rate_matrix(preferences).mean)
    last, start = len(found) - 1, written[evaluation.paper.START]
    tie = np.full(len(preferences), 0.5)
    return {
        name: evaluation.Summary(
            method=name,
            **_origin(policy),
            **_writing(written[name]),
            win_rate=evaluation.mean_interval(preferences[:, index, last]),
            length_controlled=_length_controlled(
                preferences[:, index, last], written[name], start
            ),
            learned_win_rate=evaluation.mean_interval(learned.get((index, last), tie)),
            reviewers=_by_kind(population, utilities[index], utilities[last]),
            exploitability=float(game.exploitability[index]),
            nash=float(game.nash[index]),
        )
        for index, (name, policy) in enumerate(found.items())
    }


def _origin(policy: Aligned) -> dict:
    """What the summary says about how a policy came about."""
    own = policy.settings.own if policy.settings else {}
    return {
        "tau": own.get("tau"),
        "mix": own.get("mix"),
        "settings": {n: v for n, v in own.items() if n not in ("tau", "mix")},
        "seconds": policy.seconds,
        "tokens_per_second": policy.tokens_per_second,
        "diverged": policy.diverged,
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

    answers = []
    with training.progress_bar("learned model compares", num_prompts) as advance:
        for part in tasks.chunks(np.arange(num_prompts), _PAIR_BATCH):
            at = jax.tree.map(lambda x, part=part: x[part], (prompts, responses))
            answers.append(np.asarray(prefer(model, *at)))
            advance(len(set(part)), "")
    answers = np.concatenate(answers)[:num_prompts].T
    return dict(zip(pairs, answers, strict=True))
