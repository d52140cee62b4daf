"""The main job, end to end, with a tiny start policy."""

import csv
import dataclasses
import html
import importlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import scipy.stats

from experiments import docstrings
from experiments.docstrings import harvest
from experiments.summarise import __main__ as summarise
from experiments.summarise import config as configs
from experiments.summarise import settings, sweep
from nashalign import algorithms, alignment, data, evaluation, policies, training
from nashalign.alignment import course, rollouts, several

# The function of the room has its module's name.
compare = importlib.import_module("nashalign.alignment.compare")

OWN = tuple(sorted(harvest.OWN_PACKAGES))


SWEEP = pathlib.Path(sweep.__file__).parent / "results" / "sweep.jsonl"


@pytest.fixture(scope="module")
def arguments(start_policy, harvested):
    """The smallest job with two methods, in a given folder."""

    def given(output, *more):
        return [
            "--smoke",
            *("--policy", str(start_policy), "--data", str(harvested)),
            *("--methods", "rl", "nash_md_pg", "--output", str(output)),
            *("--training.num-steps", "3", "--processes", "1"),
            *more,
        ]

    return given


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("runs") / "unbroken"
    assert summarise.command(arguments(output)) == 0
    return output


def weights(folder: pathlib.Path) -> dict:
    return policies.load_pretrained(folder).params


@pytest.mark.slow
def test_the_job_leaves_what_it_promises(finished):
    for name in (
        "config.json",
        "finished.json",
        "prompts.json",
        "judges/votes.npz",
        "judges/report.json",
        "rl/metrics.jsonl",
        "rl/rollouts.jsonl",
        "policies/nash_md_pg/model.safetensors",
        "policies/nash_md_pg/tokenizer.json",
        "results/win_rates.csv",
        "results/win_rates.png",
        "results/learned.csv",
        "results/learning_curves.png",
        "results/preferences.npz",
        "results/responses.jsonl",
        "results/samples.html",
        "results/summary.csv",
    ):
        assert (finished / name).stat().st_size, name
    assert list((finished / "rl/tensorboard").iterdir())
    names, win_rates = evaluation.read_win_rate_csv(finished / "results/win_rates.csv")
    assert names == ["Nash-MD-PG", "RL", "start"]
    np.testing.assert_allclose(win_rates.mean + win_rates.mean.T, 1)


@pytest.mark.slow
def test_every_table_can_be_counted_again_and_says_what_it_stands_on(finished):
    with np.load(finished / "results/preferences.npz") as stored:
        kept = dict(stored)
    names, win_rates = evaluation.read_win_rate_csv(finished / "results/win_rates.csv")
    order = [kept["policies"].tolist().index(name) for name in names]
    mean = kept["exact"].mean(0)[np.ix_(order, order)]
    np.testing.assert_allclose(mean, win_rates.mean, atol=1e-6)
    assert len(kept["prompts"]) == configs.smoke().evaluation.num_prompts
    text = (finished / "results/summary.csv").read_text()
    summary = {row["method"]: row for row in csv.DictReader(text.splitlines())}
    start = kept["policies"].tolist().index("start")
    for number, name in enumerate(kept["policies"]):
        for half in docstrings.HALVES:
            own = kept["exact"][kept["parts"] == half, number, start]
            np.testing.assert_allclose(float(summary[name][half]), own.mean(), 1e-5)
    [line] = {
        (finished / f"results/{name}.md").read_text().splitlines()[-1]
        for name in ("win_rates", "learned", "summary")
    }
    assert re.match(r"data [0-9a-f]{12} .*; votes [0-9a-f]{12}; judges: ", line)


@pytest.mark.slow
def test_nobody_elses_text_is_on_the_pages_and_what_was_not_read_is_marked(
    finished, loaded
):
    own = [f.pair.code for f in docstrings.test_functions() if f.pair.package in OWN]
    results, number = finished / "results", configs.smoke().evaluation.num_samples
    page = html.unescape((results / "samples.html").read_text())
    marked = re.findall(
        r"```python\n(.*?)\n```", (results / "samples.md").read_text(), re.S
    )
    on_page = re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.S)
    on_page = [
        re.sub(r'<span class="unread">(.*)</span>', r"✂\1", x, flags=re.S)
        for x in on_page
    ]
    assert on_page == marked and len(marked) == number
    for shown in marked:
        read, _, unread = shown.partition("✂")
        assert read + unread in own
        [tokens] = data.prompt_ids(
            loaded.task.tokenizer,
            [read + unread],
            length=loaded.task.prompt_length,
            suffix=docstrings.SUFFIX,
        ).tokens
        assert loaded.task.tokenizer.decode(tokens) == read + docstrings.SUFFIX
    assert any("✂" in shown for shown in marked)


