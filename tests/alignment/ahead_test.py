"""Responses drawn one batch ahead of the update that learns from them."""

import dataclasses
import threading

import jax
import numpy as np
import pytest

from nashalign import algorithms, alignment, preferences, training
from nashalign.alignment import ahead, optimizers, steps
from tests import token_game

METHOD = algorithms.configure("ipo_md", tau=0.4)
MESH = training.make_mesh(jax.devices()[:1])
NUM_STEPS = 5


class Numbers:
    """A tokenizer whose texts are the tokens' numbers."""

    def decode(self, ids):
        return " ".join(map(str, ids))


class Broken(Exception):
    """The end of a run."""


class Judge:
    """Counts what it is asked, and fails at one batch."""

    batched = True

    def __init__(self, fails=None, asked=lambda: None):
        self.questions, self.calls = [], 0
        self.fails, self.asked = fails, asked

    def prefer(self, prompts, y, z):
        self.calls += 1
        self.asked()
        if self.calls - 1 == self.fails:
            raise Broken
        self.questions += zip(prompts, y, z, strict=True)
        return [(len(a) + sum(map(ord, a)) % 7) / 99 for a in y]


def annotator(judge, answers=None):
    texts = [str(n) for n in range(64)]
    return preferences.text_annotator(judge, Numbers(), texts, answers)


def batch_of(index):
    return token_game.prompts(range(8 * index, 8 * index + 8))


def compiled(split):
    return steps.compile_step(
        *(token_game.POLICY, token_game.DECODING, None, 0.3, NUM_STEPS),
        *("constant", "adam", algorithms.Memory(), MESH, True, split),
    )


def begun(setup):
    params = token_game.parameters(token_game.POLICY, 0)
    return algorithms.init(METHOD, setup, params, jax.random.key(0))


def run(folder, judge, answers=None, save_every=1):
    setup, step = compiled(ahead.Step)
    carried = training.run(
        lambda carried, batch: step(carried, batch, METHOD, judge, None),
        ahead.begin(METHOD, setup, begun(setup), batch_of(0), None),
        ahead.paired(batch_of, NUM_STEPS),
        NUM_STEPS,
        folder=folder,
        name="ahead",
        save_every=save_every,
        rollouts_of=lambda step, batch, groups: [
            {"tokens": groups.responses.tokens.tolist()}
        ],
    )
    return carried.state


def logged(folder):
    def without(line):
        return {k: v for k, v in line.items() if k not in ("time", "seconds")}

    return [
        [without(line) for line in training.read_log(folder / f"{name}.jsonl")]
        for name in ("metrics", "rollouts")
    ]


def same(one, other):
    leaves = (jax.tree.leaves((own.players, own.opt_state)) for own in (one, other))
    for pair in zip(*leaves, strict=True):
        np.testing.assert_array_equal(*pair)


def by_definition(judge, late=1):
    """The state after updates whose responses were drawn so many updates before."""
    setup, _ = compiled(steps.in_pieces(1))
    halves = steps._halves(
        lambda rate: dataclasses.replace(
            setup,
            optimizer=optimizers.make_optimizer(
                rate, NUM_STEPS, schedule="constant", rule="adam"
            ),
        ),
        MESH,
    )
    states = [jax.device_get(begun(setup))]
    for t in range(NUM_STEPS):
        writer = dataclasses.replace(states[max(0, t - late)], step=np.int32(t))
        groups = halves.rollout(METHOD, writer, batch_of(t), None)
        groups = algorithms.ask(METHOD, judge, states[t], jax.device_get(groups))
        state, _, _ = halves.learn(states[t], groups, METHOD, np.float32(0.3), None)
        states.append(jax.device_get(state))
    return states[-1]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder, judge = tmp_path_factory.mktemp("ahead"), Judge()
    return run(folder, annotator(judge)), folder, judge


def test_every_update_after_the_first_learns_from_the_policy_before(unbroken):
    state, folder, _ = unbroken
    same(state, by_definition(annotator(Judge())))
    with pytest.raises(AssertionError):
        same(state, by_definition(annotator(Judge()), late=0))
    metrics, _ = logged(folder)
    assert [line["staleness"] for line in metrics] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("fails", range(NUM_STEPS))
@pytest.mark.parametrize("save_every", [1, 2])
def test_a_run_broken_anywhere_ends_with_the_same_bits_and_asks_nothing_twice(
    unbroken, tmp_path, fails, save_every
):
    whole, folder, before = unbroken
    answers = {}
    first, second = Judge(fails), Judge()
    with pytest.raises(Broken):
        run(tmp_path, annotator(first, answers), save_every=save_every)
    state = run(tmp_path, annotator(second, answers), save_every=save_every)
    same(state, whole)
    assert logged(tmp_path) == logged(folder)
    assert sorted(first.questions + second.questions) == sorted(before.questions)


def test_the_next_batch_is_on_its_way_when_the_annotator_is_asked(
    tmp_path, monkeypatch
):
    drawn, begun_to_draw = [], threading.Event()
    draw = steps.Halves.draw

    def noted(self, *args):
        drawn.append(1)
        begun_to_draw.set()
        return draw(self, *args)

    def waits():
        # All batches but the last have one behind them.
        assert begun_to_draw.is_set() or judge.calls == NUM_STEPS
        counts.append(len(drawn))
        begun_to_draw.clear()

    counts, judge = [], Judge(asked=waits)
    monkeypatch.setattr(steps.Halves, "draw", noted)
    run(tmp_path, annotator(judge))
    assert counts == [2, 3, 4, 5, 5]


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("dpo", {}, "learns from given examples"),
        ("egpo", {}, "asks twice"),
        ("online_ipo", {"device": True}, "nothing is waited for"),
        ("online_ipo", {"pieces": 2}, "--training.pieces"),
        ("online_ipo", {"prompt_lengths": 2}, "--training.prompt-lengths"),
    ],
)
def test_what_cannot_be_drawn_ahead_is_refused(name, options, said):
    judge = annotator(Judge())
    if options.pop("device", False):
        judge = token_game.annotator(METHOD)
    rounds = algorithms.find(name).course(4)
    updates = alignment.Training(ahead=True, **options)
    asked = {"preference": judge, "reward": judge}
    with pytest.raises(ValueError, match=said):
        ahead.require(name, rounds, asked, updates)
    ahead.require(name, rounds, asked, alignment.Training())
