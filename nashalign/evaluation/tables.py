"""The win-rate matrix: terminal and Markdown.

Each cell holds our win rate of the row's policy over the column's with the half-width
of its 95% interval, and below it the one that a paper has published, if there is one,
with the spread that it prints. The two spreads may answer different questions (an
interval for a mean over prompts, and over seeds where there are several; the scatter of
single seeds) and are not to be compared.
"""

import re
from collections.abc import Mapping, Sequence

import chex
import numpy as np
import rich.box
import rich.table
import rich.text

from nashalign import terminal
from nashalign.evaluation import layout
from nashalign.evaluation.intervals import Interval
from nashalign.evaluation.published import Published

_NO_KEYS: Mapping[str, str] = {}


def win_rate_caption(
    over: str = "prompts",
    names: Sequence[str] = (),
    published: Published | None = None,
) -> str:
    """What is to be said below the matrix.

    Args:
      over: what its intervals are over.
      names: names of its policies.
      published: what stands below our numbers, if anything does.

    Returns:
      A few sentences.
    """
    ours = f"± half of the 95% interval over {over}."
    if published is None or not published.compared(names):
        return f"Preference for the row's policy over the column's, {ours}"
    return (
        f"Preference for the row's policy over the column's. Upper line: ours {ours} "
        f"Lower line: {published.source} {published.note}"
    )


def share(mean: float, spread: float | None = None) -> str:
    """Write a share as papers do: three decimals, no leading zero.

    Args:
      mean: the share.
      spread: half-width or standard deviation; zero, None and NaN are left out.

    Returns:
      Text such as `.515` or `.515±.024`.
    """
    text = f"{mean:.3f}".replace("0.", ".", 1) if abs(mean) < 1 else f"{mean:.3f}"
    return f"{text}±{share(spread)}" if spread and spread > 0 else text


def win_rate_table(
    names: Sequence[str],
    win_rates: Interval[np.ndarray],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    published: Published | None = None,
    title: str = "Win rates",
    caption: str | None = None,
) -> rich.table.Table:
    """The matrix for the terminal; 80 columns hold six methods and the start policy.

    Ours is green where the whole interval is above one half, red where it is below.

    Args:
      names: names of the M policies, in any order; laid out in `order`'s.
      win_rates: `Interval` of `[M, M]`, from `win_rate_matrix`.
      keys: what a command line calls a policy, by its name; some may have none.
      published: what stands below our numbers, if anything does.
      title: what was asked: which annotator, which prompts.
      caption: text below the table; `win_rate_caption`'s where it is left out.

    Returns:
      `rich.table.Table`.
    """
    places = lay_out(names, win_rates)
    if caption is None:
        caption = win_rate_caption(names=names, published=published)
    table = rich.table.Table(
        title=title,
        caption=caption,
        box=rich.box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        min_width=60,  # of the caption below a small table
    )
    table.add_column("", no_wrap=True)
    for j in places:
        # A head wider than its numbers would push the table beyond 80 columns.
        head = names[j].replace("-", "-\n", 1) if len(names[j]) > 9 else names[j]
        table.add_column(head, justify="right", no_wrap=True)
    for i in places:
        label = rich.text.Text(names[i], "bold")
        label.append(_below(names, i, keys, published), "dim not bold")
        cells = (_terminal_cell(names, win_rates, i, j, published) for j in places)
        table.add_row(label, *cells)
    return table


def _theirs(names, i, j, published):
    """The published win rate of one policy over another; None where there is none."""
    if published is None or not published.compared(names):
        return None
    return published.win_rate(names[i], names[j])


def _below(names, i, keys, published):
    """The second line of a policy's label: its key, or whose the numbers are."""
    key = keys.get(names[i])
    if key is None:
        theirs = published.compared(names) if published else ()
        return "\n  paper" if names[i] in theirs else ""
    # A label wider than the longest of the methods' names would not fit either.
    return "\n" + (key.replace("_", "_\n", 1) if len(key) > 10 else key)