@pytest.mark.slow
def test_every_rollout_can_be_judged_again(finished):
    lines = training.read_log(finished / "nash_md_pg/rollouts.jsonl")
    batch = configs.smoke().training
    assert len(lines) == 3 * batch.batch_size
    assert {"id", "code", "responses", "preference"} <= lines[0].keys()
    assert len(lines[0]["responses"]) == 2


@pytest.mark.slow
def test_training_moves_the_policies_apart(finished, start_policy):
    rl, nash = (weights(finished / "policies" / name) for name in ("rl", "nash_md_pg"))
    for one, other in ((rl, weights(start_policy)), (rl, nash)):
        moved = jax.tree.map(lambda a, b: float(abs(a - b).max()), one, other)
        assert max(jax.tree.leaves(moved)) > 1e-5


@pytest.mark.full
@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bits(
    arguments, finished, tmp_path, monkeypatch
):
    output = tmp_path / "broken"
    lines = rollouts.lines

    def killed(task, step, prompts, groups):
        if step == 3:
            raise MemoryError
        return lines(task, step, prompts, groups)

    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "lines", killed)
        with pytest.raises(MemoryError):
            summarise.command(arguments(output))
    broken = training.read_log(output / "rl/metrics.jsonl")
    assert [line["step"] for line in broken] == [0, 1, 2]
    assert not (output / "policies").exists()
    assert summarise.command(arguments(output)) == 0
    for name in ("rl", "nash_md_pg"):
        jax.tree.map(
            np.testing.assert_array_equal,
            weights(output / "policies" / name),
            weights(finished / "policies" / name),
        )


@pytest.mark.full
def test_policies_trained_at_the_same_time_go_on_after_a_kill_with_the_same_bits(
    arguments, tmp_path
):
    def begun(output):
        more = ("--processes", "2", "--training.num-steps", "6")
        command = arguments(output, *more)
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.summarise", *command]
        )

    def updates():
        return alignment.logs.num_updates(tmp_path / "broken" / "rl")

    whole, broken = (tmp_path / name for name in ("whole", "broken"))
    assert begun(whole).wait(600) == 0
    parent = begun(broken)
    while updates() < 1:
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    # A process that has lost its parent saves, and is gone.
    while (code := begun(broken).wait(600)) == 1:
        pass
    assert code == 0 and updates() == 6
    for name in ("rl", "nash_md_pg"):
        own, other = (weights(f / "policies" / name) for f in (whole, broken))
        jax.tree.map(np.testing.assert_array_equal, own, other)
    said = (whole / "processes.log").read_text()
    assert "rl" in said and "nash_md_pg" in said


@pytest.mark.full
def test_several_seeds_a_method_go_on_where_they_stopped_and_are_one_policy(
    arguments, finished, tmp_path, monkeypatch
):
    command = arguments(tmp_path / "run", "--seeds", "2", "--methods", "rl")
    aligned = several.align

    def killed(*given, seed, **others):
        if seed == 1:
            raise MemoryError
        return aligned(*given, seed=seed, **others)

    with monkeypatch.context() as patch:
        patch.setattr(several, "align", killed)
        with pytest.raises(MemoryError):
            summarise.command(command)
    assert summarise.command(command) == 0
    run = tmp_path / "run"
    first, second = (weights(run / f"policies/rl-seed{seed}") for seed in (0, 1))
    # The first is the run that the job with one seed makes.
    alone = weights(finished / "policies/rl")
    jax.tree.map(np.testing.assert_array_equal, first, alone)
    assert not np.array_equal(*(jax.tree.leaves(own)[0] for own in (first, second)))
    names, matrix = evaluation.read_win_rate_csv(run / "results/win_rates.csv")
    assert names == ["RL", "start"]
    with np.load(run / "results/preferences.npz") as stored:
        saved = dict(stored)
    assert list(saved["policies"]) == ["RL 1", "RL 2", "start"]
    np.testing.assert_allclose(
        matrix.mean[0, 1], saved["exact"][:, :2, 2].mean(), atol=1e-6
    )
    summary = (run / "results/summary.md").read_text()
    assert (
        "2 training seeds a method" in summary and "judges were fitted once" in summary
    )


