"""What a comparison leaves: tables in the terminal and as files, figures, samples."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from nashalign import evaluation, terminal, training, writing
from nashalign.alignment import results
from nashalign.alignment import task as tasks
from nashalign.alignment.contest import Pages, Panel

_NO_KEYS: Mapping[str, str] = {}
_KEYS = "Beside a method stands its name in the table of methods."


def write(
    folder: pathlib.Path,
    panel: Panel,
    runs: results.Runs,
    tables: Mapping[str, np.ndarray],
    summaries: Mapping[str, evaluation.Summary],
    few: bool,
    *,
    pages: Pages,
    learns: Mapping[str, str],
) -> None:
    """Writes matrices, summary and figures, and prints what can be read.

    Of many policies the matrix is CSV alone, the summary is in the order of win rates,
    and a ranking is drawn.

    Args:
      folder: where the files go.
      panel: who has judged.
      runs: what was written.
      tables: preferences `[num_prompts, R, R]` by judge.
      summaries: by name of the policy.
      few: whether the policies are few enough for a matrix to be read.
      pages: what stands below the tables.
      learns: what each policy learns from, by its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = {name: own.key for name, own in summaries.items() if own.key}
    over = results.describe(runs)
    if panel.learned is not None:
        over = f"{over} (the judges were fitted once)"
    matrices = {panel.name: (runs.matrix(tables[panel.name], runs.known), "win_rates")}
    if results.LEARNED in tables and few:
        matrices[results.LEARNED] = runs.matrix(tables[results.LEARNED]), "learned"
    for judge, (matrix, stem) in matrices.items():
        write_matrix(
            folder / stem,
            judge,
            matrix,
            runs.names,
            over,
            pages,
            keys=keys,
            readable=few,
        )
    lines = list(summaries.values())
    if not few:
        lines.sort(key=lambda own: -own.win_rate.mean if own.win_rate else 0.0)
    caption = evaluation.summary_caption(
        over,
        judge=panel.name,
        voter=pages.voter if panel.kinds else "",
        learned="learned preference model" if panel.learned is not None else "",
    )
    write_summary(folder, lines, caption, pages)
    if not few:
        _draw_ranking(folder, panel.name, summaries, learns)


def write_matrix(
    stem: pathlib.Path,
    judge: str,
    matrix: evaluation.Interval,
    names: Sequence[str],
    over: str,
    pages: Pages,
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    readable: bool = True,
    drawn_over: str = "prompts and seeds",
) -> None:
    """Writes a judge's win rates as CSV, and as table and figure; prints the table.

    Args:
      stem: of the files' names, with their folder.
      judge: who has judged, in words.
      matrix: the win rates.
      names: of the policies.
      over: what the intervals are over.
      pages: what stands below the table, and what others have published.
      keys: of the policies' methods, by their names.
      readable: whether the policies are few enough for more than CSV.
      drawn_over: `over`, in the few words that a figure has room for.
    """
    with writing.replacing(stem.with_suffix(".csv")) as path:
        evaluation.write_win_rate_csv(
            path, names, matrix, keys=keys, published=pages.published
        )
    if not readable:
        return
    console = terminal.console()
    caption = _captioned(
        evaluation.win_rate_caption(over, names, pages.published), keys
    )
    title = f"Win rates, judged by the {judge}"
    shown = {"keys": keys, "published": pages.published, "caption": caption}
    console.print(evaluation.win_rate_table(names, matrix, title=title, **shown))
    _print_fingerprint(pages)
    figure = evaluation.win_rate_figure(
        names,
        matrix,
        published=pages.published,
        title=title,
        over=drawn_over,
    )
    with writing.replacing(stem.with_suffix(".png")) as path:
        evaluation.save_figure(figure, path)
    text = evaluation.win_rate_markdown(names, matrix, **shown)
    training.write_text(stem.with_suffix(".md"), f"{text}\n{pages.fingerprint}\n")


def write_summary(
    folder: pathlib.Path,
    lines: Sequence[evaluation.Summary],
    caption: str,
    pages: Pages,
) -> None:
    """Writes the summary as CSV and as Markdown, and prints it.

    Args:
      folder: where the files go.
      lines: of the policies.
      caption: below the table.
      pages: what stands below that.
    """
    console = terminal.console()
    keys = {own.method: own.key for own in lines if own.key}
    caption = _captioned(caption, keys)
    console.print(
        evaluation.summary_table(lines, title="Test prompts", caption=caption)
    )
    if any(own.parts for own in lines):
        console.print(evaluation.parts_table(lines))
    _print_fingerprint(pages)
    with writing.replacing(folder / "summary.csv") as path:
        evaluation.write_summary_csv(path, lines)
    text = evaluation.summary_markdown(lines, caption=caption)
    training.write_text(folder / "summary.md", f"{text}\n{pages.fingerprint}\n")


