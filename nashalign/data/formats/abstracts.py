"""Texts and what is short of them: TL;DR and its comparisons, XSum."""

from collections.abc import Mapping
from typing import Any

from nashalign.data.formats import format as fields
from nashalign.data.records import Record


def _comparison(line: Mapping[str, Any]) -> Record:
    """One comparison of Stiennon and others (2020), of posts."""
    prompt = _query(line, "info.")
    texts = [_answer(line, f"summaries[{place}].text") for place in (0, 1)]
    authors = [fields.value_of(line, f"summaries[{place}].policy") for place in (0, 1)]
    won = fields.one_of(line, "choice", (0, 1))
    known = all(isinstance(author, str) for author in authors)
    kept = ("id", "subreddit")
    others = {name: line["info"][name] for name in kept if name in line["info"]}
    return Record(
        prompt=prompt,
        chosen=texts[won],
        rejected=texts[1 - won],
        authors=(authors[won], authors[1 - won]) if known else None,
        others=others | fields.rest(line, "info", "summaries", "choice"),
    )


def _post(line: Mapping[str, Any]) -> Record:
    """One post, with what its own author has said in short."""
    return Record(
        prompt=_query(line),
        chosen=_answer(line, "summary"),
        others=fields.rest(line, "title", "post", "summary"),
    )


def _query(line: Mapping[str, Any], within: str = "") -> str:
    """The prompt of Stiennon and others: a post's parts, and what is asked for.

    A response begins with the space that is behind it.
    """
    parts = {
        "SUBREDDIT": "r/" + fields.text(line, f"{within}subreddit"),
        "TITLE": fields.text(line, f"{within}title"),
        "POST": fields.text(line, f"{within}post", filled=True),
    }
    return "".join(f"{name}: {own}\n\n" for name, own in parts.items()) + "TL;DR:"


def _answer(line: Mapping[str, Any], name: str) -> str:
    """What is behind the prompt, empty where it is white space."""
    said = fields.text(line, name).strip()
    return f" {said}" if said else ""


def _article(line: Mapping[str, Any]) -> Record:
    """One article of Narayan and others (2018), with the sentence that opened it."""
    return Record(
        prompt=fields.text(line, "document", filled=True),
        chosen=fields.text(line, "summary"),
        others=fields.rest(line, "document", "summary"),
    )


TLDR = fields.Format(
    name="tldr",
    about="comparisons of posts of Reddit, of the data set summarize_from_feedback",
    fields=("info", "summaries", "choice"),
    gives="pairs with authors, behind a prompt that ends in `TL;DR:`",
    parse=_comparison,
)
TLDR_PROMPTS = fields.Format(
    name="tldr_prompts",
    about="the filtered TL;DR posts, to be written about",
    fields=("subreddit", "title", "post", "summary"),
    gives="the same prompts, with a demonstration",
    parse=_post,
)
XSUM = fields.Format(
    name="xsum",
    about="XSum: articles of the BBC",
    fields=("document", "summary"),
    gives="prompts with a demonstration; `--text.suffix` says what is asked for",
    parse=_article,
)
