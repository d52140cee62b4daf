r"""Nash policies in integers: for games whose ties are finer than floating point sees.

A symmetric game A is one of constant sum, of value 0. With B = A + 1 > 0,

.. math:: \max \sum_y x_y, \quad B x \le 1, \quad x \ge 0

has a Nash policy at its optimum, x over its sum, and begins at x = 0. The simplex
method runs on integers alone, each division of which leaves no rest (Edmonds 1967), and
Bland's rule lets it not run in circles. It takes seconds at fifty responses.
"""

import fractions

import numpy as np

# Payoffs are taken to multiples of 2^-60, a hundred millionth of the tolerance.
_BITS = 60
# Beyond which it would take minutes.
MOST_RESPONSES = 60


def solve(game: np.ndarray) -> np.ndarray:
    """Returns a vertex of the Nash policies of an antisymmetric game.

    Args:
      game: `[Y, Y]` payoffs A = P - 1/2, float64, A = -A^T.

    Returns:
      `[Y]` policy, float64.
    """
    size, one = len(game), 1 << _BITS
    payoffs = [[one + round(float(entry) * one) for entry in row] for row in game]
    rows = np.zeros((size + 1, 2 * size + 1), object)
    rows[:size, :size] = payoffs
    rows[:size, size:-1] = np.eye(size, dtype=int)
    rows[:size, -1] = 1
    rows[size, :size] = -1
    basis, scale = np.arange(size, 2 * size), 1
    while (below := np.flatnonzero(rows[size, :-1] < 0)).size:
        column = below[0]
        row = _leaving(rows[:size], column, basis)
        pivot = rows[row, column]
        others = np.arange(size + 1) != row
        moved = rows[others] * pivot - np.outer(rows[others, column], rows[row])
        rows[others] = moved // scale
        basis[row], scale = column, pivot
    policy = np.zeros(size)
    total = rows[size, -1]
    for variable, value in zip(basis, rows[:size, -1], strict=True):
        if variable < size:
            policy[variable] = float(fractions.Fraction(value, total))
    return policy / policy.sum()


def _leaving(rows, column, basis):
    """The row of least ratio, and of equal ones that of the first variable."""
    ratios = [
        (fractions.Fraction(row[-1], row[column]), variable, number)
        for number, (row, variable) in enumerate(zip(rows, basis, strict=True))
        if row[column] > 0
    ]
    return min(ratios)[2]
