"""Pre-trains the start policy: from a function's code to its one-line summary.

What it shows: a Llama decoder of 2.4 M parameters, trained from nothing on the
docstrings of permissively licensed packages for less than an hour and a half on two
shared CPU cores, writes one-line summaries on topic. It is where every run of
`experiments.summarise` begins, shipped as the Hugging Face folder
`experiments/start_policy`, whose README.md says what it was trained on, for how long,
and how well it does on packages that it never saw.

Command (the corpus is a second environment, filled with `pip install --no-deps`):

    python -m experiments.pretrain_docstrings --site-packages CORPUS/site-packages

Only training packages are trained on (`data.split_of`), by the same hash as everywhere,
and a text that also occurs in a test or validation package is never a training text.
The schedule follows the clock, not the steps, so that a busy machine trains less, not
longer. Started again on the same output folder, it goes on from its last checkpoint.
"""

import collections
import dataclasses
import functools
import importlib.metadata
import json
import math
import pathlib
import shutil
import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich.console
import tyro

from nashalign import data, policies
from nashalign.data import harvest, sources


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the pre-training.

    Attributes:
      output: where corpus, checkpoints, log and intermediate models go.
      destination: where the finished Hugging Face folder is written.
      site_packages: folders of packages to learn from, beside the standard library
        and this project's dependencies, which are always there.
      excluded: packages left out, because of their licence.
      most_per_package: pairs taken from one training package at most, so that the
        largest do not set the tone.
      vocabulary: size of the tokenizer.
      width: residual width.
      inner_width: width of the gated MLP.
      num_layers: depth.
      num_heads: query heads, of width / num_heads each.
      num_key_value_heads: key and value heads.
      prompt_length: tokens of a prompt, the code's cut on the right to fit.
      short_prompt_length: the same in the first part of the training, where summaries
        are what is to be learnt, and twice as many fit into a batch.
      short_share: share of the time that the first part takes.
      response_length: tokens of a summary, end token included.
      batch_tokens: tokens of a batch, padding included.
      code_weight: weight of a code token in the loss, where a summary token has 1.
      scored: share of a batch's positions that are scored: all summary tokens first,
        the rest drawn from the code.
      learning_rate: at its peak.
      weight_decay: of AdamW.
      warmup_steps: steps of linear warmup.
      minutes: length of the training by the clock.
      save_minutes: time between checkpoints.
      num_validation: validation pairs in an evaluation.
      seed: of everything drawn.
    """

    output: pathlib.Path = pathlib.Path("runs/pretrain_docstrings")
    destination: pathlib.Path = pathlib.Path("experiments/start_policy")
    site_packages: tuple[pathlib.Path, ...] = ()
    excluded: tuple[str, ...] = ("docutils", "hypothesis")
    most_per_package: int = 6000
    vocabulary: int = 4096
    width: int = 192
    inner_width: int = 512
    num_layers: int = 4
    num_heads: int = 3
    num_key_value_heads: int = 1
    prompt_length: int = 48
    short_prompt_length: int = 16
    short_share: float = 0.7
    response_length: int = 32
    batch_tokens: int = 3072
    code_weight: float = 0.25
    scored: float = 0.45
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    minutes: float = 85.0
    save_minutes: float = 5.0
    num_validation: int = 2000
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Encoded pairs: `tokens [N, P + T]` right-padded, with their two lengths `[N]`."""

    tokens: np.ndarray
    prompt_lengths: np.ndarray
    lengths: np.ndarray
    num_bytes: int


def main(config: Config) -> None:
    """Harvests, encodes, trains until the time is up, and publishes the model."""
    console = rich.console.Console()
    pairs = corpus(config, console)
    tokenizer = _tokenizer(config, pairs["train"])
    train = encode(config, tokenizer, pairs["train"])
    short = dataclasses.replace(config, prompt_length=config.short_prompt_length)
    short_train = encode(short, tokenizer, pairs["train"])
    chosen = np.random.default_rng(config.seed).permutation(len(pairs["validation"]))
    held_out = [pairs["validation"][i] for i in chosen[: config.num_validation]]
    validation = encode(config, tokenizer, held_out)
    console.print(
        f"{len(train.tokens):,} training sequences, {train.lengths.sum():,} tokens"
    )
    llama_config = _llama_config(config)
    policy = policies.llama(llama_config)
    params, record = fit(config, policy, (short_train, train), validation, console)
    samples = sample(config, policy, params, tokenizer, held_out[:10])
    for pair, summary in zip(held_out, samples, strict=False):
        console.rule(f"{pair.package}: {pair.name}", align="left")
        console.print(pair.code, highlight=False, markup=False)
        console.print(f"-> {summary}", style="bold", markup=False)
    publish(config, config.destination, params, record)


