"""A task: what is written to, who writes first, and how an example is shown.

A new task is a value. Nothing here knows what its texts are about.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import (
    compiling,
    conventions,
    data,
    policies,
    preferences,
    sampling,
    terminal,
)
from nashalign.types import Array, Indices, Prompts, Responses, pytree

_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSet:
    """The encoded prompts of a split.

    Attributes:
      tokens: the ids of each prompt's tokens.
      ids: `[n]` int32 example ids, by which `Task.show` and annotators know a prompt.
      clusters: `[n]` names; prompts of one cluster have more in common than two drawn
        at random, and what is estimated from them is resampled cluster by cluster.
      cut: how many were too long and were shortened.
    """

    tokens: Sequence[Sequence[int]]
    ids: np.ndarray
    clusters: np.ndarray
    cut: int = 0

    def __post_init__(self):
        """Checks that there is one of each for every prompt."""
        counts = {len(self.tokens), len(self.ids), len(self.clusters)}
        if len(counts) > 1:
            raise ValueError(
                f"a split has {len(self.tokens)} prompts, {len(self.ids)} ids and "
                f"{len(self.clusters)} clusters; give one of each to every prompt"
            )

    def __len__(self) -> int:
        """Returns the number of prompts."""
        return len(self.tokens)


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
    log_probs: Array
    reference_log_probs: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What is written to and who judges.

    Attributes:
      start: the start policy.
      tokenizer: its tokenizer.
      decoding: how responses are drawn, and how they end.
      prompts: split name -> prompts; training reads `train`, learning curves
        `validation`, a comparison `test`.
      prompt_length: columns of a batch of prompts, tokens.
      show: example id -> its fields for people, text by name, the prompt first.
      folder: of the start policy; its tokenizer goes along with what is exported.
      oracle: who judges in evaluation; None where nobody does.
      levels: `[L, C]` token strings of scores, lowest first, that are appended to the
        prompts of rows conditioned on rewards; None where no such row is trained.
      merge: whether a policy with adapters is exported whole.

    Raises:
      ValueError: prompts and responses do not fit the policy's context.
    """

    start: policies.Pretrained
    tokenizer: data.Tokenizer
    decoding: sampling.Decoding
    prompts: Mapping[str, PromptSet]
    prompt_length: int
    show: Callable[[int], Mapping[str, str]]
    folder: pathlib.Path
    oracle: preferences.PreferenceAnnotator | None = None
    levels: np.ndarray | None = None
    merge: bool = False

    def __post_init__(self):
        """Checks the lengths."""
        most = self.prompt_length + self.decoding.max_length
        if most > self.start.policy.context:
            raise ValueError(
                f"A prompt of {self.prompt_length} tokens and a response of "
                f"{self.decoding.max_length} exceed the {self.start.policy.context} of "
                f"the context of {self.folder}; lower --text.prompt-length or "
                "--text.response-length."
            )

    def require_levels(self, who: str) -> None:
        """Requires levels of scores that fit the context behind a prompt.

        Args:
          who: appends them, to begin the message with.

        Raises:
          ValueError: there are none, or they are too long.
        """
        if self.levels is None:
            raise ValueError(
                f"{who} appends scores to its prompts, and the task has no `levels`."
            )
        length = self.levels.shape[1]
        most = self.prompt_length + length + self.decoding.max_length
        if most > self.start.policy.context:
            raise ValueError(
                f"{who}: a prompt of {self.prompt_length} tokens, the {length} of a "
                f"score and a response of {self.decoding.max_length} exceed the "
                f"{self.start.policy.context} of the context; lower "
                "--text.prompt-length."
            )

    @functools.cached_property
    def _sample(self):
        """The compiled sampler: responses, and their log-probabilities."""

        @functools.partial(
            jax.jit,
            static_argnames="num_responses",
            compiler_options=compiling.compiler_options(),
        )
        def sample(params, key, shown, num_responses):
            responses, log_probs = sampling.sample(
                self.start.policy,
                {"policy": params},
                lambda logits: logits["policy"],
                key,
                shown,
                num_responses=num_responses,
                decoding=self.decoding,
            )
            return responses, log_probs["policy"]

        return sample

    @functools.cached_property
    def _log_probs(self):
        """The log-probabilities of what was written, compiled."""
        return jax.jit(
            functools.partial(policies.log_probs, self.start.policy),
            compiler_options=compiling.compiler_options(),
        )

    def batch(self, split: str, rows: Indices, suffix: Sequence[int] = ()) -> Prompts:
        """Returns the prompts at some rows of a split, each with a suffix of tokens."""
        prompts = self.prompts[split]
        return data.pad_prompts(
            [[*prompts.tokens[row], *suffix] for row in rows],
            prompts.ids[rows],
            length=self.prompt_length + len(suffix),
            pad_id=self.tokenizer.pad_id,
        )

    def rows(self, split: str, num_prompts: int, seed: int) -> np.ndarray:
        """Returns distinct rows of a split, drawn once and for all by the seed."""
        available = len(self.prompts[split])
        return np.random.default_rng(seed).permutation(available)[:num_prompts]

    def clusters(self, split: str, rows: Indices) -> np.ndarray | None:
        """Returns the cluster `[len(rows)]` of each prompt; None if there is but one.

        An interval needs two: a small job may have drawn all its prompts from one
        cluster, and then takes each prompt as its own.
        """
        names = np.asarray(self.prompts[split].clusters)[rows]
        return names if len(set(names)) > 1 else None

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
    ) -> Written:
        """Lets a policy write to the prompts at some rows of a split.

        The policy is shown a suffix after each prompt; the start policy's
        log-probabilities, and whoever judges, are those of the prompt alone.

        Args:
          params: of the policy.
          split: name of the split.
          rows: of the prompts.
          key: of the draws.
          num_responses: responses to each prompt.
          suffix: tokens behind each prompt.
          name: of the progress bar; none is shown without one.
        """
        parts, start = [], self.start.params
        # What the start policy writes it has scored in writing.
        scored = params is start and not len(suffix)
        with terminal.progress_bar(name, len(rows)) as advance:
            for part in chunks(rows):
                prompts = self.batch(split, part)
                shown = self.batch(split, part, suffix)
                responses, own = self._sample(params, key, shown, num_responses)
                other = own if scored else self._log_probs(start, prompts, responses)
                written = Written(
                    prompts=prompts,
                    responses=responses,
                    log_probs=own,
                    reference_log_probs=other,
                )
                parts.append(jax.device_get(written))
                advance(len(part), "")
        joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
        return jax.tree.map(lambda x: x[: len(rows)], joined)

    def texts(self, responses: Responses) -> list[list[str]]:
        """Returns responses `[B][N]` as text."""
        return data.decode_responses(self.tokenizer, responses)

    def export(self, folder: pathlib.Path, params: policies.Params) -> None:
        """Writes a policy as a Hugging Face folder, with the tokenizer.

        One with adapters is written as these alone, in PEFT's format, if it is not to
        be merged.
        """
        lora, config = self.start.lora, self.start.config
        if lora is None:
            policies.save_pretrained(folder, params, config, self.folder)
        elif self.merge:
            whole = policies.lora.merged(params, lora)
            policies.save_pretrained(folder, whole, config, self.folder)
        else:
            policies.save_adapters(folder, params, config, lora, base=self.folder)

    def fingerprint(self) -> dict[str, str]:
        """Returns number and hash of each split's prompts, as text."""
        found = {}
        for split, prompts in self.prompts.items():
            shown = "\0".join(
                text for index in prompts.ids for text in self.show(index).values()
            )
            digest = hashlib.sha256(shown.encode()).hexdigest()[:16]
            found[split] = f"{len(prompts):,} sha256:{digest}"
        return found

    def require(self, split: str, setting: str, number: int) -> None:
        """Requires as many prompts of a split as a setting asks for.

        Raises:
          ValueError: naming the option, the split and how many it has.
        """
        available = len(self.prompts[split]) if split in self.prompts else 0
        if available < number:
            raise ValueError(
                f"--{setting} asks for {number} prompts, and the {split} split has "
                f"{available}; ask for fewer, or give more prompts."
            )


