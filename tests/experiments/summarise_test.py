"""The main job, end to end, with a tiny start policy."""

import dataclasses
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from experiments import sample
from experiments.summarise import __main__ as summarise
from experiments.summarise import align, sweep
from experiments.summarise import config as configs
from nashalign import data, evaluation, policies, training

TEXTS = ['def reset(self):\n    self.count = 0\n"""Reset the counter."""'] * 4


@pytest.fixture(scope="module")
def start_policy(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("start")
    tokenizer = data.train_tokenizer(TEXTS, folder / "tokenizer", vocabulary=300)
    config = policies.LlamaConfig(
        vocab_size=tokenizer.size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=128,
        tie_word_embeddings=True,
    )
    policies.save_pretrained(
        folder / "policy",
        policies.llama(config).init(jax.random.key(0)),
        config,
        tokenizer_folder=folder / "tokenizer",
    )
    return folder / "policy"


@pytest.fixture(scope="module")
def harvested(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def arguments(start_policy, harvested):
    """The smallest job with two methods, in a given folder."""

    def given(output, *more):
        return [
            "--smoke",
            *("--policy", str(start_policy), "--data", str(harvested)),
            *("--methods", "rl", "nash_md_pg", "--output", str(output)),
            *("--training.num-steps", "3"),
            *more,
        ]

    return given


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("runs") / "unbroken"
    assert summarise._run(arguments(output)) == 0
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
        "results/samples.html",
        "results/summary.csv",
    ):
        assert (finished / name).stat().st_size, name
    assert list((finished / "rl/tensorboard").iterdir())
    names, win_rates = evaluation.read_win_rate_csv(finished / "results/win_rates.csv")
    assert names == ["Nash-MD-PG", "RL", "start"]
    np.testing.assert_allclose(win_rates.mean + win_rates.mean.T, 1)


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


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bits(
    arguments, finished, tmp_path, monkeypatch
):
    output = tmp_path / "broken"
    rollouts = align.Aligner._rollouts

    def killed(self, step, prompts, groups):
        if step == 3:
            raise MemoryError
        return rollouts(self, step, prompts, groups)

    with monkeypatch.context() as patch:
        patch.setattr(align.Aligner, "_rollouts", killed)
        with pytest.raises(MemoryError):
            summarise._run(arguments(output))
    broken = training.read_log(output / "rl/metrics.jsonl")
    assert [line["step"] for line in broken] == [1, 2]
    assert not (output / "policies").exists()
    assert summarise._run(arguments(output)) == 0
    for name in ("rl", "nash_md_pg"):
        jax.tree.map(
            np.testing.assert_array_equal,
            weights(output / "policies" / name),
            weights(finished / "policies" / name),
        )


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_stopped_and_draws_every_run(
    arguments, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "TAUS", {"online_ipo": (0.1, 0.5)})
    monkeypatch.setattr(sweep, "SEEDS", (0,))
    command = arguments(tmp_path / "run", "--sweep", "--methods", "online_ipo")
    validate = align.Aligner.validate
    left = iter([validate] * 3)  # Twice while training, and after; then the kill.

    def killed(self, params, seed):
        return next(left)(self, params, seed)

    with monkeypatch.context() as patch:
        patch.setattr(align.Aligner, "validate", killed)
        with pytest.raises(StopIteration):
            summarise._run(command)
    folder = tmp_path / "run-sweep"
    first = training.read_log(folder / "sweep.jsonl")
    assert [record["tau"] for record in first] == [0.1]
    assert summarise._run(command) == 0
    both = training.read_log(folder / "sweep.jsonl")
    assert both[0] == first[0] and [record["tau"] for record in both] == [0.1, 0.5]
    monkeypatch.setattr(sweep, "TAUS", {"online_ipo": (0.2,)})
    assert "settings.online_ipo.taus: [0.1, 0.5] -> [0.2]" in summarise._run(command)
    assert (folder / "sweep.png").stat().st_size
    assert not (folder / "judges" / "reward").exists()


@pytest.mark.slow
def test_a_finished_folder_is_left_alone(arguments, finished, capsys):
    before = (finished / "results/win_rates.csv").stat().st_mtime_ns
    assert summarise._run(arguments(finished)) == 0
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
    assert "policy: policy sha256:" in summarise._run(command)
    shutil.rmtree(other)
    shutil.copytree(start_policy, other)
    prompts = json.loads((unfinished / "prompts.json").read_text())
    prompts["train"] = "7 sha256:0"
    (unfinished / "prompts.json").write_text(json.dumps(prompts))
    assert "prompts.train: 7 sha256:0 ->" in summarise._run(command)


@pytest.mark.slow
def test_another_configuration_on_an_old_folder_shows_the_difference(
    arguments, finished
):
    message = summarise._run(arguments(finished, "--settings.rl.tau", "0.7"))
    tau = configs.chosen_settings()["rl"].tau
    assert f"settings.rl.tau: {tau} -> 0.7" in message


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--methods", "ipo_nd"], "ipo_md"),
        (["--methods", "ipo_md", "--settings.ipo-md.tau", "0"], "tau > 0"),
        (["--settings.nash-md-pg.mix", "1.5"], "[0, 1]"),
        (["--settings.rl.mix", "0.5"], "no setting 'mix'"),
        (["--settings.rl.learning-rate", "nan"], "settings.rl.learning-rate is nan"),
        (["--methods"], "no method"),
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--training.num-steps", "1"], "--training.num-steps is 1"),
        (["--training.evaluate-every", "0"], "--training.evaluate-every is 0"),
        (["--evaluation.num-prompts", "1"], "--evaluation.num-prompts is 1"),
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
    assert named in summarise._run(arguments(tmp_path / "run", *more))
    # So that the mended command is not met by a run with other settings.
    assert not list((tmp_path / "run").glob("*"))


def test_a_stop_outside_a_loop_says_how_to_go_on(monkeypatch, capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(summarise, "main", stopped)
    assert summarise._run([]) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on\n"


def test_a_misspelt_setting_names_its_neighbours(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit):
        summarise._run(arguments(tmp_path, "--trainig.num-steps", "3"))
    assert "--training.num-steps" in capsys.readouterr().err


def test_samples_are_printed_for_a_users_file(start_policy, tmp_path, capsys):
    file = tmp_path / "module.py"
    file.write_text("def twice(x):\n    return 2 * x\n\n\ndef half(x):\n    return x\n")
    sample.main(sample.Config(folder=start_policy, file=file))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if ":" in line][:1] == ["twice"]


def test_a_sample_longer_than_the_context_is_refused(start_policy, tmp_path):
    file = tmp_path / "module.py"
    file.write_text("def twice(x):\n    return 2 * x\n")
    with pytest.raises(ValueError, match="--prompt-length 97 .* 128 tokens"):
        sample.main(sample.Config(folder=start_policy, file=file, prompt_length=97))


@pytest.mark.parametrize(
    "content",
    [
        b"# coding: latin-1\ndef f(x):\n    return '\xe9'\n",
        b"\xef\xbb\xbfdef f(x):\n    return x\n",
    ],
)
def test_files_of_any_declared_encoding_are_read(
    start_policy, tmp_path, content, capsys
):
    (tmp_path / "module.py").write_bytes(content)
    sample.main(sample.Config(folder=start_policy, file=tmp_path / "module.py"))
    assert capsys.readouterr().out.startswith("f:")


def test_code_that_is_cut_for_a_sample_is_counted(start_policy, tmp_path, capsys):
    file = tmp_path / "module.py"
    file.write_text(
        "def f(x):\n    return x\n\n\ndef g(y):\n    return y" + " + 1" * 99
    )
    sample.main(sample.Config(folder=start_policy, file=file))
    assert "1 of 2 are longer than 48 tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "named"), [("def f(:", "not valid Python"), ("x = 1\n", "no function")]
)
def test_a_file_without_functions_is_an_error(start_policy, tmp_path, text, named):
    file = tmp_path / "module.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=named):
        sample.main(sample.Config(folder=start_policy, file=file))


def test_settings_are_recorded_without_places(tmp_path):
    record = configs.smoke().recorded()
    assert "output" not in record and "data" not in record
    with training.open_run(tmp_path, record):
        assert "smoke" not in (tmp_path / "config.json").read_text()


def test_a_row_without_chosen_settings_is_refused_in_those_words():
    config = dataclasses.replace(configs.full(), methods=("rl", "inpo"))
    with pytest.raises(ValueError, match="no settings are chosen for inpo yet"):
        configs.check(config)