def corpus(
    config: Config, console: rich.console.Console
) -> dict[str, list[harvest.Pair]]:
    """Returns the training and validation pairs, harvested at the first call only."""
    paths = {
        split: config.output / f"{split}.jsonl" for split in ("train", "validation")
    }
    counts = config.output / "counts.json"
    if not counts.exists():
        config.output.mkdir(parents=True, exist_ok=True)
        files = sources.standard_library() + sources.dependencies()
        for folder in config.site_packages:
            files += sources.folder(folder)
        wanted = [file for file in files if file.package not in config.excluded]
        found = harvest.harvest(wanted, console)
        for split, path in paths.items():
            lines = (json.dumps(dataclasses.asdict(p)) for p in found.pairs[split])
            path.write_text("\n".join(lines) + "\n")
        counts.write_text(json.dumps(_counts(found)))
    pairs = {
        split: [harvest.Pair(**json.loads(line)) for line in path.open()]
        for split, path in paths.items()
    }
    pairs["train"] = _capped(pairs["train"], config.most_per_package, config.seed)
    return pairs


def _counts(found: harvest.Harvest) -> dict:
    """Returns what the model card says about a harvest."""
    packages = {
        split: len({pair.package for pair in pairs})
        for split, pairs in found.pairs.items()
    }
    return {
        "files": found.files,
        "unparsable": found.unparsable,
        "duplicates": found.duplicates,
        "pairs": {split: len(pairs) for split, pairs in found.pairs.items()},
        "packages": packages,
    }


def _capped(pairs: list[harvest.Pair], most: int, seed: int) -> list[harvest.Pair]:
    """Returns at most `most` pairs of every package, drawn at random."""
    taken = collections.Counter()
    kept = []
    for index in np.random.default_rng(seed).permutation(len(pairs)):
        taken[pairs[index].package] += 1
        if taken[pairs[index].package] <= most:
            kept.append(pairs[index])
    return kept


def _tokenizer(config: Config, pairs: list[harvest.Pair]) -> data.Tokenizer:
    """Returns the tokenizer, trained on the texts as the model will see them."""
    folder = config.output / "tokenizer"
    if not (folder / "tokenizer_config.json").exists():
        texts = (f'{p.code[:200]}\n"""{p.summary}' for p in pairs[:60_000])
        return data.train_tokenizer(texts, folder, vocabulary=config.vocabulary)
    return data.load_tokenizer(folder)


