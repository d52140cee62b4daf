r"""Three kinds of reviewer of a one-line summary of a function.

Each is a utility u(x, y) in [0, 1] of two texts, the function's code x (its signature
and the beginning of its body) and the summary y. They want different things:

    terse     few words, but a sentence
    thorough  the identifiers of signature and body mentioned, in detail, without
              repetition
    style     PEP 257: "Do this.", not "Does this", and not the signature again

What none of them takes is emptiness, fragments of code or lists of words. Each utility
has the factor text(y) in {0, 1}: one line of at least three words; at least four fifths
of its tokens words, one of them a verb or a function word; at most five content words
in a row, for English hardly goes on longer without a function word; at most a fifth of
the words said before.

There is no language model behind it: a sentence about something else is a sentence, and
only *thorough* reads the body. PEP 257: Goodger and van Rossum (2001).
"""

import collections
import functools
import re
from collections.abc import Sequence

import numpy as np

from experiments.docstrings import words as lexicon
from nashalign import preferences

_SHORTEST = 3
_LENGTH_SCALE = 10.0  # words by which a longer sentence loses a factor e
_DETAIL_SCALE = 8.0  # different content words that bring detail to 1 - 1/e
_DETAIL_WEIGHT = 0.2
_WORD = re.compile(r"[a-z]+(?:['’./-][a-z]+)*|[a-z_][\w.]*|\d+(?:[.,-]\w+)*", re.I)
_STEMS_OF_VERBS = frozenset(map(lexicon.stem, lexicon.VERBS))
_AUXILIARIES = frozenset(
    "am are be can do does had has have is may must was were".split()
)


def terse(codes: Sequence[str], summaries: Sequence[str]) -> np.ndarray:
    r"""Utility of being short, but a sentence.

    .. math:: u(y) = sentence(y) e^{-(n(y) - 3) / 10}

    `n` counts words. A sentence is a text with a verb, a capital at its beginning and
    one full stop, at its end.

    Args:
      codes: `n` texts of code; not read.
      summaries: `n` summaries.

    Returns:
      `[n]` float64 in [0, 1]; zero where the summary is not a sentence.
    """
    _require_texts(codes, summaries)
    return np.array([_terse(summary) for summary in summaries], np.float64)


def thorough(codes: Sequence[str], summaries: Sequence[str]) -> np.ndarray:
    r"""Utility of mentioning what the code names, without repeating words.

    .. math:: u(x, y) = text(y) (1 - repeated(y)) (0.8 share(x, y) + 0.2 detail(y))

    `share` is that of the words of the identifiers in signature and body (snake_case
    and camelCase taken apart; no function words, no keywords of Python) whose stem
    begins a word of the summary, so that "directory" mentions `dir`. A word counts as
    often as the code has it. `repeated` is the share of the summary's content words
    that were said before. `detail`, 1 - exp(-c / 8) of its c different content words,
    decides between summaries that mention the same.

    Args:
      codes: `n` texts of code.
      summaries: `n` summaries.

    Returns:
      `[n]` float64 in [0, 1]; zero where the code has no identifiers.
    """
    _require_texts(codes, summaries)
    pairs = zip(codes, summaries, strict=True)
    return np.array([_thorough(*pair) for pair in pairs], np.float64)


def style(codes: Sequence[str], summaries: Sequence[str]) -> np.ndarray:
    r"""Utility of PEP 257's form.

    .. math:: u(x, y) = text(y) \frac{imperative + capital + stop}{3} new(x, y)

    `new` is the share of the content words after the first word that do not restate the
    function's name or its parameters ("NOT be a signature", as PEP 257 has it): zero
    for "Get the name." of `def get_name`.

    Args:
      codes: `n` texts of code, read for the signature.
      summaries: `n` summaries.

    Returns:
      `[n]` float64 in [0, 1].
    """
    _require_texts(codes, summaries)
    pairs = zip(codes, summaries, strict=True)
    return np.array([_style(*pair) for pair in pairs], np.float64)


def three_reviewers() -> preferences.Population:
    """The population of the main job: terse, thorough and style.

    Shares and temperatures are chosen so that majorities run in a circle often enough
    to tell a general preference from a reward: in about 4% of the triples of a small
    language model's samples at temperature 1 (`games.intransitive_share`
    measures it). Shares near, but not at, one third let any two kinds outvote the third
    and leave few ties.
    """
    return preferences.Population(
        voters={"terse": terse, "thorough": thorough, "style": style},
        weights=(0.35, 0.40, 0.25),
        temperatures=(0.03, 0.01, 0.03),
    )


