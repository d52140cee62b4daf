r"""Monte-Carlo tree search over partial responses.

It finds the data of step-level preference learning, Xie et al. 2024 (arXiv:2405.00451);
`pairs.py` reads the comparisons off the tree. A node is a prefix of the response, an
edge a step of tokens. With `v` the value that somebody gives to a prefix, `N` the
visits and `gamma` the discount,

.. math:: r(s) = v(s) - v(\text{parent}), \quad Q(s) = r(s) + \gamma V(s), \quad
          V(s) = \frac{\sum_c \max(1, N_c) \, Q_c}{\sum_c \max(1, N_c)},

so that at `gamma = 1` rewards telescope, and `Q` below one parent ranks the children by
the mean value of where they lead. A visit goes down by

.. math:: Q(s) + w \, p(s) \sqrt{N_{\text{parent}}} / (1 + N(s))

to a response's end or the depth limit, opens what it meets for the first time, and is
backed up once. (The published code backs up after each opening too, so that its counts
are larger.) It runs on the host and knows no model: what follows a prefix and what it
is worth are two functions. Everything is deterministic in them; ties go to the first.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

Tokens = tuple[int, ...]


class Step(NamedTuple):
    """One way to go on from a prefix.

    Attributes:
      tokens: the step's tokens, at least one.
      prior: `p`, what the policy thinks of it, > 0; see `step_prior`.
      terminal: whether the response ends with it.
    """

    tokens: Tokens
    prior: float
    terminal: bool = False


# `(prefix) -> steps`: what can follow the response's tokens so far, of which no step
# begins with another; called once for each prefix that is opened, never for one that
# has ended. No step at all is a dead end, which is asked again at each visit.
Expand = Callable[[Tokens], Sequence[Step]]
# `(prefix, terminal) -> v`: the value of a prefix on any scale, the higher the better,
# and whether the response ends there; called once for each node but the root. In the
# paper: the policy's confidence in its own step, and the outcome where it has ended.
Value = Callable[[Tokens, bool], float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A prefix of the response and what the search has found below it.

    `Node(prefix=())` is a tree before its first visit. A child is the root of a tree of
    its own, so that a search can go on from the step that was chosen.

    Attributes:
      prefix: the response's tokens from its start.
      prior: `p` of the step that leads here.
      terminal: whether the response ends here.
      value: `v`; zero at the first root, which shifts its children alike.
      reward: `r`.
      visits: `N`.
      state_value: `V`, zero until visited, and at leaves.
      action_value: `Q`.
      children: one node for each step, in the order of `expand`; none until opened.
    """

    prefix: Tokens
    prior: float = 1.0
    terminal: bool = False
    value: float = 0.0
    reward: float = 0.0
    visits: int = 0
    state_value: float = 0.0
    action_value: float = 0.0
    children: tuple["Node", ...] = ()


def tree_search(
    root: Node,
    expand: Expand,
    value: Value,
    *,
    exploration: float = 1.0,
    discount: float = 1.0,
    depth: int = 3,
    num_visits: int = 256,
) -> Node:
    """Grows a tree; the defaults are the paper's for the first step of a response.

    Args:
      root: the tree so far.
      expand: the steps that can follow a prefix.
      value: what a prefix is worth.
      exploration: `w`, the weight of the prior in the selection.
      discount: `gamma`.
      depth: steps below the root; what lies there is valued and never opened.
      num_visits: iterations; 64 in the paper, and four times as many from the start.

    Returns:
      The root of the tree after its visits.

    Raises:
      ValueError: if a step that `expand` returns begins with another.
    """

    def opened(node):
        steps = expand(node.prefix)
        _check(steps)
        return [_child(node, step, value) for step in steps]

    def bound(node, child):
        # The visit under way counts, so that the prior has a say in the first one.
        scale = math.sqrt(node.visits + 1) / (1 + child.visits)
        return child.action_value + exploration * child.prior * scale

    def visited(node, depth):
        children, state_value = list(node.children), node.state_value
        if depth and not node.terminal:
            children = children or opened(node)
        if depth and children:
            scores = [bound(node, child) for child in children]
            chosen = scores.index(max(scores))
            children[chosen] = visited(children[chosen], depth - 1)
            state_value = _mean(children)
        return dataclasses.replace(
            node,
            visits=node.visits + 1,
            state_value=state_value,
            action_value=node.reward + discount * state_value,
            children=tuple(children),
        )

    for _ in range(num_visits):
        root = visited(root, depth)
    return root


def _child(parent: Node, step: Step, value: Value) -> Node:
    """A node before its first visit."""
    prefix = parent.prefix + tuple(step.tokens)
    worth = float(value(prefix, step.terminal))
    reward = worth - parent.value
    return Node(
        prefix=prefix,
        prior=step.prior,
        terminal=step.terminal,
        value=worth,
        reward=reward,
        action_value=reward,
    )


def _mean(children: Sequence[Node]) -> float:
    """`V`: the mean of `Q` weighted by visits, of which each child has at least one."""
    weights = [max(1, child.visits) for child in children]
    values = [w * c.action_value for w, c in zip(weights, children, strict=True)]
    return math.fsum(values) / sum(weights)


def _check(steps: Sequence[Step]) -> None:
    """Refuses steps that begin with one another: neighbours where they are sorted."""
    for a, b in itertools.pairwise(sorted(tuple(step.tokens) for step in steps)):
        if b[: len(a)] == a:
            raise ValueError(f"step {b} begins with step {a}; merge them or drop one")
