"""Rock, paper, scissors: a second task, whose judge is intransitive on purpose.

A tiny policy is taught to answer "rock", "paper" or "scissors", mostly "rock". A judge
on the host lets each of them beat one and lose to another, so that no reward explains
it. DPO on the start policy's answers, Nash-MD-PG, and the row of `own_task` (IPO on
one response of the policy and one of the reference) are trained and compared.

Run: python -m experiments.rock_paper_scissors      (two minutes on 2 cores)
"""

import dataclasses
import pathlib
import sys

import jax
import numpy as np

from nashalign import (
    algorithms,
    alignment,
    checks,
    command_line,
    data,
    policies,
    preferences,
    training,
)

WORDS, SHARES = ("rock", "paper", "scissors"), (0.6, 0.3, 0.1)

ROW = pathlib.Path(__file__).parent / "own_task" / "row.py"


def prefer(prompt: str, y: str, z: str) -> float:
    """Returns P(y beats z): each word beats the one before it, and all beat others."""
    del prompt
    y, z = y.strip(), z.strip()
    if y not in WORDS or z not in WORDS:
        return 0.5 + 0.45 * ((y in WORDS) - (z in WORDS))
    return (0.5, 0.9, 0.1)[(WORDS.index(y) - WORDS.index(z)) % 3]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The second task."""

    output: pathlib.Path = pathlib.Path("runs/rock_paper_scissors")
    """Where everything is left; the same folder again resumes where it stopped."""
    num_steps: int = 60
    """Updates of each method."""
    num_lessons: int = 80
    """Updates in which the start policy is taught to answer."""
    seed: int = 0
    """Of every draw."""


def records(number: int = 320) -> list[data.Record]:
    """Returns prompts, each with an answer to imitate."""
    words = np.random.default_rng(0).choice(WORDS, number, p=SHARES).tolist()
    return [
        data.Record(prompt=f"round {n}: ", chosen=word, rejected="none")
        for n, word in enumerate(words)
    ]


def text_task(folder: pathlib.Path, answers=None) -> alignment.TextTask:
    """Returns the task of the policy in a folder."""
    text = alignment.Text(response_length=6)
    return alignment.text_task(folder, records(), prefer, text=text, answers=answers)


def teach(folder: pathlib.Path, config: Config) -> pathlib.Path:
    """Returns the folder of a policy that has learnt to answer."""
    fresh, start = folder / "fresh", folder / "start"
    texts = [f"{record.prompt}{record.chosen}" for record in records()]
    tokenizer = data.train_tokenizer(texts, fresh, vocabulary=300)
    shape = policies.LlamaConfig(
        vocab_size=tokenizer.size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    params = policies.llama(shape).init(jax.random.key(config.seed))
    policies.save_pretrained(fresh, params, shape, tokenizer_folder=fresh)
    task = text_task(fresh)
    taught = alignment.align(
        "sft",
        task.task,
        None,
        training=alignment.Training(num_steps=config.num_lessons, schedule="constant"),
        learning_rate=1e-2,
        data_set=task.data_set(),
        folder=folder / "taught",
        seed=config.seed,
    )
    task.task.export(start, taught.params)
    return start


def main(config: Config) -> None:
    """Teaches the start policy, trains it by three methods, and compares them."""
    with training.open_run(config.output, dataclasses.asdict(config)) as run:
        answers = preferences.Answers(run.folder / "answers.sqlite", "prefer")
        loaded = text_task(teach(run.folder, config), answers)
        task, seed = loaded.task, config.seed
        judge = checks.present(loaded.annotator, "annotator")
        sampled = alignment.examples.sample(
            task, judge, 128, 2, seed=seed, folder=run.folder / "data_set"
        )
        found = {}
        for name in ("dpo", "nash_md_pg", f"{ROW}:ROW"):
            row = algorithms.load_row(name) if ":" in name else algorithms.find(name)
            aligned = alignment.align(
                row,
                task,
                judge,
                training=alignment.Training(num_steps=config.num_steps),
                learning_rate=3e-3,
                data_set=sampled,
                validation=alignment.validation(task, 32, seed),
                folder=run.folder / row.name,
                seed=seed,
            )
            settings = alignment.settings_type(row)(learning_rate=3e-3)
            found[row.title] = [alignment.contestant(row, settings, aligned)]
        panel = alignment.Panel(
            name="judge", judge=checks.present(task.oracle, "oracle")
        )
        sizes = alignment.Evaluation(num_prompts=32, num_samples=5)
        results = run.folder / "results"
        alignment.compare(task, panel, found, sizes, seed=seed, folder=results)
        run.finish("results")


_NAME = "python -m experiments.rock_paper_scissors"
command = command_line.command(main, Config, name=_NAME, about=__doc__)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
