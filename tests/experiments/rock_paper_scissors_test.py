"""The second task: three methods under a judge that no reward explains."""

import json

import jax
import numpy as np
import pytest

from experiments import rock_paper_scissors as task
from nashalign import games, policies, training
from nashalign.alignment import rollouts

SIZES = ("--num-steps", "3", "--num-lessons", "4")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert task.command([*SIZES, "--output", str(output)]) == 0
    return output


def test_no_reward_explains_the_judge():
    words = [*task.WORDS, "none"]
    preference = np.array([[task.prefer("", y, z) for z in words] for y in words])
    games.check(preference)
    beats = preference > 0.5
    assert beats[1, 0] and beats[2, 1] and beats[0, 2]
    np.testing.assert_allclose(
        games.nash(preference), [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-9
    )


@pytest.mark.slow
def test_all_methods_are_compared_with_intervals(finished):
    lines = (finished / "results/win_rates.csv").read_text()
    for title in ("DPO (offline)", "Nash-MD-PG", "IPO against the reference", "start"):
        assert title in lines
    assert "±" in (finished / "results/summary.md").read_text()


@pytest.mark.full
def test_broken_off_in_any_method_it_ends_with_the_same_bits(
    finished, tmp_path, monkeypatch
):
    lines, place = rollouts.lines, []

    def broken(task, step, batch, groups):
        place.append(step)
        if len(place) in (6, 9, 13):
            raise MemoryError
        return lines(task, step, batch, groups)

    command = [*SIZES, "--output", str(tmp_path / "broken")]
    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "lines", broken)
        for _ in range(3):
            with pytest.raises(MemoryError):
                task.command(command)
    assert task.command(command) == 0
    for name in ("dpo", "nash_md_pg", "ipo_against_reference"):
        found, expected = (
            training.read_log(folder / name / "metrics.jsonl")
            for folder in (tmp_path / "broken", finished)
        )
        for one, other in zip(found, expected, strict=True):
            for own in (one, other):
                del own["time"], own["seconds"]
            assert one == other
    whole, again = (
        policies.load_pretrained(folder / "nash_md_pg" / "best").params
        for folder in (tmp_path / "broken", finished)
    )
    jax.tree.map(np.testing.assert_array_equal, whole, again)


@pytest.mark.full
def test_the_judge_is_asked_no_question_twice(finished, monkeypatch, tmp_path):
    asked = []
    own = task.prefer

    def counted(prompt, y, z):
        asked.append((prompt, y, z))
        return own(prompt, y, z)

    monkeypatch.setattr(task, "prefer", counted)
    assert task.command([*SIZES, "--output", str(tmp_path / "run")]) == 0
    assert asked and len(asked) == len(set(asked))
    record = json.loads((tmp_path / "run/config.json").read_text())
    assert record["config"]["num_steps"] == 3
