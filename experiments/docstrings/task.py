"""Docstrings as a task: code is written to, and a population of reviewers judges."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.docstrings import frozen, reviewers
from experiments.docstrings.harvest import SUFFIX
from nashalign import algorithms, alignment, data, policies, preferences, sampling
from nashalign.types import Examples, Prompts, Responses

START_POLICY = pathlib.Path(__file__).parents[1] / "start_policy"

# A docstring that says nothing but the score; the summary is in the next one. After a
# score in the midst of its own docstring the start policy is at a loss (win rate .28
# over itself, and .49 after this).
_LEVELS = tuple(f'quality {level}"""{SUFFIX}' for level in range(5))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """What policies read and write."""

    prompt_length: int = 48
    """Most tokens of a prompt; longer code is cut on the right, and counted."""
    response_length: int = 24
    """Most tokens of a summary, end of sequence included; longer ones are cut."""
    packages: str = frozen.FROZEN
    """Where training and validation prompts come from: frozen (the same everywhere), or
    a harvest of dependencies (the standard library and what this project runs on),
    installed (every installed package) or standard_library (nothing else)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Docstrings:
    """The task, and what is known of its functions.

    Attributes:
      task: what is written to; its oracle is the exact population.
      data_set: the functions of every split.
      functions: all of them, those of the test split first; `Prompts.ids` index into
        them.
      annotator: the exact population.
    """

    task: alignment.Task
    data_set: frozen.PromptSet
    functions: Sequence[frozen.Function]
    annotator: preferences.PopulationAnnotator

    def voters(self, prompts: Prompts, responses: Responses) -> np.ndarray:
        """Returns the population's P(row beats column), `[B, N, N]`."""
        utilities = self.annotator.utilities(prompts, responses)
        return self.annotator.population.matrix(utilities)

    def kinds(self) -> dict[str, preferences.PopulationAnnotator]:
        """Returns each kind of reviewer as a judge of its own."""
        population = self.annotator.population
        return {
            kind: dataclasses.replace(self.annotator, population=population.alone(kind))
            for kind in population.kinds
        }

    def demonstrations(self, rows: Sequence[int]) -> Examples:
        """Returns the authors' summaries of some functions of the training split."""
        prompts = self.task.batch("train", rows)
        texts = [[self.functions[index].pair.summary] for index in prompts.ids]
        length = self.task.decoding.max_length
        return Examples(
            prompts=prompts,
            responses=data.encode_responses(self.task.tokenizer, texts, length=length),
        )

    def dimensions(self, num_voters: int, seed: int) -> list[algorithms.Dimension]:
        """Returns what labels pairs by the votes of one kind of reviewer alone, each.

        Args:
          num_voters: reviewers of the kind who vote on each pair.
          seed: of their votes.
        """
        return [
            lambda pairs, place=place, kind=kind: self._heard(
                pairs, kind, num_voters, np.random.default_rng([seed, place])
            )
            for place, kind in enumerate(self.annotator.population.kinds)
        ]

    def _heard(self, pairs: Examples, kind: str, num_voters: int, rng) -> Examples:
        """Pairs with the votes of one kind."""
        everyone = self.annotator.population
        place = everyone.kinds.index(kind)
        found = self.annotator.utilities(pairs.prompts, pairs.responses)
        u_y, u_z = np.moveaxis(found[place : place + 1], -1, 0)
        votes = everyone.alone(kind).votes(rng, u_y, u_z, num_voters=num_voters)
        preference = np.full((len(votes), 2, 2), 0.5, np.float32)
        preference[:, 0, 1], preference[:, 1, 0] = votes, 1 - votes
        return dataclasses.replace(pairs, preference=preference)

    def require(self, split: str, setting: str, number: int) -> None:
        """Requires as many prompts of a split as a setting asks for.

        Test prompts that this interpreter's standard library lacks are done without.

        Raises:
          ValueError: naming the option, the split and how many it has.
        """
        held = self.task.prompts.get(split, ())
        missing = self.data_set.missing(split) if len(held) else 0
        lacks = missing if split == "test" else 0
        if len(held) < number - lacks:
            lacking = f", and {missing} that are not installed here" if missing else ""
            more = ", or harvest other packages with --text.packages installed"
            raise ValueError(
                f"--{setting} asks for {number} prompts, and the {split} split has "
                f"{len(held)}{lacking}; ask for fewer{'' if split == 'test' else more}."
            )

    def describe(self) -> str:
        """Returns what was loaded, a line for each of data set and prompts."""
        prompts = self.task.prompts
        splits = ", ".join(f"{len(own):,} {split}" for split, own in prompts.items())
        cut = sum(own.cut for own in prompts.values())
        return (
            f"{self.data_set.described()}\n"
            f"prompts: {splits}; {cut:,} longer than {self.task.prompt_length} tokens "
            "were cut on the right"
        )

    def pages(self, fingerprint: str, **others: Any) -> alignment.Pages:
        """Returns what a comparison says of the functions.

        Functions of this project are shown: nobody else's text is on its pages.

        Args:
          fingerprint: of data and judges.
          **others: of `alignment.Pages`.
        """
        return alignment.Pages(
            fingerprint=fingerprint,
            identify=lambda index: frozen.content_hash(self.functions[index].pair),
            part=lambda index: self.functions[index].half,
            sample=self._sample,
            description=(
                "The first test prompts that are functions of this project, "
                f"unselected; a prompt has {self.task.prompt_length} tokens at most, "
                "the code is cut on the right, while its author and the reviewers know "
                "all of it. The share is the probability that the population of "
                "reviewers prefers the summary to the start policy's."
            ),
            response="summary",
            language="python",
            voter="reviewer",
            **others,
        )

    def _sample(self, index: int) -> Mapping[str, str] | None:
        """What is shown of a function, if it is this project's."""
        function = self.functions[index]
        if function.half != frozen.THIS_PROJECT:
            return None
        pair = function.pair
        read = data.text_read(
            self.task.tokenizer,
            pair.code,
            length=self.task.prompt_length,
            suffix=SUFFIX,
        )
        return {
            "prompt": pair.code,
            "read": read,
            "author": pair.summary,
            "source": f"{function.cluster}: {pair.name}",
        }


