"""PandaLM and LLMBar: who won, by whose votes, and who wrote what."""

import json

import pytest

from nashalign import data

PAIR = {
    "idx": 7,
    "motivation_app": "Kitchen",
    "cmp_key": "alpha-1b_beta-2b",
    "instruction": "Name a fruit.",
    "input": "",
    "response1": "A pear.",
    "response2": "A stone.",
    "annotator1": 1,
    "annotator2": 1,
    "annotator3": 1,
}


def read(tmp_path, form, *lines):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(lines))
    return data.read_records(path, form)


@pytest.mark.parametrize(
    ("said", "winner", "votes"),
    [
        ((1, 1, 1), 1, (1.0, 1.0, 1.0)),
        ((2, 1, 2), 2, (1.0, 0.0, 1.0)),
        ((0, 0, 2), 2, (0.5, 0.5, 1.0)),
        ((0, 1, 0), 1, (0.5, 1.0, 0.5)),
        # Where they balance, the first response stands as the chosen one.
        ((0, 0, 0), 1, (0.5, 0.5, 0.5)),
        ((2, 0, 1), 1, (0.0, 0.5, 1.0)),
    ],
)
def test_the_chosen_response_has_more_votes_and_each_vote_is_kept(
    tmp_path, said, winner, votes
):
    voters = {f"annotator{n}": vote for n, vote in enumerate(said, 1)}
    (found,) = read(tmp_path, "pandalm", PAIR | voters)
    responses, authors = ("A pear.", "A stone."), ("alpha-1b", "beta-2b")
    assert found.chosen == responses[winner - 1]
    assert found.rejected == responses[2 - winner]
    assert found.authors == (authors[winner - 1], authors[2 - winner])
    assert found.votes == votes
    assert found.preferred == pytest.approx(sum(votes) / 3)
    assert found.others == {
        "idx": 7,
        "motivation_app": "Kitchen",
        "cmp_key": "alpha-1b_beta-2b",
    }


@pytest.mark.parametrize(
    ("instruction", "context", "prompt"),
    [("Add.", "1 and 2", "Add.\n\n1 and 2"), ("Add.", " ", "Add."), (" ", "1", "1")],
)
def test_an_instruction_and_its_input_are_one_prompt(
    tmp_path, instruction, context, prompt
):
    (found,) = read(
        tmp_path, "pandalm", PAIR | {"instruction": instruction, "input": context}
    )
    assert found.prompt == prompt


def test_a_truth_value_in_the_place_of_a_response_is_a_word(tmp_path):
    (found,) = read(tmp_path, "pandalm", PAIR | {"response2": True})
    assert found.rejected == "True"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"annotator2": 3}, "`annotator2` is 3; it must be one of 0, 1, 2"),
        ({"annotator2": True}, "`annotator2` is True"),
        ({"annotator3": None}, "`annotator3` is missing"),
        ({"response1": 3}, "`response1` is 3"),
        ({"instruction": None}, "`instruction` is missing"),
        ({"instruction": "", "input": " "}, "`instruction` and `input` are empty"),
        ({"cmp_key": "alpha"}, "`cmp_key` is 'alpha'"),
        ({"cmp_key": "a_b_c"}, "`cmp_key` is 'a_b_c'"),
        ({"cmp_key": "_b"}, "`cmp_key` is '_b'"),
    ],
    ids=str,
)
def test_a_pair_that_is_none_is_named_by_file_place_and_field(tmp_path, wrong, said):
    with pytest.raises(ValueError) as error:
        read(tmp_path, "pandalm", PAIR, PAIR | wrong)
    assert "pairs.json, entry [1]: " + said in str(error.value)


@pytest.mark.parametrize("label", [1, 2])
def test_the_output_that_the_label_names_is_chosen(tmp_path, label):
    line = {"input": "Count.", "output_1": "one", "output_2": "two", "label": label}
    (found,) = read(tmp_path, "llmbar", line)
    assert (found.chosen, found.rejected) == (
        ("one", "two") if label == 1 else ("two", "one")
    )
    assert (found.votes, found.authors, found.preferred) == (None, None, 1.0)
