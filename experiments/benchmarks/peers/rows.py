"""The rows of the table: who is measured against whom, and what is to be reached."""

from typing import Any

from experiments.benchmarks.peers.measures import Check, Measure, Peer, config

_MIX = 0.125
_LONG = {"vocab_size": 128 * 1024}
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
        title="peak memory, four steps of online IPO",
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
