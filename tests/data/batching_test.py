"""Batches: shuffled, shared out among processes, resumed at the exact example."""

import itertools
import json

import grain
import pytest

from nashalign import data


def shares(size, *, number, batch_size=6, seed=3):
    return [
        data.pipeline(
            range(size),
            batch_size=batch_size,
            seed=seed,
            process=process,
            num_processes=number,
        )
        for process in range(number)
    ]


@pytest.mark.parametrize("size", [6, 12, 13, 17, 20])
@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_processes_together_draw_the_batches_that_one_draws(size, number):
    one = data.batches(range(size), batch_size=6, seed=3)
    own = shares(size, number=number)
    for step in range(3 * (size // 6) + 1):
        parts = [share[step] for share in own]
        assert {len(part) for part in parts} == {6 // number}
        together = [example for row in zip(*parts, strict=True) for example in row]
        assert together == one(step)


def test_an_epoch_has_every_example_at_most_once_and_the_next_is_shuffled_anew():
    (own,) = shares(20, number=1)
    steps = (range(3), range(3, 6))
    epochs = [[one for step in epoch for one in own[step]] for epoch in steps]
    for epoch in epochs:
        assert len(set(epoch)) == 18
    assert epochs[0] != epochs[1] and epochs[0] != sorted(epochs[0])


def test_a_saved_state_goes_on_at_the_exact_example_in_each_process():
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    for own in shares(20, number=2):
        whole = list(itertools.islice(iter(own.to_iter_dataset(ahead)), 9))
        assert whole == [own[step] for step in range(9)]
        for stop in (0, 1, 4):
            iterator = iter(own.to_iter_dataset(ahead))
            for _ in range(stop):
                next(iterator)
            state = json.loads(json.dumps(iterator.get_state()))
            again = iter(own.to_iter_dataset(ahead))
            again.set_state(state)
            assert list(itertools.islice(again, 9 - stop)) == whole[stop:]


def test_records_are_drawn_as_they_are():
    records = [data.Record(prompt=f"{n}") for n in range(8)]
    places = data.pipeline(range(8), batch_size=4, seed=1)
    found = data.pipeline(records, batch_size=4, seed=1)
    for step in range(4):
        assert found[step] == [records[place] for place in places[step]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_processes": 4}, "4 processes do not divide a batch of 6"),
        ({"num_processes": 0}, "0 processes"),
        ({"process": 2, "num_processes": 2}, "no process 2 among 2"),
        ({"process": -1}, "no process -1"),
    ],
)
def test_processes_that_cannot_be_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        data.pipeline(range(20), batch_size=6, seed=0, **given)
