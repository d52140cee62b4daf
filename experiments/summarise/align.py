"""Alignment of one policy: the shared update, a row of the table, a learned judge."""

import functools
import pathlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optax

from experiments.summarise import examples
from experiments.summarise import task as tasks
from experiments.summarise.config import Training
from experiments.summarise.settings import Settings
from nashalign import algorithms, data, evaluation, training

_PROGRAMS = 8


class Aligner:
    """Trains policies from one start policy on one set of prompts.

    One compiled step serves every seed and every value of the settings of a row.
    """

    def __init__(
        self,
        task: tasks.Task,
        judges: Mapping[str, Any],
        settings: Training,
        *,
        data_set: examples.DataSet | None = None,
        num_validation_prompts: int,
        seed: int,
    ):
        """Lets the start policy write its side of the validation.

        Args:
          task: prompts, start policy, reviewers.
          judges: annotators by what methods read.
          settings: number and size of the updates.
          data_set: responses for the rows that learn from some.
          num_validation_prompts: on which win rate and KL are measured while training.
          seed: of the choice of validation prompts, and of the start policy's side.
        """
        self._task, self._judges, self._training = task, judges, settings
        self._data_set = data_set
        self._rows = task.rows("validation", num_validation_prompts, seed)
        written = task.write(
            task.start.params, "validation", self._rows, tasks.stage_key(seed, 3)
        )
        self._opponent = task.utilities(written)
        # Programs of rows that are done with would fill the memory of a small machine.
        self._step = functools.lru_cache(_PROGRAMS)(self._new_step)

    def _new_step(
        self, name: str, learning_rate: float, epochs: int
    ) -> tuple[algorithms.Setup, Callable]:
        """The setup of a row with this learning rate, and its compiled step."""
        row = algorithms.TABLE[name]
        prompted = any("|" in writer for writer in row.writers)
        conditioned = prompted or examples.conditions_on_rewards(row)
        num_steps = self._training.num_steps * epochs
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, learning_rate, max(1, num_steps // 10), num_steps + 1
        )
        setup = algorithms.Setup(
            policy=self._task.start.policy,
            optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)),
            decoding=self._task.decoding,
            levels=self._task.levels if conditioned else None,
        )

        def step(state, batch, method, annotator, *, reduce):
            return algorithms.update(method, setup, annotator, state, batch, reduce)

        return setup, training.data_parallel(step, training.make_mesh())

    def align(
        self,
        name: str,
        settings: Settings,
        seed: int,
        folder: pathlib.Path,
        label: str = "",
    ) -> Any:
        """Trains one method in its folder and returns the policy.

        Args:
          name: key of the table of methods.
          settings: of the method.
          seed: of the prompts' order and of every draw.
          folder: where the run is kept.
          label: what the progress bar calls it, if not the method's title.
        """
        method = settings.method(name)
        judge = self._judges.get(method.annotation)
        epochs = int(method.settings.get("num_epochs", 1))
        setup, compiled = self._step(name, settings.learning_rate, epochs)
        key, suffix = tasks.stage_key(seed, 20), self.suffix(method)

        def step(state, batch):
            state, metrics, groups = compiled(state, batch, method, judge)
            tokens = metrics["length"] * groups.responses.truncated.size
            return state, metrics | {"tokens": tokens}, groups

        state = training.run(
            step,
            algorithms.init(method, setup, self._task.start.params, key),
            self._batches(method, seed),
            self._training.num_steps,
            folder=folder,
            name=label or method.title,
            save_every=self._training.save_every,
            show=("log_ratio", "win_rate"),
            rollouts_of=self._rollouts,
            evaluate=lambda state: self.validate(state.params, seed, suffix),
            evaluate_every=self._training.evaluate_every,
        )
        return state.params

    def _batches(self, method: algorithms.Method, seed: int) -> Callable[[int], Any]:
        """The batch of an update: prompts, or examples where a row learns from them."""
        if method.num_data:
            return self._data_set.batches(
                method, batch_size=self._training.batch_size, seed=seed
            )
        return data.prompt_batches(
            self._task.prompts["train"],
            batch_size=self._training.batch_size,
            length=self._task.prompt_length,
            pad_id=self._task.tokenizer.pad_id,
            seed=seed,
        )

    def suffix(self, method: algorithms.Method) -> Sequence[int]:
        """What a row's policy is shown after a prompt: the best score, or nothing."""
        if examples.conditions_on_rewards(method):
            return self._task.levels[-1].tolist()
        return ()

    def validate(
        self, params: Any, seed: int, suffix: Sequence[int] = ()
    ) -> dict[str, float]:
        """Win rate against the start policy, and KL, on the validation prompts."""
        key = tasks.stage_key(seed, 21)
        written = self._task.write(params, "validation", self._rows, key, suffix=suffix)
        population = self._task.annotator.population
        won = population.prefer(self._task.utilities(written), self._opponent)
        divergence = evaluation.kl_to_reference(
            written.log_probs, written.reference_log_probs, written.responses.mask
        )
        return {"win_rate": float(won.mean()), "kl": float(divergence.mean)}

    def _rollouts(self, step: int, prompts, groups) -> Iterable[dict]:
        """What a step sampled and what was said of it, one line a prompt."""
        del step, prompts
        ratios = groups.reference_log_probs.sum(-1)
        for index, texts in enumerate(self._task.texts(groups.responses)):
            pair = self._task.pairs[groups.prompts.ids[index]]
            line = {
                "id": int(groups.prompts.ids[index]),
                "code": pair.code,
                "responses": texts,
                "reference_log_probs": ratios[index].tolist(),
                "truncated": groups.responses.truncated[index].tolist(),
            }
            if groups.preference is not None:
                line["preference"] = groups.preference[index].tolist()
            if groups.rewards is not None:
                line["rewards"] = groups.rewards[index].tolist()
            yield line


def seconds(folder: pathlib.Path) -> float:
    """Training time by the log, compilation included, pauses between sessions not."""
    return sum(line["seconds"] for line in training.read_log(folder / "metrics.jsonl"))


def tokens_per_second(folder: pathlib.Path) -> float:
    """Speed of training by the log: the median over updates, the first left out.

    An update's tokens are those of the responses that it has written or been given, all
    of which it reads; what an extragradient step looks ahead with is not counted. The
    median leaves compilation, validation and checkpoints out.
    """
    lines = training.read_log(folder / "metrics.jsonl")
    return statistics.median(line["tokens"] / line["seconds"] for line in lines[1:])
