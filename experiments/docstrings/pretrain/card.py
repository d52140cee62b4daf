"""The finished model as a Hugging Face folder with its card."""

import pathlib
import shutil

from experiments.docstrings.pretrain import corpus
from experiments.docstrings.pretrain.config import Config, llama_config
from nashalign import json_file, policies


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
        llama_config(config),
        tokenizer_folder=config.start or config.output / "tokenizer",
    )
    (fresh / "README.md").write_text(_card(config, record), "utf-8")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _card(config: Config, record: dict) -> str:
    """Returns the model card."""
    counts = corpus.counts(config)
    return _CARD.format(
        counts=counts,
        record=record,
        config=config,
        train_pairs=f"{counts['pairs']['train']:,}",
        sources=corpus.licences(config, set(counts["trained_on"])),
        before=training_before(config),
        after=", going on from there" if config.start else "",
    )


def training_before(config: Config) -> str:
    """Returns what the card of the model gone on from says of its training.

    Raises:
      ValueError: if it says nothing of it.
      OSError: if the model has no card.
    """
    if config.start is None:
        return ""
    path = config.start / "README.md"
    card = json_file.read_text(path)
    begin, end = (card.find(f"- **{name}") for name in ("Training", "Validation loss"))
    if not 0 <= begin < end:
        raise ValueError(
            f"{path} does not say how the model was trained, in a line that begins "
            "with '- **Training', before its '- **Validation loss**'."
        )
    return card[begin:end]


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
  nor was this project's own code, nor copies of their texts in other packages.
{before}- **Training{after}**: `python -m experiments.docstrings.pretrain`,
  {record[minutes]:.0f} minutes on two CPU cores with Muon, {record[step]:,} steps of
  {config.batch_tokens:,} tokens, {record[sequences]:,} pairs seen; in the first part,
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