def _require_texts(codes, summaries) -> None:
    """Requires a summary for each code, all of them text.

    Raises:
      TypeError: one is no text.
      ValueError: there are more of one than of the other.
    """
    for name, texts in (("codes", codes), ("summaries", summaries)):
        several = np.iterable(texts) and not isinstance(texts, str)
        strangers = [x for x in texts if not isinstance(x, str)] if several else []
        if strangers or not several:
            wrong = strangers[0] if strangers else texts
            raise TypeError(f"{name} must be a list of texts, and holds {wrong!r:.60}")
    if len(codes) != len(summaries):
        raise ValueError(
            f"there are {len(codes)} codes, and {len(summaries)} summaries: give "
            "one for each"
        )


def is_text(summary: str) -> bool:
    """Whether it is one line of running words, whatever they say."""
    words = _words(summary)
    known = _has_verb(summary) or not lexicon.FUNCTION_WORDS.isdisjoint(words)
    return (
        len(words) >= max(_SHORTEST, 0.8 * len(summary.split()))
        and known
        and "\n" not in summary.strip()
        and lexicon.longest_content_run(words) <= 5
        and _repeated(words) <= 0.2
    )


def is_imperative(summary: str) -> bool:
    """Whether it begins with a verb in the imperative: "List files", not "List of"."""
    first, second, *_ = [*_words(summary), "", ""]
    return first in lexicon.VERBS and second != "of"


def _terse(summary: str) -> float:
    """Terse utility of one summary."""
    marks = _has_capital(summary) and _has_full_stop(summary)
    sentence = marks and is_text(summary) and _has_verb(summary)
    return sentence * np.exp((_SHORTEST - len(_words(summary))) / _LENGTH_SCALE)


def _thorough(code: str, summary: str) -> float:
    """Thorough utility of one summary."""
    wanted = lexicon.identifiers(code)
    said = lexicon.content(lexicon.split(summary))
    if not wanted or not said or not is_text(summary):
        return 0.0
    mentioned = sum(n for word, n in wanted.items() if lexicon.mentions(said, word))
    share, different = mentioned / wanted.total(), len(set(said))
    detail = 1 - np.exp(-different / _DETAIL_SCALE)
    weighted = (1 - _DETAIL_WEIGHT) * share + _DETAIL_WEIGHT * detail
    return weighted * different / len(said)


def _style(code: str, summary: str) -> float:
    """Style utility of one summary."""
    checks = is_imperative(summary), _has_capital(summary), _has_full_stop(summary)
    signature = lexicon.signature(code)
    after_verb = lexicon.content(lexicon.split(" ".join(summary.split()[1:])))
    new = sum(word not in signature for word in after_verb) / max(1, len(after_verb))
    return is_text(summary) * sum(checks) / len(checks) * new


def _has_capital(summary: str) -> bool:
    """Whether it begins with a capital letter."""
    return summary.strip()[:1].isupper()


def _has_full_stop(summary: str) -> bool:
    """Whether it ends with one full stop, and no sentence ends before that."""
    text = summary.strip()
    return text.endswith(".") and not text.endswith("..") and ". " not in text


def _has_verb(summary: str) -> bool:
    """Whether some word is a known verb in any form, or an auxiliary."""
    words = _words(summary)
    return any(w in _AUXILIARIES or lexicon.stem(w) in _STEMS_OF_VERBS for w in words)


@functools.lru_cache(maxsize=65536)
def _words(summary: str) -> tuple[str, ...]:
    """The words among the text's tokens, in lower case and without punctuation."""
    tokens = (token.strip(".,;:!?()[]{}<>`'\"*") for token in summary.split())
    return tuple(token.lower() for token in tokens if _WORD.fullmatch(token))


def _repeated(words: Sequence[str]) -> float:
    """Share of words said before; a function word may be said twice."""
    counts = collections.Counter(words)
    excess = sum(
        max(0, count - (2 if word in lexicon.FUNCTION_WORDS else 1))
        for word, count in counts.items()
    )
    return excess / max(1, len(words))
