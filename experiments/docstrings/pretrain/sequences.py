"""Pairs as rows of tokens, and batches of rows of one length."""

import dataclasses

import numpy as np

from experiments.docstrings import harvest
from experiments.docstrings.pretrain.config import Config
from nashalign import data


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Encoded pairs: `tokens [N, P + T]` right-padded, with their two lengths `[N]`."""

    tokens: np.ndarray
    prompt_lengths: np.ndarray
    lengths: np.ndarray
    num_bytes: int


def encode(
    config: Config, tokenizer: data.Tokenizer, pairs: list[harvest.Pair]
) -> Sequences:
    """Returns prompts and summaries as rows of tokens; a long summary is cut."""
    codes = [pair.code for pair in pairs]
    summaries = [pair.summary for pair in pairs]
    prompts = data.prompt_ids(
        tokenizer, codes, length=config.prompt_length, suffix=harvest.SUFFIX
    )
    length = config.prompt_length + config.response_length
    tokens = np.full((len(pairs), length), tokenizer.pad_id, np.int16)
    prompt_lengths = np.asarray([len(row) for row in prompts.tokens])
    lengths = prompt_lengths.copy()
    responses = tokenizer.continuations(summaries)
    for i, (prompt, response) in enumerate(zip(prompts.tokens, responses, strict=True)):
        row = prompt + [*response, tokenizer.closing_id][: config.response_length]
        tokens[i, : len(row)] = row
        lengths[i] = len(row)
    num_bytes = sum(len(summary.encode()) for summary in summaries)
    return Sequences(tokens, prompt_lengths, lengths, num_bytes)


class Batches:
    """Batches by step: an epoch puts equal lengths together, in a shuffled order."""

    def __init__(self, config: Config, sequences: Sequences):
        """Counts the batches of an epoch."""
        self.config, self.sequences = config, sequences
        self._widths = 16 * np.ceil(sequences.lengths / 16).astype(int)
        self._order: tuple[int, list[np.ndarray]] = (0, self._epoch(0))
        self.per_epoch = len(self._order[1])

    def rows(self, step: int) -> np.ndarray:
        """Returns the rows of a step's batch."""
        number = step // self.per_epoch
        if number != self._order[0]:
            self._order = (number, self._epoch(number))
        return self._order[1][step % self.per_epoch]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns tokens `[B, S]`, positions scored `[K]` and their weights `[K]`.

        Every summary token is scored; of the code's, as many as there is room for,
        whose weights stand for the others.
        """
        rows, config = self.rows(step), self.config
        rng = np.random.default_rng((config.seed, step, 1))
        tokens, summary, code = positions(self.sequences, rows)
        room = int(config.scored * (tokens.size - len(tokens)))
        summary = rng.permutation(summary)[:room]
        code, num_code = rng.permutation(code)[: room - len(summary)], len(code)
        weights = np.zeros(room, np.float32)
        weights[: len(summary)] = 1.0
        share = num_code / max(1, len(code))
        weights[len(summary) : len(summary) + len(code)] = config.code_weight * share
        return (
            tokens,
            filled(np.concatenate([summary, code]), room),
            weights / max(1, len(summary)),
        )

    def _epoch(self, number: int) -> list[np.ndarray]:
        """Returns the rows of each batch of an epoch."""
        rng = np.random.default_rng((self.config.seed, number))
        groups = []
        for width in np.unique(self._widths):
            rows = rng.permutation(np.flatnonzero(self._widths == width))
            size = self.config.batch_tokens // width
            starts = range(0, len(rows) - size + 1, size)
            groups += [rows[start : start + size] for start in starts]
        return [groups[i] for i in rng.permutation(len(groups))]


def positions(sequences: Sequences, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns tokens `[B, S]` and the flat positions that predict summary and code."""
    length = int(16 * np.ceil(sequences.lengths[rows].max() / 16))
    column = np.arange(1, length)[None, :]
    real = column < sequences.lengths[rows][:, None]
    in_summary = column >= sequences.prompt_lengths[rows][:, None]
    tokens = sequences.tokens[rows, :length].astype(np.int32)
    return tokens, np.flatnonzero(real & in_summary), np.flatnonzero(real & ~in_summary)


def filled(values: np.ndarray, size: int) -> np.ndarray:
    """Returns indices followed by zeros up to a size."""
    return np.pad(values, (0, size - len(values))).astype(np.int32)
