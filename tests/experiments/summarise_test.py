"""The main job, end to end, with a tiny start policy."""

import csv
import dataclasses
import html
import json
import pathlib
import re
import shutil

import jax
import numpy as np
import optax
import pytest
import scipy.stats

from experiments import docstrings
from experiments.docstrings import harvest, sample
from experiments.summarise import __main__ as summarise
from experiments.summarise import (
    align,
    compare,
    courses,
    examples,
    search,
    settings,
    sweep,
    task,
)
from experiments.summarise import config as configs
from experiments.summarise import judges as judging
from nashalign import algorithms, data, evaluation, policies, preferences, training
from nashalign.types import pytree

OWN = tuple(sorted(harvest.OWN_PACKAGES))
SWEEP = pathlib.Path(sweep.__file__).parent / "results" / "sweep.jsonl"
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
    assert summarise.command(arguments(output)) == 0
    return output


@pytest.fixture(scope="module")
def loaded(start_policy, harvested) -> task.Task:
    return task.load(start_policy, harvested, configs.smoke().text)


VOTES = np.random.default_rng(0).integers(0, 6, (8, 4, 4)) / 5


@pytree
@dataclasses.dataclass(frozen=True)
class Lengths:
    """Scores a response by its length."""

    def score(self, key, prompts, responses):
        return responses.mask.sum(-1) * 1.0


@pytest.fixture(scope="module")
def data_set(loaded, tmp_path_factory) -> examples.DataSet:
    folder = tmp_path_factory.mktemp("judges")
    mask = np.arange(24) < np.arange(1, 33).reshape(8, 4, 1) % 24 + 1
    np.savez(
        folder / "votes.npz",
        tokens=np.arange(8 * 4 * 24, dtype=np.int32).reshape(8, 4, 24) % 256,
        mask=mask,
        truncated=mask[..., -1],
        preference=VOTES.astype(np.float32),
        votes=VOTES.astype(np.float32),
    )
    judges = configs.Judges(num_prompts=8)
    return examples.load(loaded, {"reward": Lengths()}, judges, 0, folder)


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
            own = kept["exact"][kept["halves"] == half, number, start]
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
    on_page = re.findall(r"<pre><code>(.*?)</code>", page, re.S)
    on_page = [
        re.sub(r'<span class="unread">(.*)</span>', r"✂\1", x, flags=re.S)
        for x in on_page
    ]
    assert on_page == marked and len(marked) == number
    for shown in marked:
        read, _, unread = shown.partition("✂")
        assert read + unread in own
        [tokens] = data.prompt_ids(
            loaded.tokenizer,
            [read + unread],
            length=loaded.prompt_length,
            suffix=docstrings.SUFFIX,
        ).tokens
        assert loaded.tokenizer.decode(tokens) == read + docstrings.SUFFIX
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


@pytest.mark.slow
def test_several_seeds_a_method_go_on_where_they_stopped_and_are_one_policy(
    arguments, finished, tmp_path, monkeypatch
):
    command = arguments(tmp_path / "run", "--seeds", "2", "--methods", "rl")
    aligned = align.Aligner.align

    def killed(self, name, settings, seed, *rest):
        if seed == 1:
            raise MemoryError
        return aligned(self, name, settings, seed, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(align.Aligner, "align", killed)
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
    assert "one training seed a method" in summary and "the sweep, 0.015" in summary
    _, matrix = evaluation.read_win_rate_csv(finished / "results/win_rates.csv")
    seeds = 2 * np.sqrt(sweep.WIN_RATE_VARIANCE.value)
    assert (matrix.half_width[0, 1:] > [np.sqrt(2) * seeds, seeds]).all()


def test_the_variance_of_seeds_is_that_of_the_committed_sweep():
    records = training.read_log(SWEEP)
    assert len(records) == 90
    found = sweep.seed_variance(records)
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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kl": None}, "kl of line 2 is None"),
        ({"tau": "0.1"}, "tau of line 2 is '0.1'"),
        ({"name": ["rl"]}, "name of line 2 is .'rl'."),
    ],
)
def test_a_damaged_line_of_a_sweep_says_what_to_delete(tmp_path, changed, said):
    lines = [training.read_log(SWEEP)[0]] * 2
    text = "".join(json.dumps(line) + "\n" for line in (lines[0], lines[1] | changed))
    (tmp_path / "sweep.jsonl").write_text(text)
    config = dataclasses.replace(configs.smoke(), methods=("rl",))
    with pytest.raises(
        ValueError, match=rf"sweep.jsonl is damaged \({said}.*Delete it"
    ):
        sweep.sweep(config, None, tmp_path)


