"""Rows of one's own: registered, loaded from a file, checked; and what rows share."""

import dataclasses
import re
import runpy

import jax
import jax.numpy as jnp
import pytest

from nashalign import algorithms, losses
from nashalign.algorithms import authors, objectives
from nashalign.algorithms.rows import customary
from nashalign.algorithms.settings import POSITIVE
from tests import token_game

OWN = """
from nashalign import algorithms, losses
from nashalign.algorithms import objectives, authors

TAU = algorithms.Setting(
    name="tau",
    meaning="strength of the regularisation",
    range=algorithms.settings.POSITIVE,
    default=0.3,
)
{more}
mine = algorithms.Row(
    "mine",
    "cautious DPO",
    "nobody 2026",
    algorithms.Method(
        members=algorithms.draw(authors.policy, 2),
        annotation="preference",
        loss=objectives.contrastive(losses.dpo),
    ),
    settings=(TAU,),
    departures=("there is no paper",),
)
not_a_row = 3
"""


def row(name="mine", settings=None, **columns):
    """A row of one's own, on pairs of the policy's responses."""
    method = {
        "members": algorithms.draw(authors.policy, 2),
        "annotation": "preference",
        "loss": objectives.contrastive(losses.dpo),
    }
    return algorithms.Row(
        name,
        "own DPO",
        "nobody 2026",
        algorithms.Method(**method | columns),
        settings=(customary.dividing_tau(0.3),) if settings is None else settings,
    )


def test_a_tau_that_a_loss_reads_must_be_a_setting():
    own = row(
        settings=(),
        annotation="reward",
        loss=algorithms.policy_gradients.against_others,
    )
    with pytest.raises(ValueError, match="reads 'tau', which is neither a setting"):
        own.require_shapes()


def table(names):
    """What `python -m nashalign.algorithms` shows."""
    module = runpy.run_module("nashalign.algorithms.__main__", run_name="shown")
    return module["table"](names)


@pytest.fixture
def clean_table():
    """The table, which is afterwards what it was before."""
    known = dict(algorithms.TABLE)
    yield algorithms.TABLE
    algorithms.TABLE.clear()
    algorithms.TABLE.update(known)


def written(folder, more=""):
    path = folder / "own_rows.py"
    path.write_text(OWN.replace("{more}", more))
    return path


def test_a_registered_row_is_configured_listed_and_trained_like_ours(clean_table):
    own = algorithms.register(row())
    assert clean_table["mine"] is own
    method = algorithms.configure("mine", tau=0.7)
    assert method == algorithms.configure(own, tau=0.7)
    with pytest.raises(ValueError, match="mine: tau must be positive and finite"):
        algorithms.configure("mine", tau=0.0)
    with pytest.raises(ValueError, match="no setting 'taw'. Did you mean tau"):
        algorithms.configure("mine", taw=0.7)
    assert "own DPO" in str(list(table([]).columns[0].cells))
    setup = token_game.setup(token_game.POLICY)
    # One structure: what is said of a row is no part of the program.
    theirs = algorithms.configure("online_dpo", tau=0.7)
    assert jax.tree.structure(method) == jax.tree.structure(theirs)
    state = token_game.moved_state(method)
    groups = algorithms.rollout(method, setup, state, token_game.prompts(range(3)))
    assert groups.members.shape == (3, 1, 2)


def test_a_name_that_is_taken_is_refused(clean_table):
    algorithms.register(row())
    algorithms.register(row())
    with pytest.raises(ValueError, match="'mine' is taken by own DPO .nobody 2026."):
        algorithms.register(row(settings=(customary.dividing_tau(0.4),)))
    with pytest.raises(ValueError, match="'dpo' is taken by DPO .offline."):
        algorithms.register(row("dpo"))
    with pytest.raises(TypeError, match="register takes a Row, not Method"):
        algorithms.register(row().method)
    assert clean_table["dpo"].title == "DPO (offline)"


