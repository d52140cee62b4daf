"""One judge that does as it is told: trained on votes behind all instructions."""

import dataclasses
import pathlib
from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from experiments import docstrings
from experiments.oaif.instructions import INSTRUCTIONS, Instruction
from nashalign import alignment, data, evaluation, preferences
from nashalign.types import Array, Prompts, Responses, pytree

_PAIRS = tuple(pair for pairing in alignment.votes.PAIRINGS[:2] for pair in pairing)
_STAGE = 70


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """A judge that is told something about every prompt.

    Attributes:
      judge: reads prompts and responses.
      tokens: `[S]` what it is told, behind the prompt.
    """

    judge: preferences.PairwiseModel
    tokens: jax.Array

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> Array:
        """P(y beats z), `[B, M]`; see `PairwiseModel.prefer`."""
        return self.judge.prefer(key, self._told(prompts), y, z)

    def prefer_pairs(
        self,
        key: chex.PRNGKey,
        prompts: Prompts,
        responses: Responses,
        pairs: preferences.Pairs,
    ) -> Array:
        """P(y beats z) of pairs `[B, P]`; see `PairwiseModel.prefer_pairs`."""
        return self.judge.prefer_pairs(key, self._told(prompts), responses, pairs)

    def _told(self, prompts: Prompts) -> Prompts:
        """The prompts, which are padded on the left, and what it is told."""
        shape = (len(prompts.tokens), len(self.tokens))
        more = jnp.broadcast_to(self.tokens, shape)
        return dataclasses.replace(
            prompts,
            tokens=jnp.concatenate([prompts.tokens, more], 1),
            mask=jnp.concatenate([prompts.mask, jnp.ones(shape, bool)], 1),
        )


def told(tokenizer: data.Tokenizer, instruction: Instruction) -> list[int]:
    """Returns an instruction's tokens: a docstring, and how the next one begins.

    So is whatever the start policy is to be conditioned on: it has read docstrings.
    """
    text = f'{instruction.text}"""{docstrings.SUFFIX}'
    return tokenizer.continuations([text])[0]


def train(
    loaded: docstrings.Docstrings,
    num_prompts: int,
    settings: alignment.Fitting,
    seed: int,
    folder: pathlib.Path,
) -> dict[str, Told]:
    """Returns the judge as each instruction makes it, by the instruction's name.

    It is trained on the start policy's summaries, four a prompt, and on verdicts by the
    letter of each instruction, all instructions mixed. An instruction's prompts are
    those of which it decides a pair, and each has as many as the one that decides the
    fewest: most summaries name no argument, and those would teach it to shrug.

    Args:
      loaded: the task.
      num_prompts: training prompts that summaries are written to.
      settings: of its training.
      seed: of every draw.
      folder: where summaries and the run are kept.
    """
    task = loaded.task
    found = collect(loaded, "train", num_prompts, seed, folder)
    longest = max(len(told(task.tokenizer, own)) for own in INSTRUCTIONS)
    decided = [_decided(_letter(loaded, found, own)) for own in INSTRUCTIONS]
    fewest = min(map(len, decided))
    parts = [
        _voted(loaded, jax.tree.map(lambda x, r=rows: x[r], found), own, longest)
        for own, rows in zip(INSTRUCTIONS, (r[:fewest] for r in decided), strict=True)
    ]
    judge = alignment.fit_judge(
        task.start,
        "preference",
        jax.tree.map(lambda *own: np.concatenate(own), *parts),
        _PAIRS,
        settings,
        eos_id=task.tokenizer.closing_id,
        key=alignment.stage_key(seed, _STAGE),
        folder=folder / "judge",
        seed=seed,
        name="judge",
    )
    assert isinstance(judge, preferences.PairwiseModel)
    return {
        own.name: Told(judge=judge, tokens=jnp.array(told(task.tokenizer, own)))
        for own in INSTRUCTIONS
    }


def collect(
    loaded: docstrings.Docstrings,
    split: str,
    num_prompts: int,
    seed: int,
    folder: pathlib.Path,
) -> alignment.votes.Votes:
    """Samples the start policy's summaries, or reads them; the votes mean nothing."""
    stage = {"train": 1, "validation": 2}[split]
    ballot = alignment.votes.Ballot(
        split=split,
        num_prompts=num_prompts,
        num_voters=1,
        stage=stage,
        file=f"{split}.npz",
    )
    return alignment.votes.collect(loaded.task, loaded.voters, ballot, seed, folder)


def measure(
    loaded: docstrings.Docstrings,
    judges: dict[str, Told],
    num_prompts: int,
    seed: int,
    folder: pathlib.Path,
) -> dict[str, evaluation.Calibration]:
    """Returns how often the judge does as it is told, on summaries it has not seen.

    Summaries that tie by the letter are left out: either verdict is as good.

    Args:
      loaded: the task.
      judges: as each instruction makes it.
      num_prompts: validation prompts.
      seed: of the draws.
      folder: where the summaries are kept.
    """
    found = collect(loaded, "validation", num_prompts, seed, folder)
    clusters = [loaded.functions[index].cluster for index in found.prompts.ids]
    first, second = np.triu_indices(alignment.votes.NUM_RESPONSES, 1)
    measured = {}
    for own in INSTRUCTIONS:
        wanted = _letter(loaded, found, own)[:, first, second]
        said = alignment.asking.compare_all(
            judges[own.name], found.prompts, found.responses
        )
        decided = wanted != 0.5
        names = np.repeat(np.array(clusters)[:, None], wanted.shape[1], 1)
        measured[own.name] = evaluation.measure_calibration(
            said[:, first, second][decided], wanted[decided], clusters=names[decided]
        )
    return measured


def _voted(
    loaded: docstrings.Docstrings,
    found: alignment.votes.Votes,
    own: Instruction,
    longest: int,
) -> alignment.votes.Votes:
    """Summaries with the verdicts of an instruction, which is behind the prompts."""
    task, tokens = loaded.task, told(loaded.task.tokenizer, own)
    verdicts = _letter(loaded, found, own).astype(np.float32)
    rows = [
        [*map(int, row[mask]), *tokens]
        for row, mask in zip(found.prompts.tokens, found.prompts.mask, strict=True)
    ]
    prompts = data.pad_prompts(
        rows,
        np.asarray(found.prompts.ids),
        length=task.prompt_length + longest,
        pad_id=task.tokenizer.pad_id,
    )
    return dataclasses.replace(
        found, prompts=prompts, preference=verdicts, votes=verdicts
    )


def _decided(verdicts: np.ndarray) -> np.ndarray:
    """The prompts of which at least one pair does not tie."""
    return np.flatnonzero((verdicts != 0.5).any((1, 2)))


def _letter(loaded, found: alignment.votes.Votes, own: Instruction) -> np.ndarray:
    """Verdicts `[B, N, N]` by the letter of an instruction."""
    codes = codes_of(loaded, found.prompts)
    return own.preference(codes, loaded.task.texts(found.responses))


def codes_of(loaded: docstrings.Docstrings, prompts: Prompts) -> Sequence[str]:
    """Returns the code of each prompt."""
    return [loaded.functions[int(index)].pair.code for index in prompts.ids]