@pytest.mark.slow
def test_a_sweep_goes_on_where_it_stopped_and_draws_every_run(
    arguments, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "TAUS", {"online_ipo": (0.1, 0.5)})
    monkeypatch.setattr(sweep, "SEEDS", (0,))
    command = arguments(tmp_path / "run", "--sweep", "--methods", "online_ipo")
    validate = align.Aligner.validate
    left = iter([validate] * 4)  # Thrice while training, and after; then the kill.

    def killed(self, *arguments):
        return next(left)(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(align.Aligner, "validate", killed)
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
        (["--methods", "ipo_md", "--settings.ipo-md.tau", "0"], "tau > 0"),
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
        (["--training.num-steps", "1"], "--training.num-steps is 1"),
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


def test_every_row_has_settings_that_are_allowed_and_a_title_of_its_own():
    config = configs.parsed(dataclasses.replace(configs.full(), methods=("all",)))
    configs.check(config)
    rows = config.rows()
    assert list(rows) == [*algorithms.TABLE, "mixed_po"]
    assert len({config.settings[name].title(name) for name in rows}) == len(rows)
    # The six of the paper keep what the sweep has found.
    assert [config.settings[name].tau for name in configs.full().methods] == [
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
    config = configs.to_parse(configs.full(), ["--methods", "all"])
    assert config.output.name == "summarise-all"
    assert list(config.settings) == [*algorithms.TABLE, "mixed_po"]


@pytest.mark.parametrize(
    ("name", "num_responses", "source", "judge"),
    [
        ("sft", 1, "authors", None),
        ("spin", 1, "authors", None),
        ("dno_prct", 1, "authors", "preference"),
        ("rwr", 1, "sampled", "reward"),
        ("conditional", 1, "sampled", "reward"),
        ("reward_augmented", 2, "sampled", "reward"),
        ("preference_degree", 2, "sampled", "preference"),
        ("dpo", 2, "sampled", "preference"),
        ("dice", 2, "sampled", None),
        ("filtered", 4, "sampled", "reward"),
    ],
)
def test_a_row_is_given_the_examples_that_it_learns_from(
    data_set, name, num_responses, source, judge
):
    method = algorithms.TABLE[name].method
    assert examples.judge_of(method) == judge
    batch = examples.batches(data_set.of(method), batch_size=4, seed=0)
    again = examples.batches(data_set.of(method), batch_size=4, seed=0)
    # In any order, and from anywhere: a pure function of the step.
    steps = [batch(step) for step in (0, 1, 5)]
    for step, found in zip((5, 1, 0), steps[::-1], strict=True):
        jax.tree.map(np.testing.assert_array_equal, again(step), found)
    whole = getattr(data_set, source)
    assert steps[0].responses.tokens.shape == (4, num_responses, 24)
    rows = [list(whole.prompts.ids).index(i) for i in steps[0].prompts.ids]
    np.testing.assert_array_equal(
        steps[0].responses.tokens, whole.responses.tokens[rows, :num_responses]
    )


def test_the_data_set_has_votes_scores_and_what_authors_wrote(data_set, loaded):
    sampled = data_set.sampled
    np.testing.assert_allclose(
        sampled.preference + sampled.preference.swapaxes(1, 2), 1
    )
    assert sampled.preference[0, 0, 1] == np.float32(VOTES[0, 0, 1])
    np.testing.assert_allclose(sampled.rewards.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(sampled.rewards.std(), 1, rtol=1e-6)
    authors = data_set.authors
    for index, [text] in zip(
        authors.prompts.ids, loaded.texts(authors.responses), strict=True
    ):
        assert loaded.functions[index].pair.summary.startswith(text.rstrip("\ufffd"))


def test_prompts_know_their_cluster_and_whose_they_are(loaded):
    rows = loaded.rows("test", 512, seed=0)
    clusters, halves = loaded.clusters("test", rows), loaded.halves("test", rows)
    for row, cluster, half in zip(rows, clusters, halves, strict=True):
        own = loaded.functions[loaded.prompts["test"].ids[row]]
        assert cluster.split(".")[0] == own.pair.package
        assert (half == docstrings.THIS_PROJECT) == cluster.startswith(OWN)
    training = loaded.rows("train", 4, seed=0)
    assert set(loaded.halves("train", training)) == {docstrings.STANDARD_LIBRARY}


def test_a_release_of_python_that_lacks_test_prompts_does_without_them(loaded):
    named = loaded.data_set.named | {"test": 515, "train": 9999}
    lacking = dataclasses.replace(loaded.data_set, named=named)
    own = dataclasses.replace(loaded, data_set=lacking)
    most = lacking.named["test"]
    own.require("test", "evaluation.num-prompts", most)
    assert len(own.rows("test", most, seed=0)) == len(own.prompts["test"].tokens)
    with pytest.raises(
        ValueError, match=r"asks for 516 .* not installed here; ask for f"
    ):
        own.require("test", "evaluation.num-prompts", most + 1)
    with pytest.raises(ValueError, match="fewer, or harvest other packages"):
        own.require("train", "judges.num-prompts", 9999)


def test_only_functions_of_this_project_are_shown(loaded):
    rows = loaded.rows("test", 64, seed=0)
    places = loaded.shown("test", rows, 5)
    assert len(places) == 5
    clusters = loaded.clusters("test", rows)
    assert all(name.startswith(OWN) for name in clusters[places])
    # The first that there are: nobody has chosen.
    others = np.delete(clusters[: places[-1] + 1], places)
    assert not any(name.startswith(OWN) for name in others)


def test_a_score_is_told_by_strings_of_one_length_that_differ(loaded):
    levels = loaded.levels
    assert len(levels) == 5 and len({tuple(level) for level in levels}) == 5
    prompts, row = loaded.prompts["train"], [0]
    batch = loaded.batch("train", row, levels[-1])
    assert batch.tokens.shape == (1, loaded.prompt_length + levels.shape[1])
    assert batch.tokens[0, -levels.shape[1] - 1] == prompts.tokens[0][-1]


def course(name, data_set, loaded, num_steps=60, **own):
    chosen = dataclasses.replace(settings.chosen_settings()[name], **own)
    return courses.course(name, chosen, num_steps, loaded, data_set, 0)


@pytest.mark.parametrize(
    ("name", "rows", "num_steps"),
    [
        ("dpo", ["dpo"], [60]),
        ("optune", ["optune"] * 3, [20, 20, 20]),
        ("mixed_po", ["dpo", "ppo"], [30, 30]),
        ("dice", ["dpo", "dice", "dice"], [20, 20, 20]),
        ("sequential_po", ["sequential_po"] * 3, [20, 20, 20]),
    ],
)
def test_a_run_is_parted_into_rounds_and_stages(
    data_set, loaded, name, rows, num_steps
):
    parts = course(name, data_set, loaded)
    assert [part.row for part in parts] == rows
    assert [part.num_steps for part in parts] == num_steps
    short = 1 if name == "sequential_po" else min(2, len(rows))
    assert len(course(name, data_set, loaded, num_steps=2)) == short


def test_each_period_of_sequential_po_has_the_votes_of_another_kind(data_set, loaded):
    def lengths(sign):
        return lambda prompts, texts: sign * np.array([float(len(x)) for x in texts])

    # Three who disagree about every pair whose texts are not of one length.
    population = preferences.Population(
        {"short": lengths(-1), "long": lengths(1), "neither": lengths(0)},
        (0.4, 0.4, 0.2),
        (2.0, 5.0, 1.0),
    )
    annotator = dataclasses.replace(loaded.annotator, population=population)
    loaded = dataclasses.replace(loaded, annotator=annotator)
    parts = course("sequential_po", data_set, loaded, num_steps=70, period=20)
    assert [part.num_steps for part in parts] == [20, 20, 20, 10]
    # One row, one optimizer, one reference: only labels change.
    assert len({id(part.method) for part in parts}) == 1
    sharp = dataclasses.replace(data_set, num_voters=10_000)
    parts = course("sequential_po", sharp, loaded, num_steps=70, period=20)
    found = [part.make(None, None, None) for part in parts]
    pairs = examples.first(data_set.sampled, 2)
    utilities = loaded.annotator.utilities(pairs.prompts, pairs.responses)
    verdicts = population.verdicts(*np.moveaxis(utilities, -1, 0))
    labels = [own.preference[:, 0, 1] for own in found]
    for number, own in enumerate(labels):
        np.testing.assert_allclose(own, verdicts[number % 3], atol=0.03)
        jax.tree.map(
            np.testing.assert_array_equal, found[number].responses, pairs.responses
        )
        turned = found[number].preference.swapaxes(1, 2)
        np.testing.assert_allclose(found[number].preference, 1 - turned, atol=1e-6)
    np.testing.assert_array_equal(labels[0], labels[3])
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(labels[one] - labels[other]).max() > 0.1
    few = course("sequential_po", data_set, loaded)[1].make(None, None, None)
    assert data_set.num_voters == configs.Judges().num_voters
    shares = few.preference[:, 0, 1] * data_set.num_voters
    np.testing.assert_allclose(shares, shares.round(), atol=1e-5)


def test_every_round_of_dice_begins_with_the_penalty_of_its_own_responses(
    data_set, loaded
):
    dpo, first, second = course("dice", data_set, loaded, tau=0.3, num_responses=2)
    assert dpo.method.tau == 0.3 and dpo.settle is None
    assert first.method is not second.method
    setup = algorithms.Setup(
        policy=loaded.start.policy, optimizer=optax.sgd(0.1), decoding=loaded.decoding
    )
    state = algorithms.init(dpo.method, setup, loaded.start.params, jax.random.key(0))
    moved = jax.tree.map(lambda x: x * 1.2, state.params)
    state = dataclasses.replace(state, players={"policy": moved})
    state = algorithms.next_stage(first.method, setup, state)
    found = first.settle(setup, state)
    seen = data_set.of(first.method)
    expected = algorithms.length_corrected(first.method, setup, state, seen)
    assert found.settings == expected.settings
    assert found.settings.keys() == first.method.settings.keys()


def test_mixed_po_parts_the_data_set_by_the_gap_of_rewards(data_set, loaded):
    # The first two responses of every prompt differ by one token: by a seventh.
    gap = algorithms.reward_gap(examples.first(data_set.sampled, 2))
    ids = data_set.sampled.prompts.ids
    for threshold, stage, own in ((0.1, 0, gap > 0.1), (0.2, 1, abs(gap) <= 0.2)):
        part = course("mixed_po", data_set, loaded, threshold=threshold)[stage]
        found = part.make(None, None, None)
        assert len(found.prompts.ids)
        np.testing.assert_array_equal(found.prompts.ids, ids[own])


def test_a_part_with_fewer_examples_than_a_batch_repeats_them(data_set):
    few = algorithms.take(data_set.sampled, slice(3))
    batch = examples.batches(few, batch_size=8, seed=0)(0)
    assert set(batch.prompts.ids) == set(few.prompts.ids)
    counts = np.unique(batch.prompts.ids, return_counts=True)[1]
    assert sorted(counts) == [2, 3, 3]
    one = algorithms.take(few, slice(1))
    assert len(examples.batches(one, batch_size=1, seed=0)(5).prompts.ids) == 1


@pytest.mark.slow
def test_a_smoke_run_of_mixed_po_gets_through_whatever_its_stages_find(
    arguments, tmp_path
):
    # Of sixteen pairs few are easy, and at this threshold none is.
    more = ("--methods", "mixed_po", "--settings.mixed-po.threshold", "100")
    output = tmp_path / "run"
    assert summarise.command(arguments(output, *more)) == 0
    assert not (output / "mixed_po" / "part_1" / "metrics.jsonl").exists()
    assert [line["step"] for line in align.log(output / "mixed_po")] == [0, 1]


def test_the_speed_of_training_leaves_the_first_update_out(tmp_path):
    speeds = []
    for number, seconds in enumerate((9.0, 1.0, 2.0, 4.0), 1):
        line = {"step": number, "tokens": 8.0, "seconds": seconds}
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        speeds.append(align.tokens_per_second(tmp_path))
    assert speeds == [None, 8.0, 6.0, 4.0]


def test_steps_of_the_optimizer_are_those_of_all_parts_that_were_run(tmp_path):
    for part, (steps, epochs) in enumerate(((2, 1), (3, 4)), 1):
        folder = tmp_path / f"part_{part}"
        folder.mkdir()
        lines = [{"step": 0, "win_rate": 0.5}]
        lines += [{"step": n + 1, "optimizer_steps": epochs} for n in range(steps)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)
    assert align.steps_taken(tmp_path) == 2 + 3 * 4
    shutil.rmtree(tmp_path / "part_1")
    assert align.steps_taken(tmp_path) == 3 * 4
    own = {n: align.epochs(algorithms.TABLE[n].method) for n in ("ppo", "rl", "egpo")}
    assert own == {"ppo": 4, "rl": 1, "egpo": 1}


@pytest.mark.parametrize("name", ["votes.npz", "rewards.npz"])
def test_damaged_files_of_the_judges_are_named(loaded, data_set, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match=rf"{name} is damaged .* Delete it"):
        judging.read_votes(path) if name == "votes.npz" else courses.kept(path, None)


def test_optune_answers_half_of_the_prompts_anew_by_the_lowest_rewards(
    data_set, loaded
):
    method = algorithms.TABLE["optune"].method
    setup = algorithms.Setup(
        policy=loaded.start.policy, optimizer=optax.sgd(0.1), decoding=loaded.decoding
    )
    state = algorithms.init(method, setup, loaded.start.params, jax.random.key(0))
    first, second, _ = course("optune", data_set, loaded)
    before = first.make(setup, state, None)
    after = second.make(setup, state, before)
    means = before.rewards.mean(-1)
    anew = (before.responses.tokens != after.responses.tokens).any((1, 2))
    np.testing.assert_array_equal(np.flatnonzero(anew), np.sort(np.argsort(means)[:4]))
    # New rewards are on the old ones' scale.
    lengths = after.responses.mask.sum(-1)[anew]
    np.testing.assert_allclose(
        after.rewards[anew],
        (lengths - data_set.judge.mean) / data_set.judge.deviation,
        rtol=1e-5,
    )


def test_a_search_prefers_the_steps_that_lead_to_what_the_judge_likes(
    loaded, monkeypatch
):
    monkeypatch.setattr(search, "NUM_PROMPTS", 3)
    setup = algorithms.Setup(
        policy=loaded.start.policy, optimizer=optax.sgd(0.1), decoding=loaded.decoding
    )
    method = algorithms.TABLE["mcts_dpo"].method
    state = algorithms.init(method, setup, loaded.start.params, jax.random.key(0))
    found = search.searches(loaded, Lengths(), 0, 0)(setup, state, None)
    again = search.searches(loaded, Lengths(), 0, 0)(setup, state, None)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    other = search.searches(loaded, Lengths(), 1, 0)(setup, state, None)
    assert not set(found.prompts.ids) & set(other.prompts.ids)
    assert len(set(found.prompts.ids)) == 3
    # An untrained policy ends early now and then: the step that does is the worse one.
    ended = ~found.responses.truncated
    assert ended[:, 1].sum() > ended[:, 0].sum()
    labels = found.preference[:, 0, 1]
    assert (labels >= 0.5).all() and len(set(labels.tolist())) > 1


def test_what_a_part_learns_from_is_made_once(data_set, tmp_path):
    path = tmp_path / "part" / "examples.npz"
    whole = dataclasses.replace(data_set.sampled, preference=None)
    first = courses.kept(path, lambda: whole)
    again = courses.kept(path, lambda: 1 / 0)
    assert first.preference is None
    jax.tree.map(np.testing.assert_array_equal, first, whole)
    jax.tree.map(np.testing.assert_array_equal, again, whole)


@pytest.mark.slow
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
    run = align.Aligner._run
    left = ["sequential_po/part_2", "dice/part_3", "optune/part_2"]

    def killed(self, part, *rest):
        folder = rest[-2]
        if left and folder.match(left[-1]):
            left.pop()
            raise MemoryError
        return run(self, part, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(align.Aligner, "_run", killed)
        for _ in range(3):
            with pytest.raises(MemoryError):
                summarise.command(broken)
    assert not left
    assert (tmp_path / "broken" / "optune" / "part_2" / "examples.npz").exists()
    assert summarise.command(broken) == 0
    for name in methods[1:]:
        jax.tree.map(
            np.testing.assert_array_equal,
            weights(tmp_path / "whole" / "policies" / name),
            weights(tmp_path / "broken" / "policies" / name),
        )
        lines = align.log(tmp_path / "whole" / name)
        assert [line["step"] for line in lines] == [0, 1, 2, 3]
        # Two updates of DPO, and one of PPO.
        steps = 2 + 4 if name == "mixed_po" else 3
        assert align.steps_taken(tmp_path / "whole" / name) == steps


def test_lengths_are_logged_with_their_interval_over_prompts():
    mask = np.arange(9) < np.random.default_rng(0).integers(1, 9, (5, 3, 1))
    found = align._length_half_width(jax.numpy.asarray(mask))
    expected = evaluation.mean_interval(mask.sum(-1).mean(-1)).half_width
    np.testing.assert_allclose(found["length_half_width"], expected, rtol=1e-5)
    assert not align._length_half_width(jax.numpy.asarray(mask[:1]))


def test_a_log_of_several_parts_counts_on_and_has_one_beginning(tmp_path):
    update = {"seconds": 2.0, "tokens": 10}
    for part in ("part_2", "part_3"):
        lines = [
            {"step": 0, "seconds": 1.0},
            {"step": 1} | update,
            {"step": 2} | update,
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        training.write_text(tmp_path / part / "metrics.jsonl", text)
    assert [line["step"] for line in align.log(tmp_path)] == [0, 1, 2, 3, 4]
    assert align.tokens_per_second(tmp_path) == 5.0
    assert align.seconds(tmp_path) == 9.0


@pytest.mark.slow
def test_rows_of_every_kind_are_trained_and_one_that_diverges_stops_nobody(
    arguments, tmp_path, monkeypatch
):
    aligned = align.Aligner.align

    def diverging(self, name, *rest):
        if name == "rl":
            raise training.TrainingDiverged("loss is nan", 7, None, tmp_path / "batch")
        return aligned(self, name, *rest)

    monkeypatch.setattr(align.Aligner, "align", diverging)
    monkeypatch.setattr(compare, "MANY", 2)
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
