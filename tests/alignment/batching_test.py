"""Batches padded to several lengths: the same examples and draws, less padding."""

import json
import operator

import jax
import numpy as np
import pytest

from nashalign import alignment, data
from nashalign.types import Examples, Prompts

# Mostly short, as prompts are, with a few that are long.
PROMPTS = [
    f"def f{n}(x):\n    return x" + " + x" * (n % 15 == 0) * 9 for n in range(60)
]


@pytest.fixture(scope="module")
def own(start_policy):
    records = [
        data.Record(prompt=prompt, chosen="x+x" * (n % 20 == 7), rejected="x")
        for n, prompt in enumerate(PROMPTS)
    ]
    return alignment.text_task(
        start_policy,
        records,
        lambda prompt, y, z: float(len(y) < len(z)) / 2 + 0.25,
        text=alignment.Text(response_length=6),
        splits=alignment.Splits(validation=0.0, test=0.0),
    )


def aligned(own, method, folder, number):
    training = alignment.Training(
        num_steps=6, batch_size=8, prompt_lengths=number, evaluate_every=100
    )
    found = alignment.align(
        method,
        own.task,
        own.annotator,
        training=training,
        folder=folder,
        seed=3,
        data_set=own.data_set(),
    )
    lines = (folder / "rollouts.jsonl").read_text().splitlines()
    return found.params, [json.loads(line) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    "method, trimming",
    [
        ("online_ipo", "trim_prompts"),
        pytest.param("dpo", "trim_examples", marks=pytest.mark.full),
        # One of its responses is given, and the other one sampled.
        pytest.param("spin", "trim_examples", marks=pytest.mark.full),
    ],
)
def test_a_run_on_several_lengths_draws_the_same_and_is_the_same(
    own, method, trimming, tmp_path, monkeypatch
):
    one, said = aligned(own, method, tmp_path / "one", 1)
    shapes, trim = [], getattr(data, trimming)

    def spy(batch, *lengths, **named):
        found = trim(batch, *lengths, **named)
        shapes.append(shape(found))
        return found

    monkeypatch.setattr(data, trimming, spy)
    several, again = aligned(own, method, tmp_path / "several", 3)
    assert len(set(shapes)) > 1 and len(shapes) == 6
    assert method != "dpo" or len({length for _, length in shapes}) > 1
    fields = operator.itemgetter("step", "id", "responses")
    assert len(said) > 5
    assert list(map(fields, said)) == list(map(fields, again))
    start = own.task.start.params
    for x, y, z in zip(*map(jax.tree.leaves, (one, several, start)), strict=True):
        moved = np.abs(x - z).max()
        # Adam makes a gradient of rounding errors as large as any.
        assert np.abs(x - y).max() <= 0.05 * moved + 1e-6


def shape(batch):
    """Columns of prompts, and of the responses that they have."""
    if isinstance(batch, Prompts):
        return batch.tokens.shape[1:]
    return batch.prompts.tokens.shape[1], batch.responses.tokens.shape[2]


def test_batches_have_the_same_examples_at_fewer_columns(own):
    prompts = own.task.prompts["train"]
    draw = data.prompt_batches(
        prompts, batch_size=4, length=own.task.prompt_length, pad_id=0, seed=0
    )
    lengths = data.bucket_lengths(
        list(map(len, prompts.tokens)), batch_size=4, number=3
    )
    columns = {}
    for step in range(60):
        whole = draw(step)
        short = data.trim_prompts(whole, lengths)
        assert short.tokens.shape[1] in lengths and (short.ids == whole.ids).all()
        for before, after in zip(rows(whole), rows(short), strict=True):
            assert before == after
        columns[step] = short.tokens.shape[1] / whole.tokens.shape[1]
    assert len(set(columns.values())) > 1
    assert np.mean(list(columns.values())) < 0.95


def rows(prompts):
    """The tokens of each prompt, without padding."""
    pairs = zip(prompts.tokens, prompts.mask, strict=True)
    return [tokens[mask].tolist() for tokens, mask in pairs]


def test_each_length_is_met_by_about_as_many_batches():
    draw = np.random.default_rng(0)
    lengths = draw.geometric(0.02, 4000)
    found = data.bucket_lengths(lengths.tolist(), batch_size=8, number=4)
    assert len(found) == 4 and found[-1] == lengths.max()
    longest = draw.choice(lengths, (20_000, 8)).max(-1)
    shares = np.histogram(longest, bins=[0, *(own + 1 for own in found)])[0] / 20_000
    np.testing.assert_allclose(shares, 0.25, atol=0.02)


def test_prompts_of_one_length_have_one():
    assert data.bucket_lengths([7] * 9, batch_size=4, number=5) == (7,)
    assert data.bucket_lengths([3, 9, 5], batch_size=2, number=1) == (9,)
    for lengths, number in (([], 1), ([3], 0)):
        with pytest.raises(ValueError, match="no lengths|number must be"):
            data.bucket_lengths(lengths, batch_size=2, number=number)


def test_no_token_is_ever_cut_off():
    prompts = data.pad_prompts([[1, 2, 3], [4]], np.arange(2), length=6, pad_id=0)
    for lengths, columns in [
        ((2, 3, 6), 3),
        ((4,), 4),
        ((1, 2), 6),
        ((), 6),
        ((9,), 6),
    ]:
        found = data.trim_prompts(prompts, lengths)
        assert found.tokens.shape == found.mask.shape == (2, columns)
        assert rows(found) == [[1, 2, 3], [4]]


def test_given_responses_lose_padding_and_no_token():
    responses = data.pad_responses(
        [[[1], [2, 3]], [[4, 5, 6], [7]]], length=8, pad_id=0
    )
    examples = Examples(
        prompts=data.pad_prompts([[1, 2], [3]], np.arange(2), length=6, pad_id=0),
        responses=responses,
        frozen_log_probs={"reference": np.where(responses.mask, -1.0, 0.0)},
    )
    for shapes, expected in [
        ([(2, 2), (2, 3), (6, 8)], (2, 3)),
        ([(1, 4), (3, 4)], (3, 4)),
        ([(9, 3)], (6, 8)),
        ([(2, 2)], (6, 8)),
    ]:
        found = data.trim_examples(examples, shapes)
        assert shape(found) == expected
        assert found.responses.mask.sum() == 7
        assert found.frozen_log_probs["reference"].sum() == -7
        assert found.frozen_log_probs["reference"].shape == (2, 2, expected[1])
        np.testing.assert_array_equal(found.responses.truncated, responses.truncated)


def test_as_many_shapes_as_are_asked_for_hold_both_lengths():
    draw = np.random.default_rng(0)
    lengths = draw.geometric((0.02, 0.1), (4000, 2))
    shapes = data.bucket_shapes(lengths, batch_size=8, number=4)
    assert len(shapes) == 4 and shapes[-1] == tuple(lengths.max(0))
    assert (np.diff(shapes, axis=0) >= 0).all()
    for place in range(2):
        own = data.bucket_lengths(lengths[:, place], batch_size=8, number=4)
        assert own == tuple(dict.fromkeys(own[place] for own in shapes))
