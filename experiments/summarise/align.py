"""Alignment of one policy: the shared update, a row of the table, a learned judge."""

import functools
import math
import pathlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
import scipy.stats

from experiments.summarise import courses, examples
from experiments.summarise import task as tasks
from experiments.summarise.config import Training
from experiments.summarise.settings import Settings
from nashalign import algorithms, data, evaluation, terminal, training
from nashalign.types import Examples

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
        clusters = task.clusters("validation", self._rows)
        # A job of a few prompts may have drawn them all from one.
        self._clusters = clusters if len(set(clusters)) > 1 else None
        # Programs of rows that are done with would fill the memory of a small machine.
        self._step = functools.lru_cache(_PROGRAMS)(self._new_step)

    def _new_step(
        self, name: str, learning_rate: float, num_steps: int
    ) -> tuple[algorithms.Setup, Callable]:
        """The setup of a row with this schedule of its optimizer, and its step."""
        row = algorithms.TABLE[name].method
        prompted = any("|" in writer for writer in row.writers)
        conditioned = prompted or examples.conditions_on_rewards(row)
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
        course = courses.course(
            name,
            settings,
            self._training.num_steps,
            self._task,
            self._data_set,
            seed,
        )
        title = label or settings.title(name)
        state = found = last = None
        done, say = 0, terminal.console().print
        for number, part in enumerate(course, 1):
            if part.method is not last:
                stage = [own for own in course if own.method is part.method]
                setup, compiled = self._step(
                    part.row, settings.learning_rate, optimizer_steps(stage)
                )
                state = self._begun(part.method, setup, state, seed)
            place, called = folder, title
            if len(course) > 1:
                place, called = folder / f"part_{number}", f"{title} {number}"
            # What is made between two parts is made on one device.
            here = jax.device_put(state, jax.local_devices()[0])
            if part.make is not None:
                make = functools.partial(part.make, setup, here, found)
                found = courses.kept(place / "examples.npz", make)
            last = part.method
            if found is not None and not len(found.prompts.ids):
                say(f"{called}: none of the examples is for it, and it is left out")
                continue
            method = part.method if part.settle is None else part.settle(setup, here)
            state = self._run(
                part,
                method,
                compiled,
                state,
                self._batches(method, found, seed, done),
                seed,
                place,
                called,
            )
            done += part.num_steps
        if not done:
            raise ValueError(
                f"{title}: none of the examples is for any of its stages; ask for more "
                "with --judges.num-prompts, or change its settings."
            )
        return state.params

    def _begun(self, method, setup, state, seed):
        """The state in which a run, or another stage of it, begins."""
        if state is not None:
            return algorithms.next_stage(method, setup, state)
        key = tasks.stage_key(seed, 20)
        return algorithms.init(method, setup, self._task.start.params, key)

    def _run(self, part, method, compiled, state, batches, seed, folder, title):
        """The state after a part of a run."""
        suffix = self.suffix(method)
        judge = self._judges.get(method.annotation)

        def step(state, batch):
            state, metrics, groups = compiled(state, batch, method, judge)
            tokens = metrics["length"] * groups.responses.truncated.size
            own = {"tokens": tokens, "optimizer_steps": jnp.asarray(epochs(method))}
            own |= _length_half_width(groups.responses.mask)
            return state, metrics | own, groups

        return training.run(
            step,
            state,
            batches,
            part.num_steps,
            folder=folder,
            name=title,
            save_every=self._training.save_every,
            show=("log_ratio", "win_rate"),
            rollouts_of=self._rollouts,
            evaluate=lambda state: self.validate(state.params, seed, suffix),
            evaluate_every=self._training.evaluate_every,
        )

    def _batches(
        self, method: algorithms.Method, found: Examples | None, seed: int, done: int
    ) -> Callable[[int], Any]:
        """The batch of an update: prompts, or examples where a row learns from them.

        They are of what a part has found to learn from, where it has looked.
        """
        size = self._training.batch_size
        if found is None and not method.num_data:
            return data.prompt_batches(
                self._task.prompts["train"],
                batch_size=size,
                length=self._task.prompt_length,
                pad_id=self._task.tokenizer.pad_id,
                seed=seed,
            )
        if found is None:
            found = self._data_set.of(method)
        batch = examples.batches(found, batch_size=size, seed=seed)
        if method.num_data:
            return lambda step: batch(done + step)
        return lambda step: batch(done + step).prompts

    def suffix(self, method: algorithms.Method) -> Sequence[int]:
        """What a row's policy is shown after a prompt: the best score, or nothing."""
        if examples.conditions_on_rewards(method):
            return self._task.levels[-1].tolist()
        return ()

    def validate(
        self, params: Any, seed: int, suffix: Sequence[int] = ()
    ) -> dict[str, float]:
        """Win rate against the start policy, and KL, on the validation prompts.

        Each has half of its 95% interval over the prompts' clusters beside it.
        """
        key = tasks.stage_key(seed, 21)
        written = self._task.write(params, "validation", self._rows, key, suffix=suffix)
        population = self._task.annotator.population
        won = population.prefer(self._task.utilities(written), self._opponent)
        divergence = evaluation.kl_to_reference(
            written.log_probs,
            written.reference_log_probs,
            written.responses.mask,
            clusters=self._clusters,
        )
        spread = evaluation.mean_interval(won.mean(-1), clusters=self._clusters)
        return {
            "win_rate": float(won.mean()),
            "win_rate_half_width": float(spread.half_width),
            "kl": float(divergence.mean),
            "kl_half_width": float(divergence.half_width),
        }

    def _rollouts(self, step: int, prompts, groups) -> Iterable[dict]:
        """What a step sampled and what was said of it, one line a prompt."""
        del step, prompts
        frozen = groups.frozen_log_probs
        for index, texts in enumerate(self._task.texts(groups.responses)):
            pair = self._task.functions[groups.prompts.ids[index]].pair
            line = {
                "id": int(groups.prompts.ids[index]),
                "code": pair.code,
                "responses": texts,
                "truncated": groups.responses.truncated[index].tolist(),
            }
            if "reference" in frozen:
                found = frozen["reference"][index].sum(-1)
                line["reference_log_probs"] = found.tolist()
            if groups.preference is not None:
                line["preference"] = groups.preference[index].tolist()
            if groups.rewards is not None:
                line["rewards"] = groups.rewards[index].tolist()
            yield line


