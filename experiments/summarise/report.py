"""What a comparison leaves: tables in the terminal and as files, a figure, samples."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.summarise import paper
from experiments.summarise import task as tasks
from nashalign import evaluation, terminal, training

_KEYS = "Beside a method stands the name that --methods takes."
_FILES = {"exact population": "win_rates", "learned preference model": "learned"}


def report(
    folder: pathlib.Path,
    names: Sequence[str],
    matrices: Mapping[str, evaluation.Interval],
    summaries: Mapping[str, evaluation.Summary],
    *,
    fingerprint: str,
    over: str,
    readable: bool,
) -> None:
    """Writes the matrices and the summary, and prints what can be read.

    Args:
      folder: where the files go.
      names: of the policies, M of them.
      matrices: win rates `[M, M]` by judge.
      summaries: by name.
      fingerprint: of data, votes and judges, below every table.
      over: what their intervals are over.
      readable: whether matrices are few enough policies wide to be printed and drawn;
        if not they are CSV alone, and the summary is in the order of win rates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    console = terminal.console()
    keys = {name: own.key for name, own in summaries.items() if own.key}
    caption = f"{evaluation.win_rate_caption(over, names, paper.TABLE_2)} {_KEYS}"
    for judge, matrix in matrices.items():
        stem = folder / _FILES[judge]
        with training.replacing(stem.with_suffix(".csv")) as path:
            evaluation.write_win_rate_csv(
                path, names, matrix, keys=keys, published=paper.TABLE_2
            )
        if readable:
            title = f"Win rates, judged by the {judge}"
            shown = {"keys": keys, "published": paper.TABLE_2, "caption": caption}
            console.print(
                evaluation.win_rate_table(names, matrix, title=title, **shown)
            )
            console.print(fingerprint, style="dim", markup=False)
            figure = evaluation.win_rate_figure(
                names,
                matrix,
                published=paper.TABLE_2,
                title=title,
                over="prompts and seeds",
            )
            with training.replacing(stem.with_suffix(".png")) as path:
                evaluation.save_figure(figure, path)
            text = evaluation.win_rate_markdown(
                names, matrix, keys=keys, published=paper.TABLE_2, caption=caption
            )
            training.write_text(stem.with_suffix(".md"), f"{text}\n{fingerprint}\n")
    lines = list(summaries.values())
    if not readable:
        lines.sort(key=lambda own: -own.win_rate.mean if own.win_rate else 0.0)
    caption = f"{evaluation.summary_caption(over, voter='reviewer')} {_KEYS}"
    console.print(
        evaluation.summary_table(lines, title="Test prompts", caption=caption)
    )
    if any(own.parts for own in lines):
        console.print(evaluation.parts_table(lines))
    console.print(fingerprint, style="dim", markup=False)
    with training.replacing(folder / "summary.csv") as path:
        evaluation.write_summary_csv(path, lines)
    text = evaluation.summary_markdown(lines, caption=caption)
    training.write_text(folder / "summary.md", f"{text}\n{fingerprint}\n")


def draw_ranking(
    folder: pathlib.Path,
    summaries: Mapping[str, evaluation.Summary],
    kinds: Mapping[str, str],
) -> None:
    """Draws win rate and KL, a line for each policy that has a kind."""
    drawn = [own for name, own in summaries.items() if name in kinds and own.win_rate]
    title = "Test prompts, the exact population; 95% intervals over prompts and seeds"
    figure = evaluation.ranking_figure(drawn, kinds, title=title)
    with training.replacing(folder / "ranking.png") as path:
        evaluation.save_figure(figure, path)


def samples(
    task: tasks.Task,
    written: Mapping[str, tasks.Written],
    preferences: np.ndarray,
    rows: np.ndarray,
    number: int,
    folder: pathlib.Path,
    keys: Mapping[str, str],
) -> None:
    """Writes a page of test prompts with every policy's summary.

    They are functions of this project: nobody else's text is on the page.

    Args:
      task: prompts.
      written: what each policy has written to the test prompts.
      preferences: `[num_prompts, M, M]` of the exact population.
      rows: of the test prompts.
      number: how many are shown.
      folder: where the page goes.
      keys: of the policies' methods in the table of methods, by their names.
    """
    names = tuple(written)
    texts = {name: task.texts(w.responses) for name, w in written.items()}
    start = names.index(evaluation.START)
    shown = []
    for place in task.shown("test", rows, number):
        function = task.functions[task.prompts["test"].ids[rows[place]]]
        shown.append(
            evaluation.Sample(
                prompt=function.pair.code,
                responses={name: texts[name][place][0] for name in names},
                preferred={
                    name: float(preferences[place, index, start])
                    for index, name in enumerate(names)
                    if index != start
                },
                read=task.read(function.pair.code),
                author=function.pair.summary,
                source=f"{function.cluster}: {function.pair.name}",
            )
        )
    description = (
        f"The first {len(shown)} test prompts that are functions of this project, "
        f"unselected; a prompt has {task.prompt_length} tokens at most, the code is "
        "cut on the right, while its author and the reviewers know all of it. The "
        "share is the probability that the population of reviewers prefers the summary "
        "to the start policy's."
    )
    with training.replacing(folder / "samples.html") as path:
        evaluation.write_samples_html(
            path, shown, keys=keys, description=description, response="summary"
        )
    text = evaluation.samples_markdown(
        shown, keys=keys, response="summary", language="python"
    )
    training.write_text(folder / "samples.md", text)
