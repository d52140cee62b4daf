"""Judges from pairs: right on prompts that they have not seen, and annotators."""

import json

import jax
import numpy as np
import pytest

from nashalign import __main__ as commands
from nashalign import alignment, data, policies, preferences
from nashalign.alignment import fitting

LENGTHS = ("--text.response-length", "6")
LEARNS = ("--training.num-epochs", "8", "--training.learning-rate", "3e-2")


def train(policy, prompts, output, *more):
    command = ["train-judge", "--policy", str(policy), "--prompts", str(prompts)]
    return commands.main([*command, "--output", str(output), *LENGTHS, *more])


def report(output):
    return json.loads((output / "results" / "report.json").read_text())


def pairs_of(policy, prompts):
    text = alignment.Text(response_length=6)
    return alignment.text_task(policy, data.read_records(prompts), text=text)


@pytest.mark.parametrize(
    ("kind", "adapters"), [("preference", ()), ("reward", ("--lora.rank", "2"))]
)
def test_a_judge_is_right_on_prompts_it_has_not_seen_and_an_annotator(
    policy, prompts, tmp_path, kind, adapters, capsys
):
    output = tmp_path / "out"
    options = ("--kind", kind, *LEARNS, *adapters)
    assert train(policy, prompts, output, *options) == 0
    found = report(output)["judge"]
    assert found["accuracy"][0] > 0.95 and found["cross_entropy"][0] < 0.3
    said = capsys.readouterr().out
    assert "right on 100.0% ± 0.0% of" in said and "test pairs (a coin 50%)" in said
    assert (output / "results" / "reliability.png").stat().st_size > 10_000
    judge = preferences.load_judge(output / "judge", policy)
    assert type(judge) is preferences.JUDGES[kind]
    measured = alignment.measure_judge(judge, pairs_of(policy, prompts))
    assert measured.accuracy.mean > 0.95
    # The same command again has nothing to do.
    assert train(policy, prompts, output, *options) == 0
    assert "finished" in capsys.readouterr().out


def test_a_judge_is_asked_by_align(policy, prompts, tmp_path):
    judge, output = tmp_path / "judge", tmp_path / "aligned"
    assert train(policy, prompts, judge, "--kind", "reward") == 0
    command = ["align", "--policy", str(policy), "--prompts", str(prompts)]
    command += ["--annotator", str(judge / "judge"), "--method", "rloo", *LENGTHS]
    command += ["--training.num-steps", "1", "--training.batch-size", "8"]
    assert commands.main([*command, "--output", str(output)]) == 0


def test_adapters_alone_are_trained_and_the_head_beside_them(policy, prompts, tmp_path):
    pairs = pairs_of(policy, prompts)
    [plain] = alignment.train_judges(
        pairs,
        "reward",
        alignment.JudgeTraining(),
        lora=alignment.Adapters(rank=2),
        folder=tmp_path,
    )
    start, own = pairs.task.start.params, plain.params["policy"]
    assert not policies.lora.has_adapters(own)
    assert jax.tree.structure(own) == jax.tree.structure(start)
    moved = {
        jax.tree_util.keystr(path): bool((one != other).any())
        for (path, one), other in zip(
            jax.tree.leaves_with_path(own), jax.tree.leaves(start), strict=True
        )
    }
    assert {name for name, own in moved.items() if own} == {
        name for name in moved if "_proj" in name
    }


def test_adapters_are_fitted_by_the_gradient_of_the_whole_judge(
    policy, prompts, tmp_path
):
    # At such a rate the policies hardly move, and both heads see the same states.
    pairs = pairs_of(policy, prompts)
    how = alignment.JudgeTraining(optimizer="sgd", learning_rate=1e-3)
    heads = []
    for name, lora in (("whole", None), ("adapters", alignment.Adapters(rank=2))):
        [judge] = alignment.train_judges(
            pairs, "preference", how, lora=lora, folder=tmp_path / name
        )
        heads.append(np.asarray(judge.params["head"]))
    fresh = preferences.init_params(
        alignment.stage_key(0, 60), pairs.task.start.policy, pairs.task.start.params
    )["head"]
    assert abs(heads[0] - np.asarray(fresh)).max() > 1e-5
    np.testing.assert_allclose(heads[0], heads[1], atol=2e-6)