def _terminal_cell(names, win_rates, i, j, published):
    """Ours, coloured by its verdict, and below it the published number."""
    ours = Interval(win_rates.mean[i, j], win_rates.half_width[i, j])
    colour = {1: "green", 0: "", -1: "red"}[verdict(ours)]
    cell = rich.text.Text(share(ours.mean, ours.half_width), colour)
    theirs = _theirs(names, i, j, published)
    return cell.append("\n" + share(*theirs), "dim") if theirs else cell


def verdict(win_rate: Interval[float]) -> int:
    """Which side of one half the whole interval lies on.

    Args:
      win_rate: `Interval` of one win rate.

    Returns:
      1 above, -1 below, 0 where the interval holds one half.
    """
    distance = win_rate.mean - 0.5
    return int(np.sign(distance)) if abs(distance) > win_rate.half_width else 0


def win_rate_markdown(
    names: Sequence[str],
    win_rates: Interval[np.ndarray],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    published: Published | None = None,
    caption: str | None = None,
) -> str:
    """The matrix as a Markdown table; bold where the whole interval is above one half.

    Args:
      names: names of the M policies, in any order; laid out in `order`'s.
      win_rates: `Interval` of `[M, M]`, from `win_rate_matrix`.
      keys: as for `win_rate_table`.
      published: as for `win_rate_table`.
      caption: paragraph below the table; `win_rate_caption`'s where it is left out.

    Returns:
      Markdown text.
    """
    places = lay_out(names, win_rates)
    if caption is None:
        caption = win_rate_caption(names=names, published=published)
    shown = [markdown_text(name) for name in names]
    rows = [
        [
            f"**{shown[i]}**{markdown_key(keys.get(names[i]))}",
            *(_markdown_cell(names, win_rates, i, j, published) for j in places),
        ]
        for i in places
    ]
    return markdown_table(["", *(shown[j] for j in places)], rows) + f"\n{caption}\n"


def _markdown_cell(names, win_rates, i, j, published):
    """Ours, and the published number in italics on a line of its own."""
    ours = Interval(win_rates.mean[i, j], win_rates.half_width[i, j])
    mark = "**" if verdict(ours) > 0 else ""
    theirs = _theirs(names, i, j, published)
    text = f"{mark}{share(ours.mean, ours.half_width)}{mark}"
    return text + (f"<br>*{share(*theirs)}*" if theirs else "")


def markdown_text(text: str) -> str:
    """Any text as one line that Markdown shows as it is.

    Args:
      text: may hold Markdown, HTML, line ends and control characters, which are shown
        as escapes.

    Returns:
      The text in one line, in which nothing is markup.
    """
    shown = terminal.visible(" ".join(text.split()))
    return re.sub(r"([\\`*_|<>\[\]~])", r"\\\1", shown)


def markdown_key(key: str | None) -> str:
    """What stands behind a policy's name in Markdown: its key in brackets, if any.

    Args:
      key: what a command line calls the policy.

    Returns:
      Text such as ` (`ipo_md`)`, or none.
    """
    return f" (`{key}`)" if key else ""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers.

    Args:
      header: texts of the columns' heads.
      rows: lists of texts, as long as the header.

    Returns:
      Markdown text, a line a row.
    """
    rule = [":--", *["--:"] * (len(header) - 1)]
    lines = ["| " + " | ".join(row) + " |\n" for row in (header, rule, *rows)]
    return "".join(lines)


def lay_out(names: Sequence[str], win_rates: Interval[np.ndarray]) -> list[int]:
    """The order of rows and columns, after a check that each policy has a name.

    Args:
      names: names of the M policies.
      win_rates: `Interval` of `[M, M]`.

    Returns:
      List of indices into `names`.

    Raises:
      AssertionError: there are other numbers of names and policies.
    """
    chex.assert_shape([win_rates.mean, win_rates.half_width], (len(names), len(names)))
    return layout.order(names)