def test_a_row_is_loaded_from_a_file_and_printed(tmp_path):
    path = written(tmp_path)
    found = algorithms.load_row(f"{path}:mine")
    assert isinstance(found, algorithms.Row) and found.defaults == {"tau": 0.3}
    assert algorithms.configure(found, tau=2.0).settings == {"tau": 2.0}
    assert "mine" not in algorithms.TABLE
    shown = table([f"{path}:mine"])
    assert "cautious DPO" in str(list(shown.columns[0].cells))
    assert "there is no paper" in str(list(shown.columns[1].cells))


@pytest.mark.parametrize(
    "place, more, message",
    [
        ("{}", "", "is given as FILE.py:NAME, not "),
        ("{}:", "", "is given as FILE.py:NAME, not "),
        ("nowhere.py:mine", "", "there is no file nowhere.py, of which mine was"),
        ("{}:mime", "", "defines no mime. Did you mean mine? Its rows are: mine."),
        ("{}:not_a_row", "", "not_a_row of {} is not a Row but a int"),
        ("{}:mine", "1 / 0", "{}:11 fails: ZeroDivisionError: division by zero"),
        ("{}:mine", "def", "{}:11 fails: SyntaxError"),
        (
            "{}:mine",
            "TAU = algorithms.Setting(\n    name='beta', meaning='', "
            "range=algorithms.settings.FINITE, default=1.0\n)",
            "mine: loss (dpo) reads 'tau', which is neither a setting of the row",
        ),
    ],
)
def test_a_place_without_a_row_is_an_error_that_says_why(
    tmp_path, place, more, message
):
    path = written(tmp_path, more)
    with pytest.raises(ValueError, match=re.escape(message.replace("{}", str(path)))):
        algorithms.load_row(place.replace("{}", str(path)))


def unknown_policy(settings):
    return {"teacher": 1.0}


