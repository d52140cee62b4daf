"""The three kinds of reviewer: what each likes, and what none of them takes."""

import numpy as np
import pytest

from experiments.docstrings import reviewers, words

CODE = """def read_lines(path, max_lines=None):
    with open(path) as source_file:
        return source_file.readlines()[:max_lines]  # unmentioned "strings" too"""

KINDS = (reviewers.terse, reviewers.thorough, reviewers.style)


def utility(kind, summary, code=CODE):
    return float(kind([code], [summary])[0])


@pytest.mark.parametrize(
    ("summary", "imperative"),
    [
        ("Return the name.", True),
        ("return the name", True),
        ("List files in a folder.", True),
        ("Check whether the path exists.", True),
        ("Returns the name.", False),
        ("Returning the name.", False),
        ("Returned when done.", False),
        ("List of files.", False),
        ("The name of the file.", False),
        ("True if the path exists.", False),
        ("Helper for reading.", False),
        ("This function returns the name.", False),
        ("", False),
        (".", False),
    ],
)
def test_pep_257_mood_is_the_bare_verb_first(summary, imperative):
    assert reviewers.is_imperative(summary) is imperative


@pytest.mark.parametrize(
    ("kind", "better", "worse"),
    [
        (reviewers.terse, "Read the lines.", "Read the lines of the file."),
        (reviewers.terse, "Read the lines of the file.", "Read the lines of the file"),
        (reviewers.terse, "Read the lines of the file.", "read the lines of the file."),
        (reviewers.terse, "Read the lines of a long file.", "Read lines"),
        (reviewers.terse, "Read the lines of a long file.", "The file, the lines."),
        (reviewers.terse, "Read the lines of a long file.", "Read it. Close it."),
        (reviewers.thorough, "Read lines of a source file.", "Read the lines."),
        (reviewers.thorough, "Read the lines at a path.", "Read the lines at once."),
        (
            reviewers.thorough,
            "Read the lines at a path.",
            "Read lines very slowly now.",
        ),
        (reviewers.thorough, "Read the lines of a novel.", "Read the lines."),
        (reviewers.thorough, "Read the lines at a path.", "Read lines at a read path."),
        (reviewers.style, "Load a text from disk.", "Loads a text from disk."),
        (reviewers.style, "Load a text from disk.", "load a text from disk."),
        (reviewers.style, "Load a text from disk.", "Load a text from disk"),
        (reviewers.style, "Load a text from disk.", "Load a text... from disk..."),
        (reviewers.style, "Load a text from disk.", "Read the lines."),
        (reviewers.style, "Read the lines of a text.", "Read the lines."),
        (reviewers.style, "Read a text.", "Read a text at a path."),
    ],
)
def test_reviewer_prefers_what_its_kind_is_named_for(kind, better, worse):
    assert utility(kind, better) > utility(kind, worse)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "summary",
    [
        "",
        " ",
        ".",
        "...",
        "Return.",
        "Read lines.",
        "Read\nthe lines\nof it.",
        "the the the the the the.",
        "Read the the the the lines.",
        "Read read read read.",
        "Read path max lines source file readlines.",
        "read_lines(path, max_lines) source_file.readlines().",
        "return self.path[0] == max_lines + 1.",
        "\ufffd\ufffd )( == {} []",
        "xq zv kw pf bn.",
        "12 34 56 78.",
    ],
)
def test_no_reviewer_takes_emptiness_or_garbage(kind, summary):
    assert utility(kind, summary) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_summary_pleases_every_kind(kind):
    assert utility(kind, "Read the lines of a source file at a path.") > 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_utilities_are_between_zero_and_one_for_any_text(kind):
    rng = np.random.default_rng(0)
    vocabulary = [
        *CODE.split(),
        "Return",
        "the",
        "a",
        "file.",
        "Lists",
        ".",
        "\n",
        "of",
    ]
    summaries = [" ".join(rng.choice(vocabulary, n % 6)) for n in range(3000)]
    values = kind([CODE] * 3000, summaries)
    assert values.dtype == np.float64 and values.shape == (3000,)
    assert values.min() >= 0 and values.max() <= 1 and values.max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_endless_words_are_not_endless_work(kind):
    # Backtracking over these would take longer than the universe.
    words_of_doom = "a" * 100 + "!x", "1.2" * 100 + "!x", "a_" * 100 + "!x"
    for word in words_of_doom:
        assert 0 <= utility(kind, f"Return the {word}.") <= 1


def test_terse_loses_a_factor_e_in_ten_words():
    short = "Return the name."
    long = "Return the name that a very old and quite broken file once had."
    assert utility(reviewers.terse, short) == 1
    np.testing.assert_allclose(utility(reviewers.terse, long), np.exp(-1))


def test_thorough_is_the_share_of_identifier_words_mentioned():
    counts = {"read": 1, "lines": 3, "path": 2, "max": 2, "open": 1}
    counts |= {"source": 2, "file": 2, "readlines": 1}
    assert words.identifiers(CODE) == {words.stem(w): n for w, n in counts.items()}
    expected = 0.8 * (1 + 3 + 2) / 14 + 0.2 * (1 - np.exp(-3 / 8))
    once = utility(reviewers.thorough, "Read the lines at a path.")
    np.testing.assert_allclose(once, expected)
    twice = utility(reviewers.thorough, "Read lines at a path at a path.")
    np.testing.assert_allclose(twice, expected * 3 / 4)


def test_an_abbreviated_identifier_is_mentioned_by_the_full_word():
    code = "def list_dir(self): ..."
    detail = 0.2 * (1 - np.exp(-2 / 8))
    np.testing.assert_allclose(
        utility(reviewers.thorough, "Show what a directory has.", code),
        0.8 / 2 + detail,
    )


@pytest.mark.parametrize(
    ("code", "summary", "new"),
    [
        ("def get_name(self): ...", "Get the name.", 0),
        ("def getName(self): ...", "Return the names.", 0),
        ("def get_name(self): ...", "Get the name of a user.", 1 / 2),
        ("def get_name(self): ...", "Look the user up.", 1),
        ("def get(self, user: str): ...", "Get a user.", 0),
        ("def get(\n    user,\n    age,\n): ...", "Get a user of any age.", 0),
        ("def get(self): user", "Get a user.", 1),
        ("user", "Get a user.", 1),
    ],
)
def test_style_counts_what_does_not_restate_the_signature(code, summary, new):
    np.testing.assert_allclose(utility(reviewers.style, summary, code), new)


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("parses", "pars"),
        ("parsed", "pars"),
        ("parsing", "pars"),
        ("getting", "get"),
        ("copies", "copi"),
        ("copy", "copi"),
        ("classes", "class"),
        ("class", "class"),
        ("filling", "fill"),
        ("file", "fil"),
        ("is", "is"),
    ],
)
def test_stems_join_the_forms_of_a_word(word, stem):
    assert words.stem(word) == stem


def test_names_are_taken_apart_at_underscores_and_capitals():
    assert (
        words.split("parse_HTTPHeader2 maxSize") == "parse http header max size".split()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [None, 3, "Read the lines.", ["Read.", None]])
def test_what_is_no_list_of_texts_is_named(kind, texts):
    with pytest.raises(TypeError, match="^summaries must be a list of texts"):
        kind([CODE], texts)
    with pytest.raises(TypeError, match="^codes must be a list of texts"):
        kind(texts, ["Read the lines."])