@pytest.mark.slow
def test_one_seed_takes_its_variance_from_the_sweep_and_says_so(finished):
    summary = (finished / "results/summary.md").read_text()
    assert (
        "one training seed a method" in summary
        and "known from elsewhere, 0.015" in summary
    )
    _, matrix = evaluation.read_win_rate_csv(finished / "results/win_rates.csv")
    seeds = 2 * np.sqrt(sweep.WIN_RATE_VARIANCE.value)
    assert (matrix.half_width[0, 1:] > [np.sqrt(2) * seeds, seeds]).all()


def test_the_variance_of_seeds_is_that_of_the_committed_sweep():
    records = training.read_log(SWEEP)
    assert len(records) == 90
    found = alignment.seed_variance(records)
    np.testing.assert_allclose(found, sweep.WIN_RATE_VARIANCE, rtol=1e-3)


def test_the_committed_sweep_says_of_taus_what_readme_says():
    found = {}
    for record in training.read_log(SWEEP):
        own = found.setdefault(record["name"], {}).setdefault(record["tau"], [])
        own.append((record["win_rate"], record["kl"]))
    variance = sweep.WIN_RATE_VARIANCE
    half_width = scipy.stats.t.ppf(0.975, variance.degrees)
    half_width *= np.sqrt(2 * variance.value / len(sweep.SEEDS))
    assert round(half_width, 3) == 0.024
    for name in settings.MEASURED:
        taus = sorted(found[name])
        win_rates, kls = np.mean([found[name][tau] for tau in taus], axis=1).T
        assert kls[0] - kls[-1] > 3
        best = int(np.argmax(win_rates))
        assert settings.chosen_settings()[name].own["tau"] == taus[best]
        beside = win_rates[[n for n in (best - 1, best + 1) if 0 <= n < len(taus)]]
        assert (win_rates[best] - beside < half_width).all()


