"""The instructions: how many, of which kinds, and that no split knows another's."""

import collections

from experiments.instruct import reviewers, task
from nashalign import data

RECORDS = data.read_records(task.INSTRUCTIONS)


def of(split):
    return [record for record in RECORDS if record.others["split"] == split]


def test_there_are_fifty_to_test_on_and_a_quarter_of_a_thousand_others():
    assert {record.others["split"] for record in RECORDS} == set(data.SPLITS)
    assert len(of("test")) == 50
    assert len(of("train")) + len(of("validation")) == 250


def test_each_is_there_once_and_no_split_has_one_like_it_in_another():
    assert len({record.prompt.lower() for record in RECORDS}) == len(RECORDS)
    for record in of("test"):
        own = reviewers.wanted(record.prompt)
        for other in of("train") + of("validation"):
            theirs = reviewers.wanted(other.prompt)
            assert len(own & theirs) / len(own | theirs) < 0.6, (record, other)


def test_every_kind_is_in_every_split_alike():
    kinds = {record.others["kind"] for record in RECORDS}
    assert len(kinds) == 10
    for split in data.SPLITS:
        counts = collections.Counter(record.others["kind"] for record in of(split))
        assert set(counts.values()) == {len(of(split)) // 10}


def test_every_one_is_short_and_about_something():
    for record in RECORDS:
        assert len(record.prompt.split()) <= 25
        assert reviewers.wanted(record.prompt), record.prompt
