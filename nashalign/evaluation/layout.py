"""The order in which policies stand in every table and figure."""

from collections.abc import Sequence

START = "start"
"""Name of the start policy in tables and figures; always the last."""

METHODS = ("IPO", "IPO-MD", "DPO", "Nash-MD-PG", "SLiC", "RL")
"""The methods that come first, as in Calandriello et al. 2024 (arXiv:2403.08635)."""


def order(names: Sequence[str]) -> list[int]:
    """Places of the names in the order of tables and figures.

    Args:
      names: names of policies, in any order.

    Returns:
      List of indices into `names`: first those of `METHODS`, then others as they come,
      the start policy last.
    """

    def place(index):
        name = names[index]
        if name in METHODS:
            return METHODS.index(name)
        return len(METHODS) + (name == START)

    return sorted(range(len(names)), key=place)