def test_several_judges_are_asked_as_one_or_averaged(policy, prompts, tmp_path):
    more = ("--committee.size", "3", "--kind", "reward")
    mean, least, average = (tmp_path / name for name in ("mean", "least", "average"))
    assert train(policy, prompts, mean, *more) == 0
    worst = ("--committee.combine", "worst_case")
    assert train(policy, prompts, least, *more, *worst) == 0
    joined = ("--committee.combine", "average_weights")
    assert train(policy, prompts, average, *more, *joined) == 0
    assert set(report(mean)) == {"judge", "judge 1", "judge 2", "judge 3"}
    pairs = pairs_of(policy, prompts).pairs("test")
    texts = (None, pairs.prompts, pairs.responses)
    members = [preferences.load_judge(mean / "judge" / name, policy) for name in "123"]
    scores = np.stack([own.score(*texts) for own in members])
    assert len({own.tobytes() for own in scores}) == 3
    judges = [preferences.load_judge(own / "judge", policy) for own in (mean, least)]
    np.testing.assert_allclose(judges[0].score(*texts), scores.mean(0), atol=1e-6)
    np.testing.assert_allclose(judges[1].score(*texts), scores.min(0), atol=1e-6)
    assert preferences.can_answer(judges[0], "prefer")
    assert not preferences.can_answer(judges[1], "prefer")
    found = preferences.load_judge(average / "judge", policy)
    assert isinstance(found, preferences.RewardModel)
    wanted = preferences.average_weights([own.params for own in members])
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, atol=1e-6),
        {**found.params["policy"], "head": found.params["head"]},
        {**wanted["policy"], "head": wanted["head"]},
    )


def test_a_judge_resumes_to_the_same_bits(policy, prompts, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = ("--training.num-epochs", "3")
    assert train(policy, prompts, whole, *more) == 0
    count, run = [], fitting.training.run

    def twice(step, state, batch_of, num_steps, **named):
        def stops(place):
            if place == num_steps - 2 and not count:
                count.append(place)
                raise KeyboardInterrupt
            return batch_of(place)

        return run(step, state, stops, num_steps, **named)

    monkeypatch.setattr(fitting.training, "run", twice)
    assert train(policy, prompts, broken, *more) != 0
    assert train(policy, prompts, broken, *more) == 0
    names = [own / "judge" / "model.safetensors" for own in (whole, broken)]
    assert names[0].read_bytes() == names[1].read_bytes()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--committee.combine", "worst_case"), "the least of rewards"),
        (("--lora.rank", "2", "--lora.merge"), "leave --lora.merge out"),
        (("--lora.alpha", "2"), "without --lora.rank"),
        (("--text.response-length", "20"), "two responses of 21 at once"),
        (("--training.batch-size", "64"), "--training.batch-size asks for 64"),
        (("--splits.test", "0"), "the test split has 0 prompts"),
        (("--committee.size", "0"), "--committee.size is 0"),
        (("--format", "record"), "did you mean 'records'"),
    ],
)
def test_what_no_judge_can_be_trained_with_is_refused(
    policy, prompts, tmp_path, more, why
):
    assert why in train(policy, prompts, tmp_path / "out", *more)
    assert not (tmp_path / "out" / "run").exists()


def test_prompts_without_pairs_are_refused(policy, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "round"}\n' * 20)
    assert "a judge learns from pairs" in train(policy, path, tmp_path / "out")


def test_votes_in_a_published_format_are_learnt_from(policy, tmp_path):
    lines = [
        {"input": f"round {n}: ", "output_1": "rock", "output_2": "none", "label": 1}
        for n in range(40)
    ]
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps([*lines, {"input": "round"}]))
    output = tmp_path / "out"
    refused = train(policy, path, output, "--format", "llmbar")
    assert "output_1" in refused and "--skip-malformed" in refused
    more = ("--format", "llmbar", "--skip-malformed", *LEARNS)
    assert train(policy, path, output, *more) == 0
    assert report(output)["judge"]["accuracy"][0] > 0.95
