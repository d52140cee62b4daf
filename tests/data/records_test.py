"""Files of prompts: what is read, how it is shared out, and what is refused."""

import json

import pytest

from nashalign import data


def written(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_prompt_keeps_its_other_fields_to_be_shown(tmp_path):
    path = written(tmp_path / "p.jsonl", {"prompt": "a", "source": 3, "tags": ["x"]})
    (record,) = data.read_records(path)
    assert record.shown() == {"prompt": "a", "source": "3", "tags": "['x']"}
    assert record.chosen is None and record.scores is None


def test_a_pair_has_its_texts_and_scores(tmp_path):
    pair = {"prompt": "a", "chosen": "y", "rejected": "", "chosen_score": 2}
    path = written(tmp_path / "p.jsonl", pair | {"rejected_score": -1.5})
    (record,) = data.read_records(path)
    assert (record.chosen, record.rejected, record.scores) == ("y", "", (2.0, -1.5))


@pytest.mark.parametrize(
    "line, said",
    [
        ({}, "`prompt` is missing"),
        ({"prompt": 3}, "`prompt` is 3"),
        ({"prompt": "  "}, "`prompt` is"),
        ({"prompt": "a", "chosen": "y"}, "`rejected` is missing"),
        ({"prompt": "a", "chosen": "y", "rejected": 1}, "`rejected` is 1"),
        ({"prompt": "a", "chosen_score": 1, "rejected_score": 1}, "`chosen_score`"),
        (
            {"prompt": "a", "chosen": "y", "rejected": "z", "chosen_score": 1},
            "`rejected_score` is missing",
        ),
        (
            {"prompt": "a", "chosen": "y", "rejected": "z"}
            | {"chosen_score": True, "rejected_score": 1},
            "`chosen_score` is True",
        ),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, said):
    path = written(tmp_path / "p.jsonl", {"prompt": "fine"}, line)
    with pytest.raises(ValueError, match="p.jsonl, line 2: ") as error:
        data.read_records(path)
    assert said in str(error.value)


def test_pairs_for_some_prompts_only_are_refused(tmp_path):
    pair = {"prompt": "a", "chosen": "y", "rejected": "z"}
    path = written(tmp_path / "p.jsonl", pair, {"prompt": "b"})
    with pytest.raises(ValueError, match="1 of 2 prompts have `chosen`"):
        data.read_records(path)


def test_a_file_without_prompts_is_refused(tmp_path):
    (tmp_path / "p.jsonl").write_text("\n\n")
    with pytest.raises(ValueError, match="holds no prompt"):
        data.read_records(tmp_path / "p.jsonl")


def records(*prompts):
    return [data.Record(prompt=prompt) for prompt in prompts]


def test_equal_prompts_are_in_one_split_whatever_their_white_space():
    prompts = [f"number {n}" for n in range(50)]
    both = records(*prompts, *(f"  number\n{n} " for n in range(50)))
    for places in data.split_records(both, validation=0.3, test=0.3).values():
        assert {place + 50 for place in places if place < 50} <= set(places)


def test_a_prompt_stays_in_its_split_when_others_come():
    few, many = (records(*(f"p {n}" for n in range(count))) for count in (40, 400))
    first = data.split_records(few, validation=0.2, test=0.2)
    second = data.split_records(many, validation=0.2, test=0.2)
    for split in data.SPLITS:
        assert first[split] == [place for place in second[split] if place < 40]


def test_splits_have_about_the_shares_asked_for():
    found = data.split_records(
        records(*map(str, range(4000))), validation=0.1, test=0.25
    )
    assert sum(map(len, found.values())) == 4000
    # Five standard deviations of a binomial share.
    assert abs(len(found["validation"]) - 400) < 95
    assert abs(len(found["test"]) - 1000) < 137


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares):
    with pytest.raises(ValueError, match="leave some prompts"):
        data.split_records(records("a"), validation=shares[0], test=shares[1])