@pytest.mark.full
def test_a_sweep_goes_on_where_it_stopped_and_draws_every_run(
    arguments, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "TAUS", {"online_ipo": (0.1, 0.5)})
    monkeypatch.setattr(sweep, "SEEDS", (0,))
    command = arguments(tmp_path / "run", "--sweep", "--methods", "online_ipo")
    measure = alignment.Validation.measure
    left = iter([measure] * 4)  # Thrice while training, and after; then the kill.

    def killed(self, *arguments):
        return next(left)(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(alignment.Validation, "measure", killed)
        with pytest.raises(StopIteration):
            summarise.command(command)
    folder = tmp_path / "run-sweep"
    first = training.read_log(folder / "sweep.jsonl")
    assert [record["tau"] for record in first] == [0.1]
    assert summarise.command(command) == 0
    both = training.read_log(folder / "sweep.jsonl")
    assert both[0] == first[0] and [record["tau"] for record in both] == [0.1, 0.5]
    monkeypatch.setattr(sweep, "TAUS", {"online_ipo": (0.2,)})
    assert "settings.online_ipo.taus: [0.1, 0.5] -> [0.2]" in summarise.command(command)
    assert (folder / "sweep.png").stat().st_size
    assert "; votes " in (folder / "fingerprint.txt").read_text()
    assert not (folder / "judges" / "reward").exists()


@pytest.mark.slow
def test_a_finished_folder_is_left_alone(arguments, finished, capsys):
    before = (finished / "results/win_rates.csv").stat().st_mtime_ns
    assert summarise.command(arguments(finished)) == 0
    assert "finished" in capsys.readouterr().out
    assert (finished / "results/win_rates.csv").stat().st_mtime_ns == before


@pytest.mark.slow
def test_going_on_from_another_start_policy_or_other_prompts_is_refused(
    arguments, finished, start_policy, tmp_path
):
    unfinished = tmp_path / "run"
    shutil.copytree(finished, unfinished)
    (unfinished / "finished.json").unlink()
    other = tmp_path / "elsewhere" / start_policy.name
    shutil.copytree(start_policy, other)
    command = [*arguments(unfinished), "--policy", str(other)]
    with (other / "config.json").open("a") as file:
        file.write("\n")
    assert "policy: policy sha256:" in summarise.command(command)
    shutil.rmtree(other)
    shutil.copytree(start_policy, other)
    prompts = json.loads((unfinished / "prompts.json").read_text())
    prompts["train"] = "7 sha256:0"
    (unfinished / "prompts.json").write_text(json.dumps(prompts))
    assert "prompts.train: 7 sha256:0 ->" in summarise.command(command)


@pytest.mark.slow
def test_another_configuration_on_an_old_folder_shows_the_difference(
    arguments, finished
):
    message = summarise.command(arguments(finished, "--settings.rl.tau", "0.7"))
    tau = settings.chosen_settings()["rl"].tau
    assert f"settings.rl.tau: {tau} -> 0.7" in message


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--methods", "ipo_nd"], "ipo_md"),
        (["--methods", "ipo_md", "--settings.ipo-md.tau", "0"], "tau must be positive"),
        (["--settings.nash-md-pg.mix", "1.5"], "[0, 1]"),
        (["--methods", "inpo", "--settings.inpo.eta", "1e3"], "eta * tau"),
        (["--methods", "dpo", "--training.batch-size", "17"], "dpo learns from"),
        (["--sweep", "--methods", "inpo"], "no taus for inpo, only for rl"),
        (["--settings.rl.learning-rate", "nan"], "settings.rl.learning-rate is nan"),
        (["--settings.dpo.tau", "1"], "--settings.dpo.tau is given, and dpo is not"),
        (["--settings.online-ipo.tau=1"], "online_ipo is not among the --methods"),
        (["--seed", str(2**64)], "seeds must be below 2**32"),
        (["--methods"], "no method"),
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["--training.num-steps", "0"], "--training.num-steps is 0"),
        (["--training.evaluate-every", "0"], "--training.evaluate-every is 0"),
        (["--evaluation.num-prompts", "1"], "--evaluation.num-prompts is 1"),
        (["--evaluation.num-validation-prompts", "1"], "validation-prompts is 1"),
        (["--evaluation.num-prompts", "9999"], "the test split has"),
        (["--judges.num-voters", "0"], "--judges.num-voters is 0"),
        (["--judges.batch-size", "64"], "two batches"),
        (["--policy", "nowhere"], "nowhere"),
        (["--text.prompt-length", "79"], "context"),
    ],
)
def test_bad_settings_are_named_before_anything_is_done(
    arguments, tmp_path, more, named
):
    assert named in summarise.command(arguments(tmp_path / "run", *more))
    # So that the mended command is not met by a run with other settings.
    assert not list((tmp_path / "run").glob("*"))


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("--trainig.num-steps", "--training.num-steps"),
        ("--settings.rl.mix", "--settings.rl.tau"),
    ],
)
def test_a_misspelt_setting_names_its_neighbours(
    arguments, tmp_path, misspelt, meant, capsys
):
    with pytest.raises(SystemExit):
        summarise.command(arguments(tmp_path, misspelt, "3"))
    assert meant in capsys.readouterr().err


def test_settings_are_recorded_without_places(tmp_path):
    record = configs.smoke().recorded()
    assert "output" not in record and "data" not in record
    with training.open_run(tmp_path, record):
        assert "smoke" not in (tmp_path / "config.json").read_text()


