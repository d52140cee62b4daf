"""Several methods, each trained from several seeds, on one task with one data set."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from nashalign import algorithms, options, preferences, terminal, training
from nashalign.alignment import at_once, contest, examples, logs
from nashalign.alignment import task as tasks
from nashalign.alignment.adapters import Adapters
from nashalign.alignment.align import align
from nashalign.alignment.contest import Contestant
from nashalign.alignment.runs import Aligned, Training
from nashalign.alignment.settings import Settings, named_in
from nashalign.alignment.validation import Validation

ALL = "all"
"""What stands for every row of the table of methods after --methods."""

# The lines of a log, which are a learning curve.
Curves = dict[str, list[dict]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Several:
    """Which methods are trained, and how: what configurations of such jobs have."""

    methods: tuple[str, ...] = ()
    """Rows of the table of methods (`python -m nashalign.algorithms` prints it), in the
    order in which they are trained; or all of them."""
    seed: int = 0
    """Of every draw."""
    seeds: int = 1
    """Policies that each method trains, whose seeds are this one and the next ones;
    prompts, votes and judges are the same for all. A ranking needs several."""
    processes: int | None = 1
    """Policies that are trained at the same time on a CPU, each in a process with its
    share of the cores; None: one for every core and every 2 GB of memory."""
    lora: Adapters = Adapters()
    training: Training = Training()
    settings: dict[str, Settings] = dataclasses.field(default_factory=dict)

    @property
    def all_seeds(self) -> range:
        """The seeds of each method's runs."""
        return range(self.seed, self.seed + self.seeds)

    def place(self, name: str, seed: int) -> str:
        """Returns the name of the folder of one run."""
        return name if self.seeds == 1 else f"{name}-seed{seed}"

    def needs(self, name: str) -> frozenset[str]:
        """Returns what a method's rounds need; see `algorithms.Row.needs`."""
        own = self.settings[name].own
        return algorithms.find(name).needs(self.training.num_steps, **own)

    def offline(self) -> list[str]:
        """Returns those of the methods that learn from given responses."""
        given = algorithms.rounds.RESPONSES
        return [name for name in self.methods if given in self.needs(name)]

    def recorded(self) -> dict[str, Any]:
        """Returns every setting that results depend on, those of trained methods."""
        record = dataclasses.asdict(self)
        record["settings"] = {name: record["settings"][name] for name in self.methods}
        return record

    def check(self) -> None:
        """Requires methods, settings that they can have, and seeds.

        Every group of settings is looked at, those of subclasses too.

        Raises:
          ValueError: naming the method or the setting, its value, and what it must be.
        """
        if not self.methods:
            known = ", ".join(self.settings)
            raise ValueError(f"--methods names no method; known are {known}.")
        for name in self.methods:
            settings = self.settings.get(name, Settings())
            algorithms.configure(name, **settings.own)
            rate = settings.learning_rate
            options.require(f"settings.{name}.learning_rate", rate)
        training.num_processes(self.processes, len(self.methods) * self.seeds)
        options.require("seeds", self.seeds)
        options.require_seed(self.seed, self.seeds)
        for field in dataclasses.fields(self):
            group = getattr(self, field.name)
            if dataclasses.is_dataclass(group):
                options.require_all(group, field.name, at_least=_AT_LEAST_TWO)

    def shown(self, arguments: Sequence[str]) -> Self:
        """Returns this with the settings that --help shows, before it is parsed.

        Those are of the methods that the command line names, in whatever place, and
        else of those that are trained by default.
        """
        named = named_in(arguments, self.settings)
        if ALL in arguments:
            named = list(self.settings)
        own = {name: self.settings[name] for name in named or self.methods}
        return dataclasses.replace(self, settings=own)

    def filled(self, settings: Mapping[str, Settings]) -> Self:
        """Returns this after it has been parsed: every method has its settings.

        Args:
          settings: of every method, where the command line has none.
        """
        every = dict(settings) | self.settings
        methods = tuple(every) if self.methods == (ALL,) else self.methods
        return dataclasses.replace(self, methods=methods, settings=every)