def _length_half_width(mask: jax.Array) -> dict[str, jax.Array]:
    """Half of the 95% interval of a batch's mean length, if there is any spread to see.

    Args:
      mask: `[B, N, T]` of the responses to `B` prompts.
    """
    lengths = jnp.mean(jnp.sum(mask, -1), -1)
    if len(lengths) < 2:
        return {}
    quantile = float(scipy.stats.t.ppf(0.975, len(lengths) - 1))
    error = jnp.std(lengths, ddof=1) / math.sqrt(len(lengths))
    return {"length_half_width": quantile * error}


def epochs(method: algorithms.Method) -> int:
    """Steps of the optimizer in an update of a row."""
    return int(method.num_epochs)


def optimizer_steps(stage: Sequence[courses.Part]) -> int:
    """Steps of the optimizer in all parts of one stage."""
    return epochs(stage[0].method) * sum(part.num_steps for part in stage)


def log(folder: pathlib.Path) -> list[dict]:
    """The log of a run, its parts one after another."""
    # A part that nothing was for has left no log.
    logs = sorted(folder.glob("part_*/metrics.jsonl")) or [folder / "metrics.jsonl"]
    lines, done = [], 0
    for path in logs:
        own = training.read_log(path)
        # What a part begins with is what the one before has ended with.
        own = [line for line in own if line["step"] or not done]
        lines += [line | {"step": done + line["step"]} for line in own]
        done = lines[-1]["step"]
    return lines


def seconds(folder: pathlib.Path) -> float:
    """Training time by the log, compilation included, pauses between sessions not."""
    return sum(line["seconds"] for line in log(folder))


def steps_taken(folder: pathlib.Path) -> int:
    """Steps of the optimizer by the log, in all stages that were not left out."""
    return round(sum(line.get("optimizer_steps", 0) for line in log(folder)))


def tokens_per_second(folder: pathlib.Path) -> float | None:
    """Speed of training by the log: the median over updates, the first left out.

    An update's tokens are those of the responses that it has written or been given, all
    of which it reads; what an extragradient step looks ahead with, and what is written
    between two parts of a run, is not counted. The median leaves compilation,
    validation and checkpoints out. None, where there was only the first update: of a
    short run, a stage may have been left out.
    """
    updates = [line for line in log(folder) if "tokens" in line]
    speeds = [line["tokens"] / line["seconds"] for line in updates[1:]]
    return statistics.median(speeds) if speeds else None
