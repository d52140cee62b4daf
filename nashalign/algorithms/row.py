"""A row of the table: a method, what describes it, and the settings it leaves open."""

import dataclasses
import difflib
from collections.abc import Iterable

from nashalign.algorithms import fit, settings
from nashalign.algorithms.method import Method
from nashalign.algorithms.rounds import Round, Rounds
from nashalign.algorithms.settings import Condition, Setting
from nashalign.types import Numeric


@dataclasses.dataclass(frozen=True)
class Row:
    """One way of aligning a policy, as a value.

    That it fits together is checked when it is made, but for the shapes of its columns,
    which are traced when it is registered, loaded or configured (`require_shapes`).

    Attributes:
      name: by which it is asked for; a Python identifier.
      title: the method's name in its paper.
      paper: authors, year, arXiv number.
      method: the mechanism; it becomes the one with the settings' defaults.
      settings: what the paper leaves to choose.
      conditions: what is wrong with settings that are each in their range; None where
        nothing is.
      departures: what the paper does that the row does not, one line each.
      exactness: how far the enumerated update is the expected one: `"exact"`,
        `"exact without ..."` or `"sampled only"`.
      rounds: what a run is divided into, `(method, num_steps) -> rounds`; None where
        it is one.

    Raises:
      TypeError: a column has the wrong type, or a default is not one number.
      ValueError: the row does not fit together; the sentence names it and the column.
    """

    name: str
    title: str
    paper: str
    method: Method
    settings: tuple[Setting, ...] = ()
    conditions: tuple[Condition, ...] = ()
    departures: tuple[str, ...] = ()
    exactness: str = "exact"
    rounds: Rounds | None = None

    def __post_init__(self):
        """Checks the row, and gives its method the defaults."""
        fit.require_settings(self.name, self.settings)
        settings.check(self.name, self.settings, self.conditions, self.defaults)
        fit.require_sizes(self.name, self.method, self.defaults)
        method = self.method.with_settings(self.defaults)
        fit.require_columns(self.name, method)
        object.__setattr__(self, "method", method)

    @property
    def defaults(self) -> dict[str, Numeric]:
        """Each setting's default, by its name."""
        return {setting.name: setting.default for setting in self.settings}

    def setting(self, name: str) -> Setting:
        """Returns the setting of a name.

        Raises:
          ValueError: the row has none; near matches are named.
        """
        for setting in self.settings:
            if setting.name == name:
                return setting
        names = list(self.defaults)
        raise ValueError(
            f"Method {self.name!r} has no setting {name!r}.{near(name, names)} "
            f"It has: {', '.join(names) or 'none'}."
        )

    def configured(self, **values: Numeric) -> Method:
        """Returns the method with some settings replaced, all of them checked.

        Raises:
          ValueError: a setting is unknown, out of its range, or at odds with others.
          TypeError: a setting is not one number.
        """
        for name in values:
            self.setting(name)
        values = self.defaults | values
        settings.check(self.name, self.settings, self.conditions, values)
        return self.method.with_settings(values)

    def course(self, num_steps: int, **values: Numeric) -> tuple[Round, ...]:
        """Returns the rounds of a run with some settings replaced, and checked.

        Args:
          num_steps: updates of all rounds together, at least 1.
          **values: of the row's settings.

        Raises:
          ValueError: a setting is wrong, as in `configured`, or the row's own rounds do
            not make up the run.
          TypeError: a setting is not one number, or a round is no `Round`.
        """
        method = self.configured(**values)
        if self.rounds is None:
            return (Round(method=method, num_steps=num_steps),)
        found = tuple(self.rounds(method, num_steps))
        fit.require_rounds(self.name, found, num_steps)
        return found

    def needs(self, num_steps: int, **values: Numeric) -> frozenset[str]:
        """Returns what a run must have for its rounds; see `Round` and `course`."""
        return frozenset().union(*(r.needs for r in self.course(num_steps, **values)))

    def require_shapes(self) -> None:
        """Requires columns that read what there is, and return the shapes they must.

        Raises:
          ValueError: naming the row and the column.
        """
        fit.require_shapes(self.name, self.method)


def near(word: str, known: Iterable[str]) -> str:
    """Returns a sentence that names what was probably meant, or all there is."""
    known = list(known)
    found = difflib.get_close_matches(str(word), known, n=3, cutoff=0.5)
    if found:
        return f" Did you mean {' or '.join(found)}?"
    return f" Known: {', '.join(known)}." if known else ""
