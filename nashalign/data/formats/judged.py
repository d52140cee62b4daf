"""Two answers to an instruction, and what people said of them: PandaLM, LLMBar."""

from collections.abc import Mapping
from typing import Any

from nashalign.data.formats import format as fields
from nashalign.data.records import Record

_VOTES = ("annotator1", "annotator2", "annotator3")
_ANSWERS = ("response1", "response2")


def _pandalm(line: Mapping[str, Any]) -> Record:
    """One pair of the human test set of Wang and others (2023).

    The chosen response is the one with more votes, the first where they balance.
    """
    asked = [fields.text(line, name) for name in ("instruction", "input")]
    prompt = "\n\n".join(part for part in asked if part.strip())
    if not prompt:
        raise ValueError("`instruction` and `input` are empty; there must be a text")
    answers = [_written(line, name) for name in _ANSWERS]
    votes = [fields.one_of(line, name, (0, 1, 2)) for name in _VOTES]
    authors = fields.text(line, "cmp_key").split("_")
    if len(authors) != 2 or not all(authors):
        raise ValueError(
            f"`cmp_key` is {line['cmp_key']!r:.60}; it must name two models, with one "
            "underscore between them"
        )
    won = 2 if votes.count(2) > votes.count(1) else 1
    chosen, rejected = (0, 1) if won == 1 else (1, 0)
    return Record(
        prompt=prompt,
        chosen=answers[chosen],
        rejected=answers[rejected],
        votes=tuple(0.5 if vote == 0 else float(vote == won) for vote in votes),
        authors=(authors[chosen], authors[rejected]),
        others=fields.rest(line, "instruction", "input", *_ANSWERS, *_VOTES),
    )


def _written(line: Mapping[str, Any], name: str) -> str:
    """A response; the published file has read "True" and "False" as truth values."""
    if isinstance(line.get(name), bool):
        return str(line[name])
    return fields.text(line, name)


def _llmbar(line: Mapping[str, Any]) -> Record:
    """One pair of Zeng and others (2024), of which experts agreed on the better one."""
    answers = [fields.text(line, name) for name in ("output_1", "output_2")]
    won = fields.one_of(line, "label", (1, 2))
    return Record(
        prompt=fields.text(line, "input", filled=True),
        chosen=answers[won - 1],
        rejected=answers[2 - won],
        others=fields.rest(line, "input", "output_1", "output_2", "label"),
    )


PANDALM = fields.Format(
    name="pandalm",
    about="PandaLM's test set: answers of five models, three people's votes a pair",
    fields=("instruction", "input", *_ANSWERS, *_VOTES, "cmp_key"),
    gives="pairs with votes and authors",
    parse=_pandalm,
)
LLMBAR = fields.Format(
    name="llmbar",
    about="LLMBar: answers of which one follows the instruction, as experts say",
    fields=("input", "output_1", "output_2", "label"),
    gives="pairs",
    parse=_llmbar,
)
