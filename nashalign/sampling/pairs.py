"""Comparisons of steps, read off a search tree.

Along the path that the search has chosen, the best step against the worst one after the
same prefix. How sure a comparison is, is told by the visits: a step that the search has
left alone is the worse one more surely than one that it keeps coming back to. Xie et
al. 2024 (arXiv:2405.00451).
"""

import dataclasses
import itertools
from collections.abc import Iterator

from nashalign.sampling.search import Node, Tokens


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepPair:
    """A comparison of two steps after one prefix.

    Attributes:
      prefix: the response's tokens that both share; it carries no preference.
      better: what follows of the better step, at least one token.
      worse: of the worse one; its first token is another.
      confidence: `1 / (1 + N_worse / max(1, N_better))`, in (0, 1].
    """

    prefix: Tokens
    better: Tokens
    worse: Tokens
    confidence: float

    @property
    def label(self) -> float:
        """P(better wins) to train on, in [1/2, 1]: one minus the paper's smoothing."""
        return max(self.confidence, 0.5)


def step_pairs(root: Node) -> list[StepPair]:
    """The best against the worst step at each depth of the chosen path.

    The path goes by the number of visits, the comparison by `Q`. A depth whose steps
    are all of one `Q` says nothing and gives no pair. Beware that of two steps without
    a visit the better one is fully trusted, as in the paper.

    Args:
      root: a tree from `tree_search`.

    Returns:
      At most one pair for each depth, from the root on.
    """
    pairs = []
    for node in _path(root):
        best = max(node.children, key=_action_value)
        worst = min(node.children, key=_action_value)
        if best.action_value > worst.action_value:
            pairs.append(_pair(best, worst))
    return pairs


def _path(node: Node) -> Iterator[Node]:
    """The opened nodes of the chosen path, from the root on."""
    while node.children:
        yield node
        node = max(node.children, key=lambda child: child.visits)


def _pair(best: Node, worst: Node) -> StepPair:
    """The comparison of two siblings, from the first token in which they differ."""
    tokens = zip(best.prefix, worst.prefix, strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda ab: ab[0] == ab[1], tokens))
    return StepPair(
        prefix=best.prefix[:shared],
        better=best.prefix[shared:],
        worse=worst.prefix[shared:],
        confidence=1 / (1 + worst.visits / max(1, best.visits)),
    )


def _action_value(node: Node) -> float:
    """`Q`."""
    return node.action_value
