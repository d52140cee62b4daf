"""The task: prompts from real code, the start policy, and the reviewers' verdict."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import docstrings
from experiments.docstrings import reviewers
from experiments.summarise.config import Text
from nashalign import data, policies, preferences, sampling, training
from nashalign.types import Prompts, Responses, pytree

_BATCH = 64
# A docstring that says nothing but the score; the summary is in the next one. After a
# score in the midst of its own docstring the start policy is at a loss (win rate .28
# over itself, and .49 after this).
_LEVELS = tuple(f'quality {level}"""{docstrings.SUFFIX}' for level in range(5))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What every stage needs.

    Attributes:
      start: the start policy.
      tokenizer: its tokenizer.
      decoding: how summaries end.
      data_set: the functions of every split.
      functions: all of them, those of the test split first; `Prompts.ids` index into
        them.
      prompts: the encoded prompts of each split.
      prompt_length: columns of a batch of prompts.
      annotator: the exact population.
    """

    start: policies.Pretrained
    tokenizer: data.Tokenizer
    decoding: sampling.Decoding
    data_set: docstrings.PromptSet
    functions: Sequence[docstrings.Function]
    prompts: dict[str, data.PromptIds]
    prompt_length: int
    annotator: preferences.PopulationAnnotator

    @functools.cached_property
    def _write(self):
        """The compiled sampler, with the policy's and the reference's log-probs."""

        @functools.partial(jax.jit, static_argnames="num_responses")
        def write(params, reference, key, prompts, shown, num_responses):
            responses, log_probs = sampling.sample(
                self.start.policy,
                {"policy": params},
                lambda logits: logits["policy"],
                key,
                shown,
                num_responses=num_responses,
                decoding=self.decoding,
            )
            other = policies.log_probs(self.start.policy, reference, prompts, responses)
            return Written(
                prompts=prompts,
                responses=responses,
                log_probs=log_probs["policy"],
                reference_log_probs=other,
            )

        return write

    @functools.cached_property
    def levels(self) -> np.ndarray:
        """Token strings `[5, C]` of scores, lowest first, to be appended to a prompt.

        Raises:
          ValueError: they are not told apart, or do not fit the context.
        """
        encoded = self.tokenizer.continuations(_LEVELS)
        length = min(map(len, encoded))
        levels = np.asarray([tokens[-length:] for tokens in encoded], np.int32)
        most = self.prompt_length + length + self.decoding.max_length
        if len(np.unique(levels, axis=0)) < len(_LEVELS):
            raise ValueError("the tokenizer does not tell the levels of a score apart")
        if most > self.start.policy.context:
            raise ValueError(
                f"A prompt of {self.prompt_length} tokens, the {length} of a score and "
                f"a response of {self.decoding.max_length} exceed the "
                f"{self.start.policy.context} of the context; lower "
                "--text.prompt-length."
            )
        return levels

    def batch(
        self, split: str, rows: Sequence[int], suffix: Sequence[int] = ()
    ) -> Prompts:
        """Returns the prompts at some rows of a split, each with a suffix of tokens."""
        prompts = self.prompts[split]
        return data.pad_prompts(
            [[*prompts.tokens[row], *suffix] for row in rows],
            prompts.ids[rows],
            length=self.prompt_length + len(suffix),
            pad_id=self.tokenizer.pad_id,
        )

    def fingerprint(self) -> dict[str, str]:
        """Number and hash of each split's prompts, as text."""
        found = {}
        for split, prompts in self.prompts.items():
            codes = "\0".join(self.functions[index].pair.code for index in prompts.ids)
            digest = hashlib.sha256(codes.encode()).hexdigest()[:16]
            found[split] = f"{len(prompts.tokens):,} sha256:{digest}"
        return found

    def clusters(self, split: str, rows: Sequence[int]) -> np.ndarray:
        """Returns the name `[len(rows)]` of each prompt's cluster.

        Prompts of one cluster have more in common than two drawn at random: what is
        estimated from them is resampled cluster by cluster.
        """
        return np.array([own.cluster for own in self.at(split, rows)])

    def halves(self, split: str, rows: Sequence[int]) -> np.ndarray:
        """Returns whose code `[len(rows)]` each prompt is.

        Test prompts are of `docstrings.HALVES`, others may be of other packages.
        """
        return np.array([own.half for own in self.at(split, rows)])

    def shown(self, split: str, rows: Sequence[int], number: int) -> np.ndarray:
        """Returns the first places among rows whose prompts people are shown.

        They are functions of this project: nobody else's text is on its pages.
        """
        own = self.halves(split, rows) == docstrings.THIS_PROJECT
        return np.flatnonzero(own)[:number]

    def read(self, code: str) -> str:
        """Returns the beginning of a code that its prompt holds."""
        return data.text_read(
            self.tokenizer,
            code,
            length=self.prompt_length,
            suffix=docstrings.SUFFIX,
        )

    def at(self, split: str, rows: Sequence[int]) -> list[docstrings.Function]:
        """Returns the functions at some rows of a split."""
        return [self.functions[self.prompts[split].ids[row]] for row in rows]

    def require(self, split: str, setting: str, number: int) -> None:
        """Raises if a split has fewer prompts than a setting asks for.

        Test prompts that this interpreter's standard library lacks are done without.
        """
        available = len(self.prompts[split].tokens) if split in self.prompts else 0
        missing = self.data_set.missing(split) if available else 0
        frozen = split == "test"
        if available + missing * frozen < number:
            lacking = f", and {missing} that are not installed here" if missing else ""
            more = ", or harvest other packages with --text.packages installed"
            raise ValueError(
                f"--{setting} asks for {number} prompts, and the {split} split has "
                f"{available}{lacking}; ask for fewer{'' if frozen else more}."
            )

    def rows(self, split: str, num_prompts: int, seed: int) -> np.ndarray:
        """Returns distinct rows of a split, drawn once and for all by the seed."""
        available = len(self.prompts[split].tokens)
        return np.random.default_rng(seed).permutation(available)[:num_prompts]

    def write(
        self,
        params: policies.Params,
        split: str,
        rows: np.ndarray,
        key: jax.Array,
        *,
        num_responses: int = 1,
        suffix: Sequence[int] = (),
        name: str = "",
    ) -> "Written":
        """Lets a policy write to the prompts at some rows of a split.

        The policy is shown a suffix after each prompt; the start policy's
        log-probabilities, and whoever judges, are those of the prompt alone.
        """
        parts = []
        with _bar(name, len(rows)) as advance:
            for part in chunks(rows):
                prompts = self.batch(split, part)
                shown = self.batch(split, part, suffix)
                written = self._write(
                    params, self.start.params, key, prompts, shown, num_responses
                )
                parts.append(jax.device_get(written))
                advance(len(part), "")
        joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
        return jax.tree.map(lambda x: x[: len(rows)], joined)

    def utilities(self, written: "Written") -> np.ndarray:
        """Every kind of reviewer's utility `[kinds, B, N]` of what was written."""
        return self.annotator.utilities(written.prompts, written.responses)

    def texts(self, responses: Responses) -> list[list[str]]:
        """The summaries `[B][N]` as text."""
        rows = zip(responses.tokens, responses.mask, strict=True)
        return [
            [
                self.tokenizer.decode(tokens[own].tolist())
                for tokens, own in zip(*row, strict=True)
            ]
            for row in rows
        ]


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """What a policy wrote: `[B, N, T]`, with log-probabilities in nats.

    Attributes:
      prompts: the `B` prompts.
      responses: `N` responses to each.
      log_probs: under the policy that wrote.
      reference_log_probs: under the start policy.
    """

    prompts: Prompts
    responses: Responses
    log_probs: Any
    reference_log_probs: Any


