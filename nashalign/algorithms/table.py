"""The table of methods, and the door at which a row's settings are checked.

The rows are in `rewarded`, `offline`, `online` and `nash`, each with the settings that
its paper leaves open. The defaults are the papers' own where a paper trained language
models with them; on another preference they are a place to start. `eta` is always the
mirror-descent step: INPO's own eta is its inverse. Periods are those of the papers'
outer iterations, counted in updates; where a paper gives none, the row says so.
"""

import dataclasses
import difflib

from nashalign.algorithms import nash, offline, online, rewarded, statistics
from nashalign.algorithms.departures import DEPARTURES
from nashalign.algorithms.method import Method
from nashalign.algorithms.settings import check

TABLE: dict[str, Method] = {
    name: dataclasses.replace(row, departures=DEPARTURES[name])
    for rows in (rewarded.ROWS, offline.ROWS, online.ROWS, nash.ROWS)
    for name, row in rows.items()
}


def configure(name: str, **settings: float) -> Method:
    """Returns a row of the table with its settings replaced and checked.

    Args:
      name: a key of `TABLE`.
      **settings: any of the row's own. `num_responses` changes the authors,
        `num_degrees` the head that tells them apart.

    Raises:
      ValueError: the name or a setting is unknown, or a setting is out of its range.
      TypeError: a setting is not one number.
    """
    if name not in TABLE:
        raise ValueError(f"Unknown method {name!r}.{_near(name, TABLE)}")
    row = TABLE[name]
    for setting in settings:
        if setting not in row.settings:
            raise ValueError(
                f"Method {name!r} has no setting {setting!r}."
                f"{_near(setting, row.settings)} It has: {', '.join(row.settings)}."
            )
    method = dataclasses.replace(row, settings=row.settings | settings)
    check(name, method)
    if "num_degrees" in settings:
        head = statistics.degree_head(int(settings["num_degrees"]))
        method = dataclasses.replace(method, heads=(("degree", head),))
    if "num_responses" in settings:
        return _with_responses(method, int(settings["num_responses"]))
    return method


def _with_responses(method, number):
    """The row with so many responses of its first author among the members."""
    first = method.authors[0]
    before = method.authors[: method.num_members].count(first)
    others = method.authors[before:]
    return dataclasses.replace(
        method,
        authors=(first,) * number + others,
        num_members=method.num_members - before + number,
    )


def _near(word, known):
    """A sentence that names what was probably meant, or all there is."""
    near = difflib.get_close_matches(str(word), known, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" Known: {', '.join(known)}."