_AT_LEAST_TWO = ("num_prompts", "num_validation_prompts")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """What all runs share.

    Attributes:
      task: the start policy and the prompts.
      annotators: by what they answer; see `align`.
      data_set: what offline methods learn from; None where none is trained.
      validation: what measures policies in training.
      training: number and size of the updates.
    """

    task: tasks.Task
    annotators: preferences.Annotator | Mapping[str, Any]
    data_set: examples.DataSet | None
    validation: Validation
    training: Training

    def align(
        self,
        name: str,
        settings: Settings,
        seed: int,
        folder: pathlib.Path,
        label: str,
    ) -> Aligned:
        """Trains one run of a method of the table; see `align`."""
        return align(
            name,
            self.task,
            self.annotators,
            settings=settings.own,
            learning_rate=settings.learning_rate,
            training=self.training,
            data_set=self.data_set,
            validation=self.validation,
            seed=seed,
            folder=folder,
            label=label,
        )


def align_all(
    bench: Bench,
    several: Several,
    folder: pathlib.Path,
    make_bench: Callable[[], Bench] | None = None,
) -> tuple[dict[str, list[Contestant]], Curves]:
    """Trains every run, and exports its policy.

    One that diverges does not keep the others from their turn, unless it is alone.

    Args:
      bench: what the runs share.
      several: the methods, their settings and seeds.
      folder: of a run each, and of `policies`.
      make_bench: makes the bench again in another process; see `training.at_once`.
        Without it the runs are trained one after another.

    Returns:
      Policies, one a seed, and learning curves; both by the method's title.

    Raises:
      TrainingDiverged: the only run has.
    """
    diverged = {}
    if make_bench is not None:
        diverged = _train_at_once(make_bench, several, folder)
    aligned: dict[str, list[Contestant]] = {}
    curves: Curves = {}
    single = several.seeds == 1
    for name in several.methods:
        title, settings = algorithms.find(name).title, several.settings[name]
        for seed in several.all_seeds:
            place = several.place(name, seed)
            label = title if single else f"{title}, seed {seed}"
            try:
                if (name, seed) in diverged:
                    raise diverged[name, seed]
                found = bench.align(name, settings, seed, folder / place, label)
            except training.TrainingDiverged as error:
                if single and len(several.methods) == 1:
                    raise
                terminal.console().print(f"{label} has diverged: {error}")
                own = Contestant(key=name, settings=settings.own, diverged=error.step)
            else:
                own = contest.contestant(name, settings, found)
                bench.task.export(folder / "policies" / place, found.params)
                curves.setdefault(title, []).extend(logs.read(folder / place))
            aligned.setdefault(title, []).append(own)
    return aligned, curves


# A method and a seed.
_Trial = tuple[str, int]
_Diverged = training.TrainingDiverged


def _train_at_once(
    make_bench: Callable[[], Bench], several: Several, folder: pathlib.Path
) -> dict[_Trial, _Diverged]:
    """Trains in processes what has not had all its updates, and says what diverged."""
    trials = [(name, seed) for name in several.methods for seed in several.all_seeds]
    found = at_once.train(
        functools.partial(_trains, make_bench, several, folder),
        {own: folder / several.place(*own) for own in trials},
        several.training.num_steps,
        several.processes,
        folder,
        "policies",
    )
    return {own: error for own, error in found.items() if error is not None}


def _trains(
    make_bench: Callable[[], Bench], several: Several, folder: pathlib.Path
) -> Callable[[_Trial], _Diverged | None]:
    """What trains one policy, and returns whether it diverged; made once a process."""
    bench = make_bench()

    def train(trial: _Trial) -> _Diverged | None:
        name, seed = trial
        place = several.place(name, seed)
        try:
            bench.align(name, several.settings[name], seed, folder / place, place)
        except training.TrainingDiverged as error:
            return error

    return train
