"""What is measured: models, sizes, who competes, and what is to be reached."""

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
_MIX = 0.125
_LONG = {"vocab_size": 128 * 1024}


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


_MIXTURE = {"reference": True, "mix": _MIX}
CHECKS = {
    "logits": Check("logits", "logits"),
    "greedy": Check("greedy", "greedy"),
    "mixture": Check("greedy", "greedy", _MIXTURE),
    "uncached mixture": Check("wrapped greedy", "greedy", {**_MIXTURE, "cache": False}),
    "cached mixture": Check("wrapped greedy", "greedy", {**_MIXTURE, "cache": True}),
}
"""What is checked before anything is timed."""

_ONLINE = {"row": "online_ipo"}
_NASH = {"row": "nash_md_pg", "mix": _MIX}


def _memory(way, gradient):
    """What the memory of scoring is asked for with."""
    return {"way": way, "gradient": gradient, "config": config("10M") | _LONG}


def _scoring(gradient, limit):
    """The row of scoring's memory, forward or with the gradient."""
    return Measure(
        title="memory of log_probs, V = 128k, 32 x 64 tokens, "
        + ("with the gradient" if gradient else "forward"),
        kind="answer",
        name="temporary memory",
        batch=32,
        others=_memory("chunked", gradient),
        peers=(
            Peer(
                "full logits",
                "own",
                "temporary memory",
                others=_memory("whole", gradient),
                checks=(),
            ),
        ),
        limit=limit,
    )


TABLE = (
    Measure(
        title="decode, batch 16",
        kind="rate",
        name="decode",
        peers=(
            Peer("Tunix", "tunix", "decode", 1.3),
            Peer("Hugging Face", "trl", "decode"),
        ),
    ),
    Measure(
        title="decode, batch 16, 2 responses",
        kind="rate",
        name="decode",
        responses=2,
        peers=(
            Peer("Tunix", "tunix", "decode", 1.7),
            Peer("Hugging Face", "trl", "decode"),
        ),
    ),
    Measure(
        title="decode from the mixture, batch 16",
        kind="rate",
        name="decode",
        others=_MIXTURE,
        peers=(
            Peer("exact loop in torch", "trl", "mixture", 1.4, checks=("mixture",)),
        ),
    ),
    Measure(
        title="decode, 512 + 128 tokens, batch 8",
        kind="rate",
        name="decode",
        batch=8,
        prompt=512,
        new=128,
        peers=(
            Peer("Hugging Face", "trl", "decode", 1.4),
            Peer("Tunix", "tunix", "decode"),
        ),
    ),
    Measure(
        title="decode, 50 M parameters, batch 16",
        kind="rate",
        name="decode",
        model="50M",
        peers=(
            Peer("Tunix", "tunix", "decode", 1.1),
            Peer("Hugging Face", "trl", "decode"),
        ),
    ),
    Measure(
        title="step of online IPO",
        kind="time",
        name="step",
        responses=2,
        others=_ONLINE,
        peers=(Peer("TRL, online DPO", "trl", "online step", 1.4),),
    ),
    Measure(
        title="step of Nash-MD-PG",
        kind="time",
        name="step",
        others=_NASH,
        peers=(
            Peer(
                "TRL, Nash-MD",
                "trl_nash",
                "nash step",
                9.0,
                {"cache": False},
                ("logits", "uncached mixture"),
            ),
            Peer(
                "TRL, Nash-MD, checkpointing off",
                "trl_nash",
                "nash step",
                None,
                {"cache": True},
                ("logits", "cached mixture"),
            ),
        ),
    ),
    Measure(
        title="training half of a step",
        kind="time",
        name="learn",
        responses=2,
        others=_ONLINE,
        peers=(
            Peer("TRL, DPO", "trl", "learn", 1.2),
            Peer("Tunix, DPO", "tunix", "learn"),
        ),
    ),
    Measure(
        title="drawing half of a step",
        kind="time",
        name="rollout",
        responses=2,
        others=_ONLINE,
    ),
    Measure(
        title="peak memory, three steps of online IPO",
        kind="peak",
        name="step",
        responses=2,
        others=_ONLINE,
        peers=(Peer("TRL, online DPO", "trl", "online step"),),
        limit=1.1e9,
    ),
    _scoring(False, 110e6),
    _scoring(True, 420e6),
    Measure(
        title="compiling a step of online IPO",
        kind="time",
        name="compile",
        responses=2,
        others=_ONLINE,
        limit=4.0,
    ),
)
"""The rows of the table."""

LIMITS = {
    "products": {
        "large product": (2048, 2048, 2048),
        "product of decoding, batch 16": (16, 256, 768),
        "output of decoding, batch 16": (16, 256, 8192),
    },
    "copied": 256 * 2**20,
    "seconds": 0.5,
}
"""What the limits of the core are measured with: shapes, bytes, and how long each."""


def smoke() -> tuple[Measure, ...]:
    """Rows of our own alone, in sizes of a moment."""
    sizes: dict[str, Any] = {"model": "tiny", "batch": 2, "prompt": 4, "new": 4}
    return (
        Measure(title="decode", kind="rate", name="decode", **sizes),
        Measure(title="mixture", kind="rate", name="decode", others=_MIXTURE, **sizes),
        Measure(title="step", kind="time", name="step", others=_ONLINE, **sizes),
        Measure(title="draws", kind="time", name="rollout", others=_ONLINE, **sizes),
        Measure(title="learns", kind="time", name="learn", others=_ONLINE, **sizes),
    )
