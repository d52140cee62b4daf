"""Words of a summary and of a function's code, as the reviewers read them.

A *content word* is a word that is neither a function word of English nor a keyword of
Python; it is compared by its stem, so that `parses`, `parsed` and `parser.parse` have
`pars` in common. No dictionary is consulted beyond a list of verbs: a word that nobody
knows counts as a word.
"""

import collections
import functools
import re
from collections.abc import Sequence

# Verbs that begin the summary of a function. Verbs that are also common nouns of code
# (`key`, `index`, `name`) are left out: as a first word they are mostly the noun.
VERBS = frozenset(
    """
    abort accept access accumulate acquire activate add adjust advance aggregate
    align allocate allow analyze annotate append apply approximate arrange ask
    assemble assert assign attach attempt average begin bind block boost broadcast
    build calculate call cancel capture cast change check choose clean clear clip
    clone close coerce collapse collect combine compare compile complete compose
    compress compute concatenate configure connect construct consume contract
    convert convolve copy correct count create cut deactivate decide declare decode
    decompress decorate decrease decrypt define delegate delete denormalize derive
    describe deserialize destroy detach detect determine differentiate disable
    discard disconnect discover dispatch display distribute divide do download drain
    draw drop dump duplicate emit emulate enable encode encrypt enqueue ensure enter
    enumerate escape estimate evaluate examine exchange execute exit expand expose
    extend extract fail fetch fill filter finalize find finish fire fit fix flatten
    flush follow force forget format forward free freeze fuse gather generate get
    give go grab group guess handle hash help hide highlight identify ignore
    implement import include increase increment infer inform initialise initialize
    inject insert inspect install instantiate integrate intercept interpolate
    interpret introduce invert invoke issue iterate join jump keep kill launch let
    lift list load locate lock log look lookup lower maintain make manage map mark
    match maximize measure merge migrate minimize modify monitor move multiply
    mutate negate normalise normalize notify obtain offset open optimize order
    override overwrite pack pad parse partition pass patch paste pause peek perform
    permute pick place plot point poll pop populate post prepare prepend preprocess
    preserve prevent print process produce project promote propagate provide prune
    publish pull push put query queue quote raise randomize rank reach read rebuild
    receive recompute reconstruct record recover redirect reduce refresh register
    reject release reload remove rename render reorder repeat replace replicate
    report represent request require rescale reserve reset reshape resize resolve
    respond restart restore restrict resume retrieve retry return reverse revert
    rewind rewrite roll rotate round run sample save scale scan schedule search
    select send separate serialise serialize serve set setup shift show shuffle shut
    shutdown signal simplify simulate skip sleep slice smooth solve sort specify
    split stack start stop store strip submit subscribe substitute subtract sum
    summarize support suppress swap switch sync synchronize take tell terminate test
    tidy toggle tokenize track train transfer transform translate transpose traverse
    trigger trim truncate try turn uncompress undo unescape unflatten uninstall
    unload unlock unpack unquote unregister unset unwrap update upgrade upload use
    validate uncomment verify visit wait wake walk warn weight wrap write yield zip
    zoom
    """.split()
)

FUNCTION_WORDS = frozenset(
    """
    a about after all also an and any are as at be because been before being between
    both but by can cannot could did does doing done during each either else every
    few for from had has have having he her here his how however i if in instead
    into is it its itself like may me might more most must my neither no nor not of
    off on once one only or other our out over own per same shall should so some
    such than that the their them then there these they this those through to too
    under until up upon us using via was we were what when where whether which while
    who whom whose why will with within without would yet you your
    """.split()
)

PYTHON_WORDS = frozenset(
    """
    arg args assert async await break cls class continue def del elif except false
    finally global import kwargs lambda none nonlocal pass raise return self true
    try yield
    """.split()
)

_LITERALS = re.compile(r"#[^\n]*|\"[^\"\n]*\"|'[^'\n]*'")
_NAMES = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SIGNATURE = re.compile(r"\bdef\s+\w+\s*(?:\([^)]*)?")


def split(text: str) -> list[str]:
    """Words of a text in lower case, snake_case and camelCase taken apart."""
    return [part.lower() for part in _PARTS.findall(text)]


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The word without plural, tense and final e: light, not linguistic."""
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "i"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) >= len(ending) + 3:
            word = word if word.endswith("ss") else word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] in "bdgmnprt":
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word


def content(words: list[str]) -> list[str]:
    """Stems of the words that carry meaning, in order; single letters are dropped."""
    dropped = FUNCTION_WORDS | PYTHON_WORDS
    return [stem(word) for word in words if len(word) > 1 and word not in dropped]


@functools.lru_cache(maxsize=65536)
def identifiers(code: str) -> collections.Counter[str]:
    """Stems of the words of all identifiers, counted; strings, comments left out."""
    names = " ".join(_NAMES.findall(_LITERALS.sub(" ", code)))
    return collections.Counter(content(split(names)))


@functools.lru_cache(maxsize=65536)
def signature(code: str) -> frozenset[str]:
    """Stems of the words of a function's name and parameters; empty without a def."""
    found = _SIGNATURE.search(code)
    return frozenset(identifiers(found.group())) if found else frozenset()


def mentions(said: list[str], stem_of_name: str) -> bool:
    """Whether a word begins with the stem of a name; two letters must be all of it."""
    if len(stem_of_name) < 3:
        return stem_of_name in said
    return any(word.startswith(stem_of_name) for word in said)


def longest_content_run(words: Sequence[str]) -> int:
    """Length of the longest run of words without a function word between them."""
    longest = run = 0
    for word in words:
        run = 0 if word in FUNCTION_WORDS else run + 1
        longest = max(longest, run)
    return longest
