"""Learned judges as functions of text, which read with their own tokenizer.

Policies of other families write other tokens. What they have written is text, and a
judge reads it in the tokens that it was taught; where a policy has those tokens too, a
text that it has written may have been other tokens of the same letters.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nashalign import data, preferences
from nashalign.alignment import asking, texts

_STEP = 32
"""Texts are padded to multiples of so many tokens: fewer programs are compiled."""


class LearnedJudge:
    """The judge of a folder as an annotator of text, asked in batches.

    Attributes:
      batched: it is handed lists of texts.
      antisymmetric: the order of two responses is nothing to it.
    """

    batched = True
    antisymmetric = True

    def __init__(
        self,
        folder: pathlib.Path,
        records: Sequence[data.Record],
        text: texts.Text,
        *,
        size: int = 32,
    ):
        """Loads the judge.

        Args:
          folder: of the judge, with its tokenizer.
          records: the prompts that it will be asked about.
          text: how a prompt is written for it, as it was when the judge was taught.
          size: questions in one call of the model.

        Raises:
          ValueError: the folder holds no judge, or a damaged one.
        """
        # Members of an ensemble have a folder each, and all of them one tokenizer.
        own = folder if (folder / "tokenizer.json").is_file() else folder / "1"
        own = own if own.is_dir() else folder
        self._judge: Any = preferences.load_judge(folder, own)
        self._tokenizer = texts.ending(data.load_tokenizer(own), records, text)
        self._records = {record.prompt: record for record in records}
        self._folder, self._text, self._size = folder, text, size

    def prefer(
        self, prompts: Sequence[str], y: Sequence[str], z: Sequence[str]
    ) -> np.ndarray:
        """Returns P(y beats z), `[n]`.

        Args:
          prompts: texts of the records' prompts.
          y: a response to each.
          z: the other response to each.

        Raises:
          ValueError: the responses do not fit the judge's context.
        """
        pairs = list(zip(y, z, strict=True))
        longest = max(map(len, self._tokenizer.continuations([*y, *z]))) + 1
        responses = data.encode_responses(
            self._tokenizer, pairs, length=_rounded(longest)
        )
        encoded = self._prompts(prompts, longest)
        return asking.compare_pairs(self._judge, encoded, responses, size=self._size)

    def _prompts(self, prompts: Sequence[str], length: int):
        """The prompts' tokens, in the room that the context leaves beside responses."""
        members = getattr(self._judge, "members", (self._judge,))
        pairwise = any(isinstance(own, preferences.PairwiseModel) for own in members)
        context = min(own.policy.context for own in members)
        room = context - length * (2 if pairwise else 1)
        if room < 1:
            raise ValueError(
                f"the judge in {self._folder} has room for "
                f"{context} tokens, and the longest of these "
                f"responses has {length}{', of which it reads two' if pairwise else ''}"
                ": let the policies write shorter ones with --text.response-length"
            )
        most = min(room, self._text.prompt_length or room)
        records = [self._records[prompt] for prompt in prompts]
        found = texts.prompt_tokens(self._tokenizer, records, self._text, most)
        if len(found.ids) < len(prompts):
            raise ValueError(
                f"{len(prompts) - len(found.ids)} prompts are longer than the {most} "
                f"tokens that the judge in {self._folder} has room for; keep a part of "
                "them with --text.too-long"
            )
        return data.pad_prompts(
            found.tokens,
            np.arange(len(prompts)),
            length=_rounded(max(map(len, found.tokens))),
            pad_id=self._tokenizer.pad_id,
        )


def _rounded(length: int) -> int:
    """A number of columns that holds so many tokens."""
    return -(-length // _STEP) * _STEP
