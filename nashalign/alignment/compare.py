"""The comparison: aligned policies and the start policy on test prompts."""

import itertools
import pathlib
import statistics
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from nashalign import evaluation
from nashalign.alignment import asking, evidence, report, results
from nashalign.alignment import task as tasks
from nashalign.alignment.contest import Contestant, Evaluation, Pages, Panel

MANY = 13
"""So many policies are compared with the start policy alone by a learned model, and
their matrix is no figure."""


def compare(
    task: tasks.Task,
    panel: Panel,
    aligned: Mapping[str, Sequence[Contestant]],
    settings: Evaluation,
    *,
    seed: int,
    folder: pathlib.Path,
    pages: Pages | None = None,
    curves: Mapping[str, Sequence[Mapping]] | None = None,
) -> dict[str, evaluation.Summary]:
    """Writes matrices, summary and samples to a folder, and prints the tables.

    Args:
      task: the start policy and the test prompts.
      panel: who judges.
      aligned: policies by name, one for each training seed; the start policy is added.
      settings: how many prompts.
      seed: of the choice of prompts and of the samples.
      folder: where the results go.
      pages: what is said of the prompts.
      curves: lines of logs by name of the policy, drawn as learning curves where the
        policies are few; none are by default.

    Returns:
      The summary of each policy, by name.
    """
    pages = pages or Pages()
    found = {
        name: alive
        for name, runs in aligned.items()
        if (alive := [own for own in runs if own.diverged is None])
    }
    found[evaluation.START] = [Contestant(params=task.start.params)]
    rows = task.rows("test", settings.num_prompts, seed)
    runs = _write(task, found, rows, seed, pages)
    tables, kinds = _judge(panel, runs, few=len(found) < MANY)
    between_runs = tables[panel.name]
    measured = results.summaries(
        runs, between_runs, learned=tables.get(results.LEARNED), kinds=kinds
    )
    lines = {
        name: evaluation.Summary(
            method=name,
            **_origin(aligned[name] if name in aligned else found[name]),
            **measured.get(name, {}),
        )
        for name in dict.fromkeys([*found, *aligned])
    }
    learns = {name: own[0].learns for name, own in aligned.items()}
    few = len(found) < MANY
    report.write(folder, panel, runs, tables, lines, few, pages=pages, learns=learns)
    if curves and len(curves) < MANY:
        report.learning_curves(curves, folder / "learning_curves.png")
    path = folder / "preferences.npz"
    evidence.save_preferences(path, task, rows, runs, tables, pages)
    evidence.save_responses(folder / "responses.jsonl", task, runs, pages)
    first = [runs.owners.index(number) for number in range(len(found))]
    report.samples(
        task,
        {name: runs.written[at] for name, at in zip(found, first, strict=True)},
        between_runs[:, first][:, :, first],
        settings.num_samples,
        folder,
        pages=pages,
        keys={name: own.key for name, own in lines.items() if own.key},
    )
    return lines


def _write(task, found, rows, seed, pages) -> results.Runs:
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
                    name=f"test responses: {name}{which}",
                )
            )
            owners.append(number)
    ids = task.prompts["test"].ids[rows]
    return results.Runs(
        names=tuple(found),
        owners=owners,
        written=written,
        clusters=task.clusters("test", rows),
        parts=None
        if pages.part is None
        else np.array([pages.part(int(index)) for index in ids]),
        known=pages.known,
    )


def _judge(
    panel: Panel, runs: results.Runs, *, few: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Preferences `[num_prompts, R, R]` by judge, and `[R, num_prompts]` by kind.

    A learned judge says of every pair of runs, where they are few, or else of each with
    the start policy's.
    """
    prompts = runs.written[0].prompts
    responses = jax.tree.map(
        lambda *parts: np.concatenate(parts, 1), *[w.responses for w in runs.written]
    )
    last = len(runs.written) - 1
    with_start = [(run, last) for run in range(last)]
    name = f"{panel.name} compares"
    found = {panel.name: asking.compare_all(panel.judge, prompts, responses, name=name)}
    if panel.learned is not None:
        pairs = itertools.combinations(range(last + 1), 2) if few else with_start
        found[results.LEARNED] = asking.compare_all(
            panel.learned,
            prompts,
            responses,
            list(pairs),
            name="learned model compares",
        )
    kinds = {
        kind: asking.compare_all(judge, prompts, responses, with_start)[..., -1].T
        for kind, judge in panel.kinds.items()
    }
    return found, kinds


def _origin(runs: Sequence[Contestant]) -> dict:
    """What the summary says about how a policy came about, from its runs."""
    policy = runs[0]
    seconds, speed, steps = (
        [value for run in runs if (value := getattr(run, name)) is not None]
        for name in ("seconds", "tokens_per_second", "optimizer_steps")
    )
    diverged = [run.diverged for run in runs if run.diverged is not None]
    own = policy.settings
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