def _llama_config(config: Config) -> policies.LlamaConfig:
    """Returns the model's shape in Hugging Face's names."""
    return policies.LlamaConfig(
        vocab_size=config.vocabulary,
        hidden_size=config.width,
        intermediate_size=config.inner_width,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.width // config.num_heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )


def encode(
    config: Config, tokenizer: data.Tokenizer, pairs: list[harvest.Pair]
) -> Sequences:
    """Returns prompts and summaries as rows of tokens; a long summary is cut."""
    codes = [pair.code for pair in pairs]
    summaries = [pair.summary for pair in pairs]
    prompts = data.prompt_ids(tokenizer, codes, length=config.prompt_length)
    length = config.prompt_length + config.response_length
    tokens = np.full((len(pairs), length), tokenizer.pad_id, np.int16)
    prompt_lengths = np.asarray([len(row) for row in prompts.tokens])
    lengths = prompt_lengths.copy()
    responses = tokenizer.encode(summaries)
    for i, (prompt, response) in enumerate(zip(prompts.tokens, responses, strict=True)):
        row = prompt + [*response, tokenizer.eos_id][: config.response_length]
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
            _filled(np.concatenate([summary, code]), room),
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


def _filled(values: np.ndarray, size: int) -> np.ndarray:
    """Returns values followed by zeros up to a size."""
    return np.pad(values, (0, size - len(values))).astype(np.int32)


def token_losses(
    policy: policies.Policy,
    params: dict,
    tokens: chex.Array,
    scored: chex.Array,
) -> chex.Array:
    """Cross-entropies `[K]`, in nats, of the next tokens at flat positions `[K]`."""
    inputs = tokens[:, :-1]
    hidden, _ = policy.hidden(params, inputs, jnp.ones(inputs.shape, bool), None)
    hidden = hidden.reshape(-1, hidden.shape[-1])[scored]
    targets = tokens[:, 1:].reshape(-1)[scored]
    logits = policy.logits(params, hidden)
    picked = jnp.take_along_axis(logits, targets[:, None], -1)[:, 0]
    return jax.nn.logsumexp(logits, -1) - picked


def fit(
    config: Config,
    policy: policies.Policy,
    parts: tuple[Sequences, Sequences],
    validation: Sequences,
    console: rich.console.Console,
) -> tuple[dict, dict]:
    """Trains until the time is up; returns the parameters and the last log line.

    The first part, with short prompts, ends when its share of the time is gone.

    The learning rate is warmed up by steps and falls as a cosine of the share of the
    time that is gone, to zero at its end.
    """
    optimizer = _optimizer(config)
    update = _update(policy, optimizer)
    score = jax.jit(lambda params, *batch: token_losses(policy, params, *batch))
    params = policy.init(jax.random.key(config.seed))
    state = (params, optimizer.init(params))
    state, step, seen, before = _restored(config, state)
    batches = [Batches(config, part) for part in parts]
    start = time.monotonic() - before
    elapsed, saved, losses = before, before, collections.deque(maxlen=200)

    def report() -> dict:
        """Saves a checkpoint, evaluates, logs and publishes what there is."""
        _save(config, state, step, seen, elapsed)
        record = {
            "step": step,
            "minutes": elapsed / 60,
            "sequences": seen,
            "loss": float(np.mean(losses)) if losses else None,
            **evaluate(score, state[0], validation),
        }
        with (config.output / "log.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        console.print(record)
        publish(config, config.output / "latest", state[0], record)
        return record

    while elapsed < 60 * config.minutes:
        rate = _learning_rate(config, step, elapsed)
        part = batches[elapsed > 60 * config.minutes * config.short_share]
        batch = part.batch(step)
        params, opt_state, loss = update(*state, rate, *batch)
        state, step, seen = (params, opt_state), step + 1, seen + len(batch[0])
        losses.append(float(loss))
        if not np.isfinite(losses[-1]):
            raise ValueError(
                f"The loss is {losses[-1]} at step {step}; start again from the "
                f"checkpoint in {config.output} with a lower learning rate."
            )
        elapsed = time.monotonic() - start
        if elapsed - saved > 60 * config.save_minutes:
            report()
            saved = elapsed
    return state[0], report()


def _optimizer(config: Config) -> optax.GradientTransformation:
    """Returns AdamW whose step is at learning rate 1: the caller scales it."""
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(b1=0.9, b2=0.98),
        optax.add_decayed_weights(
            config.weight_decay,
            mask=lambda params: jax.tree.map_with_path(
                lambda path, _: path[-1].key != "scale", params
            ),
        ),
    )


def _update(policy: policies.Policy, optimizer: optax.GradientTransformation):
    """Returns the compiled step."""

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, opt_state, rate, tokens, scored, weights):
        def loss(params):
            losses = token_losses(policy, params, tokens, scored)
            return jnp.sum(losses * weights)

        value, grads = jax.value_and_grad(loss)(params)
        moves, opt_state = optimizer.update(grads, opt_state, params)
        params = jax.tree.map(lambda leaf, move: leaf - rate * move, params, moves)
        return params, opt_state, value

    return update


def _learning_rate(config: Config, step: int, elapsed: float) -> np.float32:
    """Returns the rate: linear warmup by steps, then a cosine of the time gone."""
    gone = min(1.0, elapsed / (60 * config.minutes))
    warm = min(1.0, (step + 1) / config.warmup_steps)
    cosine = (1 + math.cos(math.pi * gone)) / 2
    return np.float32(config.learning_rate * warm * cosine)


def evaluate(score, params: dict, sequences: Sequences) -> dict:
    """Returns the mean loss of summary tokens and bytes, in nats."""
    total, count, size = 0.0, 0, 64
    for start in range(0, len(sequences.tokens), size):
        # The last batch is filled up with rows whose scores are not read.
        rows = np.arange(start, min(start + size, len(sequences.tokens)))
        tokens = np.resize(
            sequences.tokens[rows].astype(np.int32), (size, sequences.tokens.shape[1])
        )
        column = np.arange(1, tokens.shape[1])[None, :]
        scored = np.flatnonzero(
            (column >= sequences.prompt_lengths[rows][:, None])
            & (column < sequences.lengths[rows][:, None])
        )
        losses = score(params, tokens, _filled(scored, size * 32))
        total += float(losses[: len(scored)].sum())
        count += len(scored)
    return {
        "validation_loss": total / count,
        "validation_nats_per_byte": total / sequences.num_bytes,
    }


def sample(
    config: Config,
    policy: policies.Policy,
    params: dict,
    tokenizer: data.Tokenizer,
    pairs: list[harvest.Pair],
) -> list[str]:
    """Returns one sampled summary for each pair's code, at temperature 1."""
    sequences = encode(config, tokenizer, pairs)
    tokens, rows = sequences.tokens.astype(np.int32), np.arange(len(pairs))
    lengths = sequences.prompt_lengths.copy()
    apply = jax.jit(policy.apply)
    for position in range(config.response_length):
        logits = apply(params, tokens, np.ones(tokens.shape, bool))
        key = jax.random.fold_in(jax.random.key(config.seed), position)
        drawn = jax.random.categorical(key, logits[rows, lengths - 1])
        tokens[rows, lengths] = drawn
        lengths += 1
    return [
        tokenizer.decode(tokens[i, sequences.prompt_lengths[i] : lengths[i]])
        for i in rows
    ]


