"""UltraFeedback (Cui and others, 2023): prompts, pairs, and scored answers."""

from collections.abc import Mapping
from typing import Any

from nashalign.data.formats import format as fields
from nashalign.data.records import Record

_SCORES = ("score_chosen", "score_rejected")


def _prompt(line: Mapping[str, Any]) -> Record:
    """A line of any of the three forms, as a prompt to be answered anew."""
    name = "prompt" if "prompt" in line else "instruction"
    kept = ("prompt_id", "source")
    return Record(
        prompt=fields.text(line, name, filled=True),
        others={name: line[name] for name in kept if name in line},
    )


def _pair(line: Mapping[str, Any]) -> Record:
    """A pair of the form that Tunstall and others (2023) trained on."""
    chosen, rejected = (
        fields.conversation(line.get(name), name, last="assistant")
        for name in ("chosen", "rejected")
    )
    asked = fields.conversation(list(chosen[:-1]), "chosen[:-1]", last="user")
    if rejected[:-1] != asked:
        raise ValueError("`rejected` goes on from other messages than `chosen`")
    scores = tuple(fields.number(line, name) for name in _SCORES)
    return Record(
        prompt=fields.as_text(asked),
        messages=asked,
        chosen=chosen[-1]["content"],
        rejected=rejected[-1]["content"],
        scores=(scores[0], scores[1]),
        others=fields.rest(line, "prompt", "messages", "chosen", "rejected", *_SCORES),
    )


def _scored(line: Mapping[str, Any]) -> Record:
    """The best of several answers against the worst, by their overall scores.

    Of equal ones the first is the best and the last the worst; where all are equal the
    pair is a tie, of the one voter that gave the scores.
    """
    prompt = fields.text(line, "instruction", filled=True)
    written = line.get("completions")
    if not isinstance(written, list) or len(written) < 2:
        raise ValueError(
            f"`completions` is {fields.shown(written)}; it must be a list of two "
            "objects or more"
        )
    answers = []
    for own in (f"completions[{place}]" for place in range(len(written))):
        score = fields.number(line, f"{own}.overall_score")
        texts = [fields.text(line, f"{own}.{name}") for name in ("response", "model")]
        answers.append((score, *texts))
    best = max(answers, key=lambda answer: answer[0])
    worst = min(reversed(answers), key=lambda answer: answer[0])
    return Record(
        prompt=prompt,
        chosen=best[1],
        rejected=worst[1],
        scores=(best[0], worst[0]),
        votes=(0.5,) if best[0] == worst[0] else None,
        authors=(best[2], worst[2]),
        others=fields.rest(line, "instruction", "models", "completions"),
    )


PROMPTS = fields.Format(
    name="ultrafeedback_prompts",
    about="prompts of UltraFeedback, of a file in any of its forms",
    fields=("prompt", "prompt_id"),
    gives="prompts",
    parse=_prompt,
)
BINARIZED = fields.Format(
    name="ultrafeedback_binarized",
    about="UltraFeedback as pairs",
    fields=("prompt", "chosen", "rejected", *_SCORES),
    gives="pairs with scores, as messages",
    parse=_pair,
)
SCORED = fields.Format(
    name="ultrafeedback_scored",
    about="UltraFeedback as published: four answers with scores",
    fields=("instruction", "completions"),
    gives="the best answer against the worst, with scores and authors",
    parse=_scored,
)
