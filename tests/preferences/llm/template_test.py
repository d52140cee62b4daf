"""Templates: what a file must have, and what becomes of texts in it."""

import pytest

from nashalign import preferences

llm = preferences.llm

COMPARISON = "answers: A B\n\n{context} | {first} | {second}?\n"


def written(tmp_path, text):
    path = tmp_path / "own.txt"
    path.write_text(text)
    return str(path)


def test_a_file_of_ones_own_is_filled(tmp_path):
    own = llm.load_template(written(tmp_path, COMPARISON))
    assert (own.name, own.answers, own.compares) == ("own", ("A", "B"), True)
    assert own.fill("P", "y", "z") == "P | y | z?"


def test_what_a_text_spells_is_no_field(tmp_path):
    own = llm.load_template(written(tmp_path, COMPARISON))
    assert own.fill("{second}", "{first} {0} {x}", "z") == (
        "{second} | {first} {0} {x} | z?"
    )


def test_a_template_of_rewards_has_numbers(tmp_path):
    own = llm.load_template(
        written(tmp_path, "answers: 0 2.5\n\n{response} to {context}")
    )
    assert not own.compares and own.values == (0.0, 2.5)
    assert own.fill("P", "y") == "y to P"


@pytest.mark.parametrize("name", llm.templates())
def test_those_that_come_along_show_each_text_once(name):
    own = llm.load_template(name)
    texts = ["<prompt>", "<one>", "<other>"][: 3 if own.compares else 2]
    filled = own.fill(*texts)
    assert [filled.count(text) for text in texts] == [1] * len(texts)
    assert "{" not in filled and filled == filled.strip()
    first = 0 if name == "additive" else 1
    assert own.answers[:2] == (str(first), str(first + 1))


def test_those_of_the_paper_and_a_reward_come_along():
    assert set(llm.templates()) >= {
        *("helpful", "helpful_short", "helpful_very_short", "harmless", "summary"),
        *("helpfulness", "additive"),
    }
    assert not llm.load_template("helpfulness").compares
    assert llm.load_template("additive").values == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "text, said",
    [
        ("{context} {first} {second}", "line 1: a template begins with `answers: 1 2`"),
        ("answers: 1 2\n\n{context} {first}", "no field {second}"),
        ("answers: 1 2\n\n{context} {response} {first}", "not both"),
        ("answers: 1 2 3\n\n{context} {first} {second}", "3 answers"),
        ("answers: 1 1\n\n{context} {first} {second}", "twice"),
        ("answers: good bad\n\n{context} {response}", "two or more numbers"),
        ("answers: 1\n\n{context} {response}", "two or more numbers"),
        ("answers: 1 inf\n\n{context} {response}", "two or more numbers"),
    ],
)
def test_a_file_that_is_no_template_is_named(tmp_path, text, said):
    with pytest.raises(ValueError, match="own.txt") as error:
        llm.load_template(written(tmp_path, text))
    assert said in str(error.value)


def test_a_name_that_is_nearly_one_is_suggested():
    with pytest.raises(ValueError, match="did you mean helpful"):
        llm.load_template("helpfull")
    with pytest.raises(ValueError, match="is not a file"):
        llm.load_template("nowhere.txt")
