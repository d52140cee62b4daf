"""MCTS-DPO's rounds: step pairs by tree search, written by the policy.

After a prefix the policy draws a few continuations to the end; their first tokens are
the steps, and the rewards of the whole responses are what they are worth.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

from nashalign import data, policies, sampling, terminal
from nashalign.algorithms.method import Method
from nashalign.algorithms.rounds.round import (
    RESPONSES,
    REWARD,
    Context,
    Round,
    divide,
)
from nashalign.algorithms.rounds.writing import write
from nashalign.types import Examples, Prompts


@dataclasses.dataclass(frozen=True)
class Searched:
    """Rounds that learn from the pairs of search trees, each from prompts of its own.

    Xie et al. 2024 (arXiv:2405.00451).

    Attributes:
      number: of rounds.
      num_prompts: that are searched in a round; each gives a pair or more.
      num_continuations: responses drawn after a prefix.
      step_length: tokens of a step.
      num_visits: to a tree; the paper's trees are of 256, for answers of many
        sentences.
    """

    number: int = 3
    num_prompts: int = 160
    num_continuations: int = 4
    step_length: int = 6
    num_visits: int = 16

    @property
    def formula(self) -> str:
        """What it is, in words."""
        return f"{self.number}, each on pairs from {self.num_prompts} search trees"

    def __call__(self, method: Method, num_steps: int) -> tuple[Round, ...]:
        """Returns rounds of equal length, as far as they can be."""
        # Whole responses are scored where the paper asks the model for its confidence,
        # on the scale of the data set's rewards.
        needs = frozenset({REWARD, RESPONSES})
        return tuple(
            Round(
                method=method,
                num_steps=own,
                make=functools.partial(self.search, number),
                needs=needs,
            )
            for number, own in enumerate(divide(num_steps, self.number))
        )

    def search(
        self, number: int, context: Context, before: Examples | None
    ) -> Examples:
        """Returns the pairs of a round's trees.

        Args:
          number: of the round.
          context: whose policy writes; its `score` values whole responses.
          before: what the round before has learnt from; not read.

        Raises:
          ValueError: stop texts end responses, of which a step may end with a part.
        """
        del before
        begin, decoding = number * self.num_prompts, context.setup.decoding
        if decoding.stops is not None:
            raise ValueError(
                "a search goes on from the middle of responses, where it is not known "
                "how much of a stop text is written; leave out --text.stop."
            )
        prompts = context.draw_prompts(begin, begin + self.num_prompts)
        trees = []
        with terminal.progress_bar("search", self.num_prompts) as advance:
            for row in range(self.num_prompts):
                prompt = jax.tree.map(lambda x, row=row: x[row : row + 1], prompts)
                trees.append(self._grown(context, prompt))
                advance(1, "")
        return step_examples(
            prompts, trees, max_length=decoding.max_length, eos_id=decoding.eos_id
        )

    def _grown(self, context: Context, prompt: Prompts) -> sampling.Node:
        """The tree that grows from one prompt."""
        longest = context.setup.decoding.max_length
        expand, value = sampling.sampled_steps(
            self._continuing(context, prompt),
            step_length=self.step_length,
            max_length=longest,
        )
        return sampling.tree_search(
            sampling.Node(prefix=()),
            expand,
            value,
            depth=-(-longest // self.step_length),
            num_visits=self.num_visits,
        )

    def _continuing(
        self, context: Context, prompt: Prompts
    ) -> Callable[[tuple[int, ...]], list[sampling.Continuation]]:
        """What completes a prefix a few times, and says what comes of it."""
        decoding = context.setup.decoding
        longest, pad_id = decoding.max_length, decoding.pad_id
        policy = policies.continuing(context.setup.policy, prompt.tokens.shape[1])
        keys = jax.random.fold_in(context.state.key, context.state.step)

        def complete(prefix):
            # One width for all prefixes, one program.
            shown = policies.begin(prompt, prefix, length=longest)
            hashed = zlib.crc32(np.array(prefix, np.int32).tobytes())
            key, params = jax.random.fold_in(keys, hashed), context.state.params
            drawn, log_probs = write(
                policy, decoding, self.num_continuations, params, key, shown
            )
            tails = [
                tokens[mask][: longest - len(prefix)].tolist()
                for tokens, mask in zip(
                    np.asarray(drawn.tokens)[0], np.asarray(drawn.mask)[0], strict=True
                )
            ]
            whole = data.pad_responses(
                [[[*prefix, *tail] for tail in tails]], length=longest, pad_id=pad_id
            )
            worth = context.score(prompt, whole)[0]
            return [
                sampling.Continuation(tuple(tail), each[: len(tail)].tolist(), float(v))
                for tail, each, v in zip(
                    tails, np.asarray(log_probs)[0], worth, strict=True
                )
            ]

        return complete


def step_examples(
    prompts: Prompts,
    trees: Sequence[sampling.Node],
    *,
    max_length: int,
    eos_id: int | Sequence[int],
) -> Examples:
    """Returns the step pairs of search trees, as examples for the row `mcts_dpo`.

    Both responses of an example begin with the prefix that they share, whose
    log-ratios cancel in the margin, and end with a step; the label is by the visits.

    Args:
      prompts: `B` prompts.
      trees: the tree that `sampling.tree_search` has grown from each.
      max_length: columns of the responses.
      eos_id: the token that ends a response, or all of them.

    Returns:
      As many examples as the trees have pairs.
    """
    found = [
        (row, pair)
        for row, tree in enumerate(trees)
        for pair in sampling.step_pairs(tree)
    ]
    texts = [[pair.prefix + pair.better, pair.prefix + pair.worse] for _, pair in found]
    labels = np.array([pair.label for _, pair in found], np.float32)
    rows = np.array([row for row, _ in found], np.int32)
    preference = np.full((len(found), 2, 2), 0.5, np.float32)
    preference[:, 0, 1], preference[:, 1, 0] = labels, 1 - labels
    padding = np.atleast_1d(eos_id)[0]
    responses = data.pad_responses(texts, length=max_length, pad_id=padding)
    # The last step of a pair may be in the middle of a response.
    ended = (np.isin(responses.tokens, eos_id) & responses.mask).any(-1)
    return Examples(
        prompts=jax.tree.map(lambda x: np.asarray(x)[rows], prompts),
        responses=dataclasses.replace(responses, truncated=~ended),
        preference=preference,
    )
