"""Alignment of one policy: the shared update, a row of the table, a learned judge."""

import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import optax

from experiments.summarise import task as tasks
from experiments.summarise.config import Settings, Training
from nashalign import algorithms, data, evaluation, training


class Aligner:
    """Trains policies from one start policy on one set of prompts.

    One compiled step serves every tau, mix and seed of a row.
    """

    def __init__(
        self,
        task: tasks.Task,
        judges: Mapping[str, Any],
        settings: Training,
        *,
        num_validation_prompts: int,
        seed: int,
    ):
        """Lets the start policy write its side of the validation.

        Args:
          task: prompts, start policy, reviewers.
          judges: annotators by what methods read.
          settings: number and size of the updates.
          num_validation_prompts: on which win rate and KL are measured while training.
          seed: of the choice of validation prompts, and of the start policy's side.
        """
        self._task, self._judges, self._training = task, judges, settings
        self._rows = task.rows("validation", num_validation_prompts, seed)
        written = task.write(
            task.start.params, "validation", self._rows, tasks.stage_key(seed, 3)
        )
        self._opponent = task.utilities(written)
        self._compiled: dict[float, tuple[algorithms.Setup, Callable]] = {}

    def _step(self, learning_rate: float) -> tuple[algorithms.Setup, Callable]:
        """The setup with this learning rate, and its compiled step."""
        if learning_rate in self._compiled:
            return self._compiled[learning_rate]
        num_steps = self._training.num_steps
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, learning_rate, max(1, num_steps // 10), num_steps + 1
        )
        setup = algorithms.Setup(
            policy=self._task.start.policy,
            optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)),
            decoding=self._task.decoding,
        )

        def step(state, prompts, method, annotator, *, reduce):
            return algorithms.update(method, setup, annotator, state, prompts, reduce)

        compiled = training.data_parallel(step, training.make_mesh())
        self._compiled[learning_rate] = setup, compiled
        return setup, compiled

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
        judge = self._judges[method.annotation]
        setup, compiled = self._step(settings.learning_rate)
        key = tasks.stage_key(seed, 20)
        state = training.run(
            lambda state, prompts: compiled(state, prompts, method, judge),
            algorithms.init(method, setup, self._task.start.params, key),
            data.prompt_batches(
                self._task.prompts["train"],
                batch_size=self._training.batch_size,
                length=self._task.prompt_length,
                pad_id=self._task.tokenizer.pad_id,
                seed=seed,
            ),
            self._training.num_steps,
            folder=folder,
            name=label or method.title,
            save_every=self._training.save_every,
            show=("log_ratio", "win_rate"),
            rollouts_of=self._rollouts,
            evaluate=lambda state: self.validate(state.params, seed),
            evaluate_every=self._training.evaluate_every,
        )
        return state.params

    def validate(self, params: Any, seed: int) -> dict[str, float]:
        """Win rate against the start policy, and KL, on the validation prompts."""
        written = self._task.write(
            params, "validation", self._rows, tasks.stage_key(seed, 21)
        )
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
