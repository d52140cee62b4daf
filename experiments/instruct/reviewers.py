r"""Three kinds of reviewer of an answer to an instruction, who want different things.

Each is a utility u(x, y) in [0, 1] of two texts, the instruction x and the answer y:

    brief     few words, and an end
    covering  the words of the instruction taken up: what was asked is answered
    fresh     nothing said twice, and nothing that the instruction has said already

Each utility has the factor text(y) in {0, 1}: at least three words, a function word
among them, and at most six content words in a row on one line, for lists of words
answer nothing. There is no language model behind it: nobody here knows what is true.

The mean of their votes is intransitive: a short answer is preferred to one that repeats
the question (*brief*, *fresh*), that to a long one which does not (*brief*,
*covering*), and that to the short one (*covering*, *fresh*).
"""

import functools
import re
from collections.abc import Callable, Sequence

import numpy as np

from experiments.docstrings import words as lexicon
from nashalign import preferences

_SHORTEST, _LONGEST_RUN = 3, 6
_LENGTH_SCALE = 15.0  # words by which a longer answer loses a factor e
_DETAIL_SCALE = 8.0  # new content words that bring detail to 1 - 1/e
_DETAIL_WEIGHT = 0.2
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Behind the last mark of a sentence, quotes, brackets and a fence may close.
_END = re.compile(r"[.!?…][\"'”’)*\]]*\s*$|```\s*$")
# They say what to do, and not about what.
_ASKING = frozenset(
    """
    answer compare correct describe exact example explain expression formal four give
    line list make name one person please plain rewrite say sentence sentences short
    shorter simple simpler single sound suggest tell text three tiny turn two very way
    word words write
    """.split()
)
_PRONOUNS = frozenset("am are him me mine myself ours she something us".split())


def brief(instructions: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    r"""Utility of saying it in few words, to the end.

    .. math:: u(y) = text(y) ended(y) e^{-(n(y) - 3) / 15}

    `n` counts words. An answer has ended with the mark of a sentence, whatever closes
    behind it, or with the fence of a block of code.

    Args:
      instructions: `n` texts; not read.
      answers: `n` texts.

    Returns:
      `[n]` float64 in [0, 1]; zero for what was cut off.
    """
    return _each(_brief, instructions, answers)


def covering(instructions: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    r"""Utility of taking up what was asked.

    .. math:: u(x, y) = text(y) (0.8 share(x, y) + 0.2 detail(y))

    `share` is that of the instruction's content words whose stem begins a word of the
    answer; words that only say what to do ("list", "rewrite") are none of them.
    `detail`, 1 - exp(-c / 8) of its c different content words, decides between answers
    that take up the same.

    Args:
      instructions: `n` texts.
      answers: `n` texts.

    Returns:
      `[n]` float64 in [0, 1].
    """
    return _each(_covering, instructions, answers)


def fresh(instructions: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    r"""Utility of repeating neither oneself nor the instruction.

    .. math:: u(x, y) = text(y) \frac{new(x, y)}{all(y)} detail(new(x, y))

    `all` counts the content words of the answer, `new` the different ones among them
    that the instruction does not have; `detail` is that of *covering*.

    Args:
      instructions: `n` texts.
      answers: `n` texts.

    Returns:
      `[n]` float64 in [0, 1]; zero where nothing is new.
    """
    return _each(_fresh, instructions, answers)


def three_reviewers() -> preferences.Population:
    """The population: brief, covering and fresh, none of them a majority.

    Any two outvote the third, whose temperatures leave few votes to chance.
    """
    return preferences.Population(
        voters={"brief": brief, "covering": covering, "fresh": fresh},
        weights=(0.34, 0.36, 0.30),
        temperatures=(0.05, 0.05, 0.05),
    )


def wanted(instruction: str) -> frozenset[str]:
    """Returns the stems of an instruction's content words."""
    return frozenset(word for word in _content(instruction))


def _each(
    utility: Callable[[str, str], float],
    instructions: Sequence[str],
    answers: Sequence[str],
) -> np.ndarray:
    """The utility of each answer."""
    pairs = zip(instructions, answers, strict=True)
    return np.array([utility(*pair) for pair in pairs], np.float64)


def _brief(instruction: str, answer: str) -> float:
    """Brief utility of one answer."""
    del instruction
    ended = _END.search(answer) is not None
    beyond = len(_words(answer)) - _SHORTEST
    return float(_is_text(answer) and ended and np.exp(-beyond / _LENGTH_SCALE))


def _covering(instruction: str, answer: str) -> float:
    """Covering utility of one answer."""
    asked, said = wanted(instruction), _content(answer)
    if not _is_text(answer) or not asked:
        return 0.0
    share = sum(lexicon.mentions(said, word) for word in asked) / len(asked)
    return (1 - _DETAIL_WEIGHT) * share + _DETAIL_WEIGHT * _detail(len(set(said)))


def _fresh(instruction: str, answer: str) -> float:
    """Fresh utility of one answer."""
    said = _content(answer)
    new = len(set(said) - wanted(instruction))
    return _detail(new) * new / len(said) if said and _is_text(answer) else 0.0


def _detail(number: int) -> float:
    """What a number of different words is worth, in [0, 1)."""
    return 1 - float(np.exp(-number / _DETAIL_SCALE))


def _is_text(answer: str) -> bool:
    """Whether it is running words, whatever they say."""
    words = _words(answer)
    lines = [_words(line) for line in answer.splitlines()]
    return (
        len(words) >= _SHORTEST
        and not lexicon.FUNCTION_WORDS.isdisjoint(words)
        and max(map(lexicon.longest_content_run, lines)) <= _LONGEST_RUN
    )


@functools.lru_cache(maxsize=65536)
def _words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case."""
    return tuple(word.lower() for word in _WORD.findall(text))


@functools.lru_cache(maxsize=65536)
def _content(text: str) -> list[str]:
    """Stems of the words that say about what, in order; single letters are dropped."""
    dropped = lexicon.FUNCTION_WORDS | _ASKING | _PRONOUNS
    return [
        lexicon.stem(word)
        for word in _words(text)
        if len(word) > 1 and word not in dropped
    ]