def test_every_row_has_settings_that_are_allowed_and_a_title_of_its_own():
    config = dataclasses.replace(configs.Config(), methods=("all",))
    config = config.filled(settings.chosen_settings())
    config.check()
    assert list(config.methods) == list(algorithms.TABLE)
    titles = {algorithms.find(name).title for name in config.methods}
    assert len(titles) == len(config.methods)
    # The six of the paper keep what the sweep has found.
    assert [config.settings[name].tau for name in configs.Config().methods] == [
        *(0.01, 0.02, 0.05, 0.005, 0.01, 0.005)
    ]


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ((), "--settings.online-ipo.tau"),
        (("--methods", "inpo"), "INPO (Zhang et al. 2024, arXiv:2407.00617)"),
        (("--settings.comal.num-inner", "3"), "must be a whole number, at least 1;"),
    ],
)
def test_help_shows_the_settings_of_rows_that_are_named(named, shown, capsys):
    with pytest.raises(SystemExit):
        summarise.command([*named, "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert shown in text and "settings.bond" not in text


def test_all_rows_have_a_folder_of_their_own():
    config = configs.Config().shown(["--methods", "all"])
    assert config.output.name == "summarise-all"
    assert list(config.settings) == list(algorithms.TABLE)


@pytest.mark.full
def test_a_smoke_run_of_mixed_po_gets_through_whatever_its_stages_find(
    arguments, tmp_path
):
    # Of sixteen pairs few are easy, and at this threshold none is.
    more = ("--methods", "mixed_po", "--settings.mixed-po.threshold", "100")
    output = tmp_path / "run"
    assert summarise.command(arguments(output, *more)) == 0
    assert not (output / "mixed_po" / "round_1" / "metrics.jsonl").exists()
    assert [line["step"] for line in alignment.logs.read(output / "mixed_po")] == [0, 1]


@pytest.mark.full
def test_rounds_and_stages_go_on_where_they_were_broken_off(
    arguments, tmp_path, monkeypatch
):
    methods = ("--methods", "optune", "dice", "mixed_po", "sequential_po")
    more = ("--settings.mixed-po.threshold", "0.5", "--judges.num-prompts", "64")
    more += ("--settings.sequential-po.period", "2")
    whole, broken = (
        arguments(tmp_path / name, *methods, *more, "--training.batch-size", "8")
        for name in ("whole", "broken")
    )
    assert summarise.command(whole) == 0
    train = course._train
    left = ["sequential_po/round_2", "dice/round_3", "optune/round_2"]

    def killed(*given):
        folder = given[-2]
        if left and folder.match(left[-1]):
            left.pop()
            raise MemoryError
        return train(*given)

    with monkeypatch.context() as patch:
        patch.setattr(course, "_train", killed)
        for _ in range(3):
            with pytest.raises(MemoryError):
                summarise.command(broken)
    assert not left
    assert (tmp_path / "broken" / "optune" / "round_2" / "examples.npz").exists()
    assert summarise.command(broken) == 0
    for name in methods[1:]:
        jax.tree.map(
            np.testing.assert_array_equal,
            weights(tmp_path / "whole" / "policies" / name),
            weights(tmp_path / "broken" / "policies" / name),
        )
        lines = alignment.logs.read(tmp_path / "whole" / name)
        assert [line["step"] for line in lines] == [0, 1, 2, 3]
        # Two updates of DPO, and one of PPO.
        steps = 2 + 4 if name == "mixed_po" else 3
        assert alignment.logs.optimizer_steps(tmp_path / "whole" / name) == steps


@pytest.mark.full
@pytest.mark.slow
def test_rows_of_every_kind_are_trained_and_one_that_diverges_stops_nobody(
    arguments, tmp_path, monkeypatch
):
    aligned = several.align

    def diverging(name, *rest, **others):
        if name == "rl":
            raise training.TrainingDiverged("loss is nan", 7, None, tmp_path / "batch")
        return aligned(name, *rest, **others)

    monkeypatch.setattr(several, "align", diverging)
    for module in (alignment, compare):
        monkeypatch.setattr(module, "MANY", 2)
    methods = ("rl", "dpo", "conditional", "self_prompting")
    assert summarise.command(arguments(tmp_path / "run", "--methods", *methods)) == 0
    results = tmp_path / "run" / "results"
    summary = (results / "summary.md").read_text().splitlines()
    lines = [line.split(" | ") for line in summary if "| **" in line]
    assert lines[-1][0] == "| **RL** (`rl`)" and lines[-1][-1] == "7 |"
    assert len(lines) == 5 and {line[-1] for line in lines[:-1]} == {"– |"}
    assert (results / "ranking.png").stat().st_size
    assert not (results / "win_rates.png").exists()
    assert not (tmp_path / "run" / "policies" / "rl").exists()
    first, *log = training.read_log(tmp_path / "run/conditional/metrics.jsonl")
    # Reviewers find what this policy writes equally good, prompt by prompt.
    assert first["step"] == first["win_rate_half_width"] == 0
    assert {"kl", "kl_half_width"} <= first.keys() and "loss" not in first
    assert all(line["tokens"] > 0 and "length_half_width" in line for line in log)
    rollout = training.read_log(tmp_path / "run" / "dpo" / "rollouts.jsonl")[0]
    assert len(rollout["responses"]) == 2 and len(rollout["preference"]) == 2
