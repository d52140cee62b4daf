"""Self-rewarding's rounds: the policy writes, and judges what it has written by a text.

Before a round the policy is asked in words what a response is worth. Its answer is one
of a few tokens, whose probabilities are known: draws of it are draws of what it says.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import preferences, terminal
from nashalign.algorithms.method import Method
from nashalign.algorithms.rounds.round import TEXTS, Context, Round, divide
from nashalign.algorithms.rounds.writing import write
from nashalign.algorithms.state import step_keys
from nashalign.types import Array, Examples, Prompts, Responses

# Prompts that are written to, and whose responses are asked about, at once.
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class JudgedByItself:
    """Stages of DPO on pairs that the policy writes and judges before each of them.

    The policy that a stage begins with, the iterate, writes `num_responses` responses
    to each of `num_prompts` prompts of the task, other ones in each of `num_rounds`
    rounds as far as there are others. It is asked about each of them; a response's
    score is the mean of `num_draws` draws of the answer (`drawn_scores`), and the best
    is set against the worst (`best_against_worst`). The iterate is also what the stage
    is held to. Yuan et al. 2024 (arXiv:2401.10020).

    Attributes:
      template: how the policy is asked: a template of rewards, by its name, or a file.
    """

    template: str = "additive"

    @property
    def formula(self) -> str:
        """What it is, in words."""
        return "stages, each on responses that the policy writes and scores itself"

    def __call__(self, method: Method, num_steps: int) -> tuple[Round, ...]:
        """Returns stages of equal length, as far as they can be.

        Raises:
          ValueError: there is no such template, or it compares two responses.
        """
        settings = method.settings
        question = preferences.llm.load_template(self.template)
        if question.compares:
            raise ValueError(
                f"the template {question.name} compares two responses; a policy that "
                "judges itself scores one: give a template with {response}."
            )
        pairs = _OwnPairs(
            question=question,
            num_prompts=int(settings["num_prompts"]),
            num_responses=int(settings["num_responses"]),
            num_draws=int(settings["num_draws"]),
        )
        lengths = divide(num_steps, int(settings["num_rounds"]))
        return tuple(
            Round(
                method=method,
                num_steps=own,
                make=dataclasses.replace(pairs, number=number),
                begins_stage=True,
                question=question,
                needs=frozenset({TEXTS}),
            )
            for number, own in enumerate(lengths)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OwnPairs:
    """The pairs of a round, of responses that the policy writes and scores."""

    question: preferences.llm.Template
    num_prompts: int
    num_responses: int
    num_draws: int
    number: int = 0

    def __call__(self, context: Context, before: Examples | None) -> Examples:
        del before
        begin = self.number * self.num_prompts
        prompts = context.draw_prompts(begin, begin + self.num_prompts)
        # Of few prompts some are drawn twice, and would be answered with the same.
        places = np.sort(np.unique(prompts.ids, return_index=True)[1])
        key_writing, key_judging = step_keys(context.state)
        parts = []
        with terminal.progress_bar("the policy judges itself", len(places)) as advance:
            for first in range(0, len(places), _BATCH):
                rows = places[first : first + _BATCH]
                part = jax.tree.map(lambda x, rows=rows: np.asarray(x)[rows], prompts)
                responses = self._written(context, key_writing, part)
                shares = context.answer(self.question, part, responses)
                parts.append((part, responses, shares))
                advance(len(rows), "")
        prompts, responses, shares = jax.tree.map(lambda *x: np.concatenate(x), *parts)
        values = np.array(self.question.values)
        scores = drawn_scores(key_judging, shares, values, self.num_draws)
        return best_against_worst(prompts, responses, scores)

    def _written(self, context, key, prompts) -> Responses:
        """The policy's responses to some prompts, on the host."""
        setup, params = context.setup, context.state.params
        found = write(
            setup.policy, setup.decoding, self.num_responses, params, key, prompts
        )
        return jax.device_get(found[0])


def drawn_scores(
    key: chex.PRNGKey, shares: Array, values: Array, num_draws: int
) -> np.ndarray:
    """Returns the mean value of answers that are drawn, `[*B]`.

    Its mean over keys is the expected value of an answer; it is coarser than that, so
    that scores of responses which are nearly as good are sometimes equal.

    Args:
      key: of the draws; consumed.
      shares: `[*B, A]` probabilities of the answers.
      values: `[A]`, what each of them is worth.
      num_draws: of the answer to each question, at least 1.
    """
    shape = (num_draws, *np.shape(shares)[:-1])
    drawn = jax.random.categorical(key, jnp.log(shares), shape=shape)
    return np.asarray(values)[np.asarray(drawn)].mean(0)


def best_against_worst(
    prompts: Prompts, responses: Responses, scores: np.ndarray
) -> Examples:
    """Returns each prompt's best response against its worst, as pairs with scores.

    Among equals the first is taken. A prompt whose responses all have one score has no
    pair, and is left out.

    Args:
      prompts: `B` prompts.
      responses: `[B, N, T]`.
      scores: `[B, N]`.

    Returns:
      At most `B` pairs, of which the first has won.
    """
    kept = scores.max(-1) > scores.min(-1)
    chosen = np.stack([scores.argmax(-1), scores.argmin(-1)], -1)[kept]
    rows = np.flatnonzero(kept)[:, None]
    won = np.array([[0.5, 1.0], [0.0, 0.5]], np.float32)
    return Examples(
        prompts=jax.tree.map(lambda x: np.asarray(x)[kept], prompts),
        responses=jax.tree.map(lambda x: np.asarray(x)[rows, chosen], responses),
        preference=np.tile(won, (len(rows), 1, 1)),
        rewards=scores[rows, chosen].astype(np.float32),
    )