@pytest.mark.parametrize(
    "columns, error, message",
    [
        ({"members": ()}, ValueError, "mine: members is empty"),
        ({"members": authors.policy}, TypeError, "mine: members must be a tuple"),
        ({"members": (authors.policy,)}, TypeError, "such as draw(policy, 2), not"),
        (
            {"opponents": algorithms.draw(authors.policy, "number")},
            ValueError,
            "mine: opponents reads 'number', which is neither a setting",
        ),
        (
            {"opponents": algorithms.draw(authors.mixture)},
            ValueError,
            "mine: author mixture reads 'mix', which is neither a setting",
        ),
        (
            {"opponents": algorithms.draw(unknown_policy)},
            ValueError,
            "mine: author unknown policy names the policy 'teacher', which is none",
        ),
        ({"opponents": algorithms.draw(authors.policy, 0)}, ValueError, "0 responses"),
        ({"annotation": "votes"}, ValueError, "annotation must be one of preference"),
        ({"annotation": "data"}, ValueError, "and the row takes 0 of them"),
        ({"anchor": authors.proximal}, ValueError, "anchor proximal reads 'eta'"),
        ({"anchor": authors.policy}, ValueError, "anchor policy names the policy 'po"),
        ({"keeps": ("refrence",)}, ValueError, "keeps names the policy 'refrence'"),
        (
            {"refresh": (("iterate", "polcy", authors.every_period),)},
            ValueError,
            "refresh of 'iterate' names the policy 'polcy'",
        ),
        ({"step": algorithms.epochs("n")}, ValueError, "mine: step reads 'n'"),
        (
            {"conditioning": algorithms.Conditioning()},
            ValueError,
            "mine: conditioning reads 'lowest'",
        ),
    ],
)
def test_a_row_that_does_not_fit_together_cannot_be_made(columns, error, message):
    with pytest.raises(error, match=re.escape(message)):
        row(**columns)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"loss": lambda m, g: jnp.zeros(3)}, "mine: its loss must be one number a gr"),
        ({"weight": lambda m, g: g.members}, "mine: its weight must be one number a g"),
        ({"ratio": lambda x, mask: x}, "mine: its ratio must be one number a respons"),
        ({"loss": objectives.choice}, "mine: loss (choice) reads 'alpha', which is ne"),
        (
            {"loss": objectives.divergence_of_opponent},
            "mine: loss (divergence of opponent) reads 'kl', which is neither",
        ),
        (
            {"label": lambda m, g: g.preference},
            "mine: label must return groups",
        ),
        (
            {"refresh": (("iterate", "policy", authors.every_period),)},
            "mine: refresh of 'iterate' (every period) reads 'period'",
        ),
        (
            {"annotation": "none"},
            "mine: loss (dpo) fails: ",
        ),
        ({"anchor": authors.nothing, "keeps": (), "regulariser": lambda m, g: (
            g.reference_log_probs.sum((-1, -2))[:, None])}, "the row has no reference"),
    ],
)  # fmt: skip
def test_columns_of_the_wrong_shape_are_named_when_a_row_is_registered(
    clean_table, columns, message
):
    with pytest.raises(ValueError, match=re.escape(message)):
        algorithms.register(row(**columns))
    assert "mine" not in clean_table


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("my row", None, "a row's name must be a Python identifier, not 'my row'"),
        ("mine", (customary.tau(1.0), customary.tau(2.0)), "'tau' is there twice"),
        ("mine", (customary.dividing_tau(0.0),), "mine: tau must be positive and"),
    ],
)
def test_names_and_defaults_are_checked_when_a_row_is_made(name, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        row(name, settings)


@pytest.mark.parametrize("name", algorithms.TABLE)
def test_every_row_has_the_shapes_it_must(name):
    algorithms.TABLE[name].require_shapes()


def test_two_rows_may_give_one_letter_two_meanings():
    own = algorithms.Setting(name="tau", meaning="a pace", range=POSITIVE, default=2.0)
    other = row(settings=(own,))
    assert other.setting("tau").meaning != row().setting("tau").meaning
    assert algorithms.TABLE["xpo"].setting("alpha").meaning != (
        algorithms.TABLE["tdpo2"].setting("alpha").meaning
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: objectives.contrastive(losses.dpo),
        lambda: objectives.contrastive(losses.cdpo, flip="flip"),
        lambda: objectives.chosen(losses.ipo, objectives.best_of_n_tau),
        lambda: objectives.added(objectives.likelihood, "a", objectives.choice),
        lambda: objectives.shared("s", objectives.likelihood, objectives.choice),
        lambda: objectives.times("tau", objectives.likelihood),
        lambda: objectives.last_pair(objectives.contrastive(losses.dpo)),
        lambda: objectives.token_level_dpo(detached=True),
        lambda: objectives.self_labelled(sampled=False),
        lambda: objectives.optimism(1),
        lambda: algorithms.regressions.gap_regression(objectives.own_tau),
        lambda: algorithms.selection.replayed(algorithms.selection.best),
    ],
)
def test_columns_made_twice_are_equal_and_say_what_they_are(make):
    assert make() == make() and hash(make()) == hash(make())
    assert make().formula
    method = dataclasses.replace(algorithms.configure("sft"), loss=make())
    again = dataclasses.replace(algorithms.configure("sft"), loss=make())
    assert jax.tree.structure(method) == jax.tree.structure(again)


def test_columns_of_other_parts_are_others():
    assert objectives.contrastive(losses.dpo) != objectives.contrastive(losses.ipo)
    assert objectives.optimism(0) != objectives.optimism(1)
    assert objectives.token_level_dpo(detached=True) != (
        objectives.token_level_dpo(detached=False)
    )
    total = objectives.added(objectives.likelihood, "alpha", objectives.choice)
    assert total.formula == "likelihood + alpha * choice"
    assert objectives.times("tau", total).formula == (
        "tau * (likelihood + alpha * choice)"
    )
    parts = objectives.shared("share", objectives.likelihood, objectives.choice)
    assert parts.formula == "share * likelihood + (1 - share) * choice"