def _captioned(caption: str, keys: Mapping[str, str]) -> str:
    """A caption that explains the names beside the methods, where there are some."""
    return f"{caption} {_KEYS}" if keys else caption


def _print_fingerprint(pages: Pages) -> None:
    """What the numbers stand on, below a table."""
    if pages.fingerprint:
        terminal.console().print(pages.fingerprint, style="dim", markup=False)


def _draw_ranking(
    folder: pathlib.Path,
    judge: str,
    summaries: Mapping[str, evaluation.Summary],
    learns: Mapping[str, str],
) -> None:
    """Draws win rate and KL, a line for each policy that has been trained."""
    drawn = [own for name, own in summaries.items() if name in learns and own.win_rate]
    title = f"Test prompts, the {judge}; 95% intervals over prompts and seeds"
    figure = evaluation.ranking_figure(drawn, learns, title=title)
    with writing.replacing(folder / "ranking.png") as path:
        evaluation.save_figure(figure, path)


def samples(
    task: tasks.Task,
    written: Mapping[str, tasks.Written],
    preferences: np.ndarray,
    number: int,
    folder: pathlib.Path,
    *,
    pages: Pages,
    keys: Mapping[str, str],
) -> None:
    """Writes a page of the first test prompts with every policy's response.

    Args:
      task: shows prompts.
      written: what each policy has written to the test prompts.
      preferences: `[num_prompts, M, M]` of the first judge.
      number: how many are shown.
      folder: where the page goes.
      pages: which prompts are shown, and how.
      keys: of the policies' methods in the table of methods, by their names.
    """
    names = tuple(written)
    texts = {name: task.texts(w.responses) for name, w in written.items()}
    start = names.index(evaluation.START)
    ids = next(iter(written.values())).prompts.ids
    shown = []
    for place, index in enumerate(ids):
        fields = (pages.sample or _sample_of(task))(int(index))
        if fields is None or len(shown) == number:
            continue
        shown.append(
            evaluation.Sample(
                responses={name: texts[name][place][0] for name in names},
                preferred={
                    name: float(preferences[place, at, start])
                    for at, name in enumerate(names)
                    if at != start
                },
                **fields,
            )
        )
    description = pages.description or (
        f"The first {len(shown)} test prompts, unselected. The share is the "
        "probability that the judge prefers the response to the start policy's."
    )
    write_samples(folder, shown, description, pages, keys=keys)


def write_samples(
    folder: pathlib.Path,
    shown: Sequence[evaluation.Sample],
    description: str,
    pages: Pages,
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    opponent: str = evaluation.START,
) -> None:
    """Writes samples as a page and as Markdown.

    Args:
      folder: where the files go.
      shown: the samples.
      description: what stands above them.
      pages: what a response is called, and the language of the prompts.
      keys: of the policies' methods, by their names.
      opponent: whom the shares are against.
    """
    called = {"keys": keys, "response": pages.response, "opponent": opponent}
    with writing.replacing(folder / "samples.html") as path:
        evaluation.write_samples_html(path, shown, description=description, **called)
    text = evaluation.samples_markdown(shown, language=pages.language, **called)
    training.write_text(folder / "samples.md", text)


def _sample_of(task: tasks.Task):
    """How a task's example is shown where nothing else is said."""

    def fields(index):
        prompt, *others = task.show(index).items()
        source = "; ".join(f"{name}: {text}" for name, text in others)
        return {"prompt": prompt[1], "source": source}

    return fields


def learning_curves(
    curves: Mapping[str, Sequence[Mapping]], path: pathlib.Path
) -> None:
    """Draws how training went.

    Args:
      curves: lines of logs by name of the policy.
      path: of the figure.
    """
    figure = evaluation.learning_curves_figure(
        curves,
        {
            "win_rate": "win rate over the start policy",
            "kl": "KL to the start policy (nats)",
            "length": "tokens of a response",
        },
    )
    with writing.replacing(path) as temporary:
        evaluation.save_figure(figure, temporary)
