"""What a measure is: models, sizes, who competes, and what they must agree on."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_SMALL = {
    "vocab_size": 8192,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 32,
}
_MEDIUM = _SMALL | {
    "vocab_size": 12288,
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 12,
    "head_dim": 64,
}
_TINY = _SMALL | {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}
MODELS = {"10M": _SMALL, "50M": _MEDIUM, "tiny": _TINY}
"""Shapes, in the names of Hugging Face; embeddings and output are not tied."""

_SCALE = 3.0


@dataclasses.dataclass(frozen=True, eq=False)
class Peer:
    """Who a row is measured against.

    Attributes:
      title: what the table calls it.
      tool: whose worker is asked.
      name: of the measure there.
      factor: that the row wins by, if it is to.
      others: what is given besides.
      checks: names of `CHECKS` without which its figure would be of something else.
    """

    title: str
    tool: str
    name: str
    factor: float | None = None
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    checks: tuple[str, ...] = ("logits", "greedy")


@dataclasses.dataclass(frozen=True)
class Check:
    """What a peer must answer as we do.

    Attributes:
      name: of the answer of the peer's worker.
      ours: of the answer of ours.
      others: what is given besides.
    """

    name: str
    ours: str
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A row of the table.

    Attributes:
      title: what the table calls it.
      kind: `rate` and `time` are timed in rounds, `peak` is the memory of a fresh
        process, `answer` is a number that does not vary.
      name: of the measure in our worker.
      model: one of `MODELS`.
      batch: prompts.
      prompt: tokens of each.
      new: tokens of a response.
      responses: to a prompt.
      others: what is given besides.
      peers: who competes.
      limit: what the figure itself is to be at most; in seconds, or in bytes.
    """

    title: str
    kind: str
    name: str
    model: str = "10M"
    batch: int = 16
    prompt: int = 64
    new: int = 64
    responses: int = 1
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    peers: tuple[Peer, ...] = ()
    limit: float | None = None

    @property
    def tokens(self) -> int:
        """New tokens of a run."""
        return self.batch * self.responses * self.new

    def given(self, folder: pathlib.Path) -> dict[str, Any]:
        """What a worker is given, from models in a folder."""
        size = MODELS[self.model]["vocab_size"]
        draws = np.random.default_rng(0)
        prompts = draws.integers(1, size, (self.batch, self.prompt))
        completions = draws.integers(1, size, (self.batch, 2, self.new))
        found = {
            "config": config(self.model),
            "model": str(folder / self.model),
            "batch": self.batch,
            "prompt": self.prompt,
            "prompts": prompts.tolist(),
            "completions": completions.tolist(),
            "new": self.new,
            "responses": self.responses,
            **self.others,
        }
        if found.get("reference"):
            found["reference"] = str(folder / f"{self.model}-reference")
        return found


def config(model: str) -> dict[str, Any]:
    """The shape of a model, complete."""
    settings = {"rope_theta": 1e6, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}
    return MODELS[model] | settings


OURS, BEFORE = "nashalign", "before"
"""Titles of our own figures, and of those of another checkout."""


def competitors(measure: Measure, before: bool) -> list[Peer]:
    """Who is measured in a row: we, another checkout if there is one, and the peers.

    Args:
      measure: the row.
      before: whether another checkout competes.
    """
    ours = [Peer(OURS, "own", measure.name, checks=())]
    checkout = [Peer(BEFORE, "before", measure.name)] if before else []
    return [*ours, *checkout, *measure.peers]


def models(measures: Sequence[Measure], folder: pathlib.Path) -> list[dict[str, Any]]:
    """What our worker is given to write the models, and references, of measures."""
    found = []
    for model in sorted({measure.model for measure in measures}):
        for seed, suffix in enumerate(("", "-reference")):
            given = {"config": config(model), "scale": _SCALE, "seed": seed}
            found.append({**given, "folder": str(folder / f"{model}{suffix}")})
    return found
