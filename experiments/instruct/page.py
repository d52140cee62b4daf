"""The page of results: what was measured and on what, tables, and the first answers."""

import os
import pathlib
import statistics
from typing import Any

import jax
import numpy as np

from experiments.instruct.config import Config
from experiments.instruct.task import Instructions
from nashalign import alignment, games, policies, training

NAME = "instruct.md"


def describe(config: Config, loaded: Instructions) -> str:
    """Returns which model is trained on what, in one line."""
    prompts = loaded.task.prompts
    counts = ", ".join(f"{len(own)} {split}" for split, own in prompts.items())
    return (
        f"{config.policy.name}; {counts} instructions of at most "
        f"{loaded.task.prompt_length} tokens"
    )


def write(
    folder: pathlib.Path, config: Config, loaded: Instructions, params: policies.Params
) -> None:
    """Writes the page beside the tables that a comparison has left, and of them.

    Args:
      folder: of the results; the runs' are beside it.
      config: of the job.
      loaded: the instructions.
      params: of the start policy, with the adapters if there are any.
    """
    tables = {
        name: (folder / f"{name}.md").read_text("utf-8").strip()
        for name in ("win_rates", "summary", "samples")
    }
    training.write_text(
        folder / NAME,
        _PAGE.format(
            described=describe(config, loaded),
            trained=_trained(config, params),
            steps=config.training.num_steps,
            batch=config.training.batch_size,
            length=loaded.task.decoding.max_length,
            voters=_voters(loaded.annotator.population),
            test=config.evaluation.num_prompts,
            circles=_circles(folder),
            seconds=_seconds(config, folder.parent),
            machine=_machine(),
            number=config.evaluation.num_samples,
            **tables,
        ),
    )


def _trained(config: Config, params: policies.Params) -> str:
    """What is trained, and how much of it there is."""
    whole, own = (_size(tree) for tree in (params, policies.lora.trained(params)))
    if config.lora.lora is None:
        return f"all {whole:,} parameters"
    return (
        f"adapters of rank {config.lora.rank}, {own:,} parameters beside the "
        f"{whole - own:,} of the model"
    )


def _size(tree: policies.Params) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _voters(population: Any) -> str:
    """The kinds of reviewer, with their shares."""
    shares = zip(population.kinds, population.weights, strict=True)
    return ", ".join(f"{kind} ({share:.0%})" for kind, share in shares)


def _circles(folder: pathlib.Path) -> str:
    """A sentence: how many triples of compared answers go in a circle."""
    with np.load(folder / "preferences.npz") as stored:
        exact = stored["exact"].astype(np.float64)
    if exact.shape[-1] < 3:
        return ""
    share = games.intransitive_share(exact).mean()
    return f" {share:.1%} of the triples of answers to one instruction form a circle."


def _seconds(config: Config, folder: pathlib.Path) -> str:
    """Seconds of an update, by method: the median, the first left out."""
    found = []
    for name in config.methods:
        place = name if config.seeds == 1 else f"{name}-seed{config.seed}"
        lines = alignment.logs.read(folder / place)
        took = [own["seconds"] for own in lines if "tokens" in own]
        if took:
            found.append(f"`{name}` {statistics.median(took[1:] or took):.1f}")
    return ", ".join(found) or "unknown"


def _machine() -> str:
    """What it was measured on."""
    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind} ({os.cpu_count()} cores)"


_PAGE = """# A chat model, and reviewers who disagree

- **Model**: {described}, all written for this project. Trained are {trained}.
- **Updates**: {steps} of each method, of {batch} instructions; answers are drawn at
  temperature 1, and cut after {length} tokens.
- **Judge**, in training and here: the exact preference of a population of reviewers,
  functions of text that know what was asked and not what is true: {voters}.
- **Comparison**: {test} test instructions, an answer of each policy to each.{circles}
- **Seconds of an update** (median, the first left out): {seconds}; on {machine}.

{win_rates}

{summary}

**The first {number} test instructions that were drawn, unselected:**

{samples}
"""