def _save(config: Config, state, step: int, seen: int, elapsed: float) -> None:
    """Writes a checkpoint beside the last one, then puts it in its place."""
    path = config.output / "checkpoint.npz"
    leaves = {f"leaf_{i}": leaf for i, leaf in enumerate(jax.tree.leaves(state))}
    with path.with_suffix(".new").open("wb") as file:
        np.savez(file, step=step, seen=seen, elapsed=elapsed, **leaves)
    path.with_suffix(".new").rename(path)


def _restored(config: Config, state):
    """Returns the last checkpoint's state and counts, or a fresh start."""
    path = config.output / "checkpoint.npz"
    if not path.exists():
        return state, 0, 0, 0.0
    with np.load(path) as saved:
        leaves = [jnp.asarray(saved[f"leaf_{i}"]) for i in range(len(saved) - 3)]
        step, seen = int(saved["step"]), int(saved["seen"])
        elapsed = float(saved["elapsed"])
    state = jax.tree.unflatten(jax.tree.structure(state), leaves)
    return state, step, seen, elapsed


def publish(config: Config, folder: pathlib.Path, params: dict, record: dict) -> None:
    """Writes the Hugging Face folder with its model card, whole or not at all."""
    fresh, old = (
        folder.with_name(folder.name + ".new"),
        folder.with_name(folder.name + ".old"),
    )
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    policies.save_pretrained(
        fresh,
        params,
        _llama_config(config),
        tokenizer_folder=config.output / "tokenizer",
    )
    (fresh / "README.md").write_text(_card(config, record))
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _card(config: Config, record: dict) -> str:
    """Returns the model card."""
    counts = json.loads((config.output / "counts.json").read_text())
    return _CARD.format(
        counts=counts,
        record=record,
        config=config,
        train_pairs=f"{counts['pairs']['train']:,}",
        sources=_sources(config),
    )


def _sources(config: Config) -> str:
    """Returns a table row for each distribution read: name, version and licence."""
    paths = [str(path) for path in config.site_packages]
    here = list(importlib.metadata.distributions())
    there = list(importlib.metadata.distributions(path=paths)) if paths else []
    rows = {}
    for distribution in here + there:
        name = distribution.metadata["Name"]
        if name not in config.excluded:
            licence = _licence(distribution.metadata)
            rows[name.lower()] = f"| {name} | {distribution.version} | {licence} |"
    return "\n".join(rows[name] for name in sorted(rows))


def _licence(metadata) -> str:
    """Returns the licence that a distribution declares, in its shortest form."""
    classified = [
        entry.split(" :: ")[-1]
        for entry in metadata.get_all("Classifier", ())
        if entry.startswith("License ::")
    ]
    text = metadata.get("License-Expression") or ", ".join(classified)
    return text or (metadata.get("License") or "see the package").split("\n")[0][:60]


_CARD = """---
license: apache-2.0
language: en
pipeline_tag: text-generation
---

# From a Python function to its one-line summary

A Llama decoder that reads a function's signature and the beginning of its body and
writes the first sentence of its docstring. The prompt is the begin token, the code cut
on the right so that the whole is at most {config.prompt_length} tokens, and a line with
three double quotes; the summary ends with the end token. It is the start policy of
nashalign's experiments and knows nothing but docstrings.

- **Data**: {train_pairs} unique pairs of {counts[packages][train]} top-level packages
  (at most {config.most_per_package} of one), out of {counts[files]:,} files of the
  standard library, this project's dependencies and the distributions below;
  {counts[duplicates]:,} duplicates and {counts[unparsable]} unparsable files left out.
  Validation and test packages, chosen by a fixed hash of the name, were not trained on,
  nor were copies of their texts in other packages.
- **Training**: `python -m experiments.pretrain_docstrings`, {record[minutes]:.0f}
  minutes on two shared CPU cores, {record[step]:,} steps of {config.batch_tokens:,}
  tokens, {record[sequences]:,} pairs seen; in the first part,
  {config.short_share:.0%} of the time, prompts had {config.short_prompt_length} tokens
  at most.
- **Validation loss**: {record[validation_loss]:.3f} nats a summary token,
  {record[validation_nats_per_byte]:.3f} nats a byte, on {config.num_validation:,} pairs
  of {counts[packages][validation]} unseen packages.

## Sources

Only the code and docstrings of these distributions were read; their licences are as
they declare them. Besides them: the standard library of Python (PSF-2.0).

| distribution | version | licence |
| --- | --- | --- |
{sources}
"""


if __name__ == "__main__":
    main(tyro.cli(Config))
