"""What frozen policies say of the examples of a run: computed once, and of whom."""

import dataclasses

import jax
import numpy as np
import pytest

from nashalign import algorithms, alignment, policies, training
from nashalign.algorithms.rounds.round import divide
from nashalign.alignment import course, examples, log_probs
from tests.tiny_task import NUM_PROMPTS


@dataclasses.dataclass(frozen=True)
class Stages:
    """Two of them."""

    formula: str = "a stage, and another one"

    def __call__(self, method, num_steps):
        return [
            algorithms.Round(method=method, num_steps=own, begins_stage=bool(number))
            for number, own in enumerate(divide(num_steps, 2))
        ]


IN_STAGES = dataclasses.replace(
    algorithms.TABLE["dpo"], name="dpo_in_stages", rounds=Stages()
)


@pytest.fixture
def align(loaded, data_set, tmp_path):
    """Trains a row for some updates of two examples, in a folder of this name."""

    def trained(row, folder, num_steps=2):
        return alignment.align(
            row,
            loaded.task,
            loaded.annotator,
            training=alignment.Training(
                num_steps=num_steps, batch_size=2, save_every=1, schedule="constant"
            ),
            folder=tmp_path / folder,
            seed=0,
            learning_rate=0.01,
            data_set=data_set,
            mesh=training.make_mesh(jax.devices()[:1]),
        )

    return trained


@pytest.fixture(scope="session")
def pairs(data_set):
    return algorithms.first(data_set.sampled, 2)


@pytest.fixture
def beside(loaded, pairs, tmp_path):
    """Reads some of the pairs by the start policy, or others by another one."""

    def found(rows=range(NUM_PROMPTS), own=pairs, params=loaded.task.start.params):
        return log_probs.beside(
            tmp_path / log_probs.FILE,
            loaded.task.start.policy,
            {"reference": params},
            own,
            np.array(rows),
            batch_size=4,
            mesh=training.make_mesh(jax.devices()[:2]),
            name="",
        ).frozen_log_probs["reference"]

    return found


def computed(task, params, own):
    return policies.log_probs(task.start.policy, params, own.prompts, own.responses)


def nobody(*given):
    raise AssertionError("the examples have been read before")


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_examples_are_read_once_and_only_those_that_are_asked_for(
    beside, loaded, pairs, monkeypatch
):
    expected = np.asarray(computed(loaded.task, loaded.task.start.params, pairs))
    some = beside([6, 1, 6, 2, 4, 0])
    np.testing.assert_array_equal(
        np.isnan(some).any((1, 2)), np.isin(range(8), [3, 5, 7])
    )
    known = ~np.isnan(some)
    np.testing.assert_allclose(some[known], expected[known], atol=1e-5)
    every = beside()
    np.testing.assert_array_equal(every[known], some[known])
    np.testing.assert_allclose(every, expected, atol=1e-5)
    monkeypatch.setattr(log_probs, "_read_by", nobody)
    np.testing.assert_array_equal(beside(), every)


def test_a_file_of_another_policy_or_of_other_examples_is_refused(
    beside, loaded, pairs, tmp_path
):
    beside()
    moved = jax.tree.map(lambda x: x * 1.01, loaded.task.start.params)
    tokens = pairs.responses.tokens.copy()
    tokens[3, 1, 0] += 1
    other = dataclasses.replace(
        pairs, responses=dataclasses.replace(pairs.responses, tokens=tokens)
    )
    turned = algorithms.take(pairs, slice(None, None, -1))
    fewer = algorithms.take(pairs, slice(4))
    for given in (
        {"params": moved},
        {"own": other},
        {"own": turned},
        {"own": fewer, "rows": range(4)},
    ):
        with pytest.raises(ValueError, match="is of another frozen policy or of other"):
            beside(**given)
    (tmp_path / log_probs.FILE).write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match=r"log_probs.npz is damaged .* Delete it"):
        beside()


def test_a_round_reads_the_examples_that_its_batches_have(pairs):
    batch = examples.batches(pairs, batch_size=2, seed=1)
    for own in (range(3), range(2, 5)):
        found = examples.drawn(pairs, own, batch_size=2, seed=1)
        ids = [batch(step).prompts.ids for step in own]
        np.testing.assert_array_equal(pairs.prompts.ids[found], np.ravel(ids))
    # Here they are as many as there are.
    every = examples.drawn(pairs, range(3, 7), batch_size=2, seed=1)
    np.testing.assert_array_equal(every, np.arange(NUM_PROMPTS))


def test_examples_are_kept_without_what_policies_say_of_them(pairs, tmp_path):
    known = {"reference": np.zeros(pairs.responses.tokens.shape, np.float32)}
    own = dataclasses.replace(pairs, frozen_log_probs=known)
    same(examples.keep(tmp_path / "examples.npz", lambda: own), pairs)


@pytest.mark.slow
def test_a_run_ends_where_it_would_if_every_step_computed_them(
    align, tmp_path, monkeypatch
):
    known = align("dpo", "known")
    assert (tmp_path / "known" / log_probs.FILE).exists()
    with monkeypatch.context() as patch:
        patch.setattr(algorithms.Method, "precomputed", ())
        expected = align("dpo", "computed")
    assert not (tmp_path / "computed" / log_probs.FILE).exists()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        known.params,
        expected.params,
    )
    moving = align("tr_dpo", "moving")
    assert not (moving.folder / log_probs.FILE).exists()


@pytest.mark.slow
def test_after_a_stage_the_examples_are_read_by_the_new_reference(
    align, loaded, pairs, tmp_path, monkeypatch
):
    first = align("dpo", "first")
    whole = align(IN_STAGES, "whole", num_steps=4)
    read = dict(np.load(whole.folder / "round_2" / log_probs.FILE))["reference"]
    expected = np.asarray(computed(loaded.task, first.params, pairs))
    before = np.asarray(computed(loaded.task, loaded.task.start.params, pairs))
    known = ~np.isnan(read)
    np.testing.assert_allclose(read[known], expected[known], atol=1e-5)
    assert np.abs(read - before)[known].max() > 1e-3
    train, rounds = course._train, []

    def killed(*given):
        rounds.append(given)
        if len(rounds) == 2:
            raise MemoryError
        return train(*given)

    with monkeypatch.context() as patch:
        patch.setattr(course, "_train", killed)
        with pytest.raises(MemoryError):
            align(IN_STAGES, "broken", num_steps=4)
    monkeypatch.setattr(log_probs, "_read_by", nobody)
    same(align(IN_STAGES, "broken", num_steps=4).params, whole.params)