def chunks(rows: np.ndarray, size: int = _BATCH) -> Iterator[np.ndarray]:
    """Yields rows in batches of one size; the last one repeats its last row."""
    size = min(size, len(rows))
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        yield np.concatenate([part, np.repeat(part[-1:], size - len(part))])


def stage_key(seed: int, stage: int) -> jax.Array:
    """Returns the key of a stage of a job."""
    return jax.random.fold_in(jax.random.key(seed), jnp.asarray(stage, jnp.uint32))


def rows_of(tree: Any, rows: Any) -> Any:
    """Returns a pytree of arrays at some rows of their leading axis."""
    return jax.tree.map(lambda x: x[rows], tree)


def folder_fingerprint(folder: pathlib.Path) -> str:
    """Returns the name of a policy's folder, and a hash of the files that are read.

    Of an adapter's folder they are its own and those of its base.
    """
    digest, base = hashlib.sha256(), conventions.base_folder(folder)
    folders = [folder] if base is None else [folder, base]
    for file in (file for own in folders for file in sorted(own.glob("*"))):
        if file.suffix in (".json", ".safetensors") and file.is_file():
            with file.open("rb") as content:
                own = hashlib.file_digest(content, "sha256").digest()
            digest.update(file.name.encode() + own)
    return f"{folder.resolve().name} sha256:{digest.hexdigest()[:16]}"