def load(policy: pathlib.Path, folder: pathlib.Path, text: Text) -> Task:
    """Loads the start policy and the prompts, harvesting them the first time.

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
    data_set = docstrings.load(folder, text.packages)
    functions, prompts = [], {}
    for split, own in data_set.functions.items():
        encoded = data.prompt_ids(
            tokenizer,
            [one.pair.code for one in own],
            length=text.prompt_length,
            suffix=docstrings.SUFFIX,
        )
        prompts[split] = dataclasses.replace(encoded, ids=encoded.ids + len(functions))
        functions += own
    return Task(
        start=start,
        tokenizer=tokenizer,
        decoding=sampling.Decoding(
            max_length=text.response_length,
            eos_id=tokenizer.eos_id,
            pad_id=tokenizer.pad_id,
        ),
        data_set=data_set,
        functions=functions,
        prompts=prompts,
        prompt_length=text.prompt_length,
        annotator=preferences.PopulationAnnotator(
            reviewers.three_reviewers(),
            tokenizer,
            [own.pair.code for own in functions],
        ),
    )


def chunks(rows: np.ndarray, size: int = _BATCH) -> Iterator[np.ndarray]:
    """Rows in batches of one size; the last one repeats its last row."""
    size = min(size, len(rows))
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        yield np.concatenate([part, np.repeat(part[-1:], size - len(part))])


def stage_key(seed: int, stage: int) -> jax.Array:
    """The key of a stage of the job."""
    return jax.random.fold_in(jax.random.key(seed), jnp.asarray(stage, jnp.uint32))


def _bar(name: str, total: int):
    """A progress bar, or nothing for work without a name."""
    if name:
        return training.progress_bar(name, total)
    return _silent()


class _silent:
    """A progress bar that nobody sees."""

    def __enter__(self):
        return lambda count, note: None

    def __exit__(self, *exception):
        return None