def load_task(policy: pathlib.Path, folder: pathlib.Path, text: Text) -> Docstrings:
    """Loads the start policy and the functions, harvesting them the first time.

    Args:
      policy: folder of the start policy.
      folder: where the harvest is kept.
      text: what is read and written.

    Raises:
      ValueError: the checkpoint, its tokenizer and the lengths do not go together.
    """
    start = policies.load_pretrained(policy)
    tokenizer = data.load_tokenizer(policy)
    policies.check_vocabulary(tokenizer.size, start.config)
    # The preference model reads two responses in a row, each with its end token.
    most = text.prompt_length + 2 * (text.response_length + 1)
    if most > start.policy.context:
        raise ValueError(
            f"A prompt of {text.prompt_length} tokens and two responses of "
            f"{text.response_length}, as the preference model reads them, exceed the "
            f"{start.policy.context} tokens of the context of {policy}; lower "
            "--text.prompt-length or --text.response-length."
        )
    data_set = frozen.load(folder, text.packages)
    functions, prompts = [], {}
    for split, own in data_set.functions.items():
        encoded = data.prompt_ids(
            tokenizer,
            [one.pair.code for one in own],
            length=text.prompt_length,
            suffix=SUFFIX,
        )
        prompts[split] = alignment.PromptSet(
            tokens=encoded.tokens,
            ids=encoded.ids + len(functions),
            clusters=np.array([own[place].cluster for place in encoded.ids]),
            cut=encoded.cut,
        )
        functions += own
    annotator = preferences.PopulationAnnotator(
        reviewers.three_reviewers(), tokenizer, [own.pair.code for own in functions]
    )
    task = alignment.Task(
        start=start,
        tokenizer=tokenizer,
        folder=policy,
        decoding=sampling.Decoding(
            max_length=text.response_length,
            eos_id=tokenizer.eos_id,
            pad_id=tokenizer.pad_id,
        ),
        prompts=prompts,
        prompt_length=text.prompt_length,
        show=lambda index: {"code": functions[index].pair.code},
        oracle=annotator,
        levels=levels(tokenizer),
    )
    return Docstrings(
        task=task, data_set=data_set, functions=functions, annotator=annotator
    )


def levels(tokenizer: data.Tokenizer) -> np.ndarray | None:
    """Returns token strings `[5, C]` of scores, lowest first, to append to a prompt.

    None where the tokenizer does not tell them apart.
    """
    encoded = tokenizer.continuations(_LEVELS)
    length = min(map(len, encoded))
    found = np.asarray([tokens[-length:] for tokens in encoded], np.int32)
    return found if len(np.unique(found, axis=0)) == len(_LEVELS) else None
