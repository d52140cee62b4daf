"""The table of methods, and where settings are given to a row.

The defaults are the papers' own where a paper trained language models with them, and
every setting says where its default is from; on another preference they are a place to
start. Periods are those of the papers' outer iterations, counted in updates.
"""

from nashalign.algorithms.method import Method
from nashalign.algorithms.row import Row, near
from nashalign.algorithms.rows import (
    clipped,
    imitation,
    iterated,
    mixed,
    moving_reference,
    nash,
    offline,
    online,
    reference_free,
    rewarded,
    robust,
    self_play,
)
from nashalign.types import Numeric

_ROWS = (
    *rewarded.ROWS,
    *clipped.ROWS,
    *offline.LIKELIHOOD,
    *offline.PAIRS,
    *reference_free.ROWS,
    *moving_reference.ROWS,
    *robust.PAIRS,
    *robust.UNPAIRED,
    *imitation.ROWS,
    *online.ONLINE,
    iterated.BPO,
    *online.FROM_DATA,
    iterated.SELM,
    *online.OPTIMISTIC,
    *iterated.SCORED,
    *online.SEARCHED,
    *self_play.GRADIENTS,
    *nash.ITERATED,
    self_play.MAGNETIC,
    *nash.HISTORY,
    *mixed.ROWS,
)

TABLE: dict[str, Row] = {row.name: row for row in _ROWS}
"""Every row by its name: ours, and those that were registered."""


def register(row: Row) -> Row:
    """Puts a row of your own into the table, after a look at the shapes of its columns.

    It is listed, configured and validated as ours are.

    Returns:
      The row.

    Raises:
      TypeError: it is no row.
      ValueError: its name is taken by another one, or it does not fit together.
    """
    if not isinstance(row, Row):
        raise TypeError(f"register takes a Row, not {row!r:.60}")
    known = TABLE.get(row.name)
    if known is not None and known != row:
        raise ValueError(
            f"the name {row.name!r} is taken by {known.title} ({known.paper}); give "
            "your row another name"
        )
    row.require_shapes()
    TABLE[row.name] = row
    return row


def find(name: str) -> Row:
    """Returns the row of a name.

    Raises:
      ValueError: there is none; near matches are named.
    """
    if name not in TABLE:
        raise ValueError(f"Unknown method {name!r}.{near(name, TABLE)}")
    return TABLE[name]


def configure(row: Row | str, /, **settings: Numeric) -> Method:
    """Returns a row's method with its settings replaced and checked.

    Args:
      row: a row, or the name of one in `TABLE`.
      **settings: any of the row's own. Those that are a size, such as `num_responses`,
        change the structure of the method.

    Raises:
      ValueError: the name or a setting is unknown, or a setting is out of its range.
      TypeError: a setting is not one number.
    """
    found = row if isinstance(row, Row) else find(row)
    return found.configured(**settings)
