"""The win-rate matrix as a CSV file at full precision, and back."""

import csv
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from nashalign.evaluation import tables
from nashalign.evaluation.intervals import Interval
from nashalign.evaluation.published import Published

_NO_KEYS: Mapping[str, str] = {}
_PARTS = ("", " half-width", " paper", " paper std")


def write_win_rate_csv(
    path: str | pathlib.Path,
    names: Sequence[str],
    win_rates: Interval[np.ndarray],
    *,
    keys: Mapping[str, str] = _NO_KEYS,
    published: Published | None = None,
) -> None:
    """Write the matrix to a CSV file at full precision.

    A line a policy; for each opponent its win rate, half-width, and a paper's number
    with its standard deviation (empty where there is none).

    Args:
      path: file to write.
      names: names of the M policies, in any order; laid out in `order`'s.
      win_rates: `Interval` of `[M, M]`, from `win_rate_matrix`.
      keys: as for `win_rate_table`; without any there is no column of them.
      published: as for `win_rate_table`.
    """
    places = tables.lay_out(names, win_rates)
    with pathlib.Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        head = ["policy", "key"] if keys else ["policy"]
        writer.writerow([*head, *(names[j] + part for j in places for part in _PARTS)])
        for i in places:
            cells = [names[i], keys.get(names[i], "")][: len(head)]
            for j in places:
                ours = (win_rates.mean[i, j], win_rates.half_width[i, j])
                theirs = published and published.win_rate(names[i], names[j])
                theirs = theirs or ("", "")
                cells += [*map(float, ours), *("" if t != t else t for t in theirs)]
            writer.writerow(cells)


def read_win_rate_csv(
    path: str | pathlib.Path,
) -> tuple[list[str], Interval[np.ndarray]]:
    """Read what `write_win_rate_csv` wrote.

    Args:
      path: the CSV file.

    Returns:
      names: list of the policies' names, in the file's order.
      win_rates: `Interval` of `[M, M]` means and half-widths, bit for bit as written.

    Raises:
      ValueError: if the file holds something else; names the file.
      OSError: if it cannot be read.
    """
    try:
        with pathlib.Path(path).open(encoding="utf-8", newline="") as file:
            head, *lines = [*csv.reader(file, strict=True)] or [[]]
        rows = [dict(zip(head, line, strict=True)) for line in lines]
        names = [row["policy"] for row in rows]
        columns = [name + part for name in names for part in _PARTS]
        if [name for name in head if name not in ("policy", "key")] != columns:
            raise ValueError("a policy has a row or columns, not both")
        mean, half_width = (
            np.array([[float(row[name + part]) for name in names] for row in rows])
            for part in _PARTS[:2]
        )
        if not names or len(set(names)) < len(names):
            raise ValueError("its policies are none, or one twice")
        if not ((mean >= 0) & (mean <= 1)).all() or (half_width < 0).any():
            raise ValueError("a win rate is not in [0, 1], or a half-width negative")
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path} is no table of win rates ({error}): it must be what "
            "`write_win_rate_csv` has written"
        ) from error
    return names, Interval(mean, half_width)
