"""A sweep resumes with the results that it finds."""

import json

import pytest

from nashalign import alignment, training

LINE = {
    "name": "rl",
    "method": "RL",
    "tau": 0.1,
    "seed": 0,
    "mix": 0.0,
    "learning_rate": 5e-4,
    "win_rate": 0.6,
    "win_rate_half_width": 0.05,
    "kl": 2.0,
    "kl_half_width": 0.3,
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kl": None}, "kl of line 2 is None"),
        ({"tau": "0.1"}, "tau of line 2 is '0.1'"),
        ({"name": ["rl"]}, "name of line 2 is .'rl'."),
    ],
)
def test_a_damaged_line_of_a_sweep_says_what_to_delete(tmp_path, changed, said):
    text = "".join(json.dumps(line) + "\n" for line in (LINE, LINE | changed))
    (tmp_path / "sweep.jsonl").write_text(text)
    trials = [alignment.Trial(name="rl", title="RL", tau=0.2, seed=0)]
    with pytest.raises(
        ValueError, match=rf"sweep.jsonl is damaged \({said}.*Delete it"
    ):
        alignment.sweep(trials, None, tmp_path)


def test_a_sweep_measures_what_has_no_result_yet_and_writes_all_of_it_down(tmp_path):
    (tmp_path / "sweep.jsonl").write_text(json.dumps(LINE) + "\n")
    seen = []

    def measure(trial, folder, label):
        seen.append((trial.tau, trial.seed, folder.name, label))
        return {"win_rate": 0.7, "kl": 1.0}

    trials = [
        alignment.Trial(name="rl", title="RL", tau=tau, seed=0, others={"mix": 0.5})
        for tau in (0.1, 0.25)
    ]
    alignment.sweep(trials, measure, tmp_path)
    label = "[2/2] RL tau 0.25 seed 0"
    assert seen == [(0.25, 0, "rl-tau0.25-seed0", label)]
    first, second = training.read_log(tmp_path / "sweep.jsonl")
    assert first == LINE
    assert second == {
        **{"name": "rl", "method": "RL", "tau": 0.25, "seed": 0},
        **{"mix": 0.5, "win_rate": 0.7, "kl": 1.0},
    }
    assert (tmp_path / "sweep.png").stat().st_size


def test_the_variance_of_seeds_is_pooled_over_methods_and_taus():
    def runs(name, tau, win_rates):
        return [LINE | {"name": name, "tau": tau, "win_rate": w} for w in win_rates]

    records = runs("rl", 0.1, [0.5, 0.7]) + runs("rl", 0.2, [0.1, 0.2, 0.3])
    assert alignment.seed_variance(runs("rl", 0.1, [0.5])) is None
    variance = alignment.seed_variance(records + runs("dpo", 0.1, [0.9]))
    # Sums of squares over degrees of freedom: (.02 + .02) / (1 + 2).
    assert variance.value == pytest.approx(0.04 / 3) and variance.degrees == 3
