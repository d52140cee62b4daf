"""The population: exact, antisymmetric, and no Bradley-Terry model."""

import dataclasses

import numpy as np
import pytest

from nashalign import games, preferences
from nashalign.types import Prompts, Responses


def constant(value):
    return lambda prompts, responses: np.full(len(responses), float(value))


def population(weights=(0.5, 0.3, 0.2), temperatures=(0.1, 0.2, 0.5)):
    kinds = {"one": constant(1), "two": constant(2), "three": constant(3)}
    return preferences.Population(kinds, weights, temperatures)


# Columns are three responses; each kind of voter ranks them one place further on.
CYCLE = np.array([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 2.0]])


def test_population_is_the_weighted_mean_of_logistic_votes():
    u_y, u_z = np.array([[0.3], [0.1], [0.9]]), np.array([[0.1], [0.4], [0.9]])
    votes = [1 / (1 + np.exp(-0.2 / 0.1)), 1 / (1 + np.exp(0.3 / 0.2)), 1 / 2]
    by_hand = 0.5 * votes[0] + 0.3 * votes[1] + 0.2 * votes[2]
    np.testing.assert_allclose(population().verdicts(u_y, u_z)[:, 0], votes)
    np.testing.assert_allclose(population().prefer(u_y, u_z), [by_hand], rtol=1e-14)


def test_preference_and_its_swap_sum_to_one():
    u = np.random.default_rng(0).uniform(size=(2, 3, 50))
    forward, backward = population().prefer(u[0], u[1]), population().prefer(u[1], u[0])
    np.testing.assert_allclose(forward + backward, 1, rtol=0, atol=1e-15)
    assert forward.min() >= 0 and forward.max() <= 1


def test_matrix_holds_every_pair_of_a_prompt():
    u = np.random.default_rng(1).uniform(size=(3, 4, 5))
    matrix = population().matrix(u)
    assert matrix.shape == (4, 5, 5)
    np.testing.assert_allclose(
        matrix[2, 1, 4], population().prefer(u[:, 2, 1], u[:, 2, 4])
    )


def test_population_is_not_bradley_terry():
    mixed = population(weights=(1 / 3, 1 / 3, 1 / 3), temperatures=(0.1, 0.1, 0.1))
    matrix = mixed.matrix(CYCLE)
    assert matrix[0, 1] > 0.6 and matrix[1, 2] > 0.6 and matrix[2, 0] > 0.6
    assert games.intransitive_share(matrix) == 1


def test_a_kind_alone_says_what_it_says_among_others():
    everyone = population()
    u_y, u_z = np.random.default_rng(2).uniform(size=(2, 3, 5))
    for number, kind in enumerate(everyone.kinds):
        own = everyone.alone(kind)
        own_utilities = own.utilities(["x"], ["y"])
        assert own.kinds == (kind,) and own_utilities.tolist() == [[number + 1.0]]
        found = own.prefer(u_y[number : number + 1], u_z[number : number + 1])
        np.testing.assert_allclose(found, everyone.verdicts(u_y, u_z)[number])
    with pytest.raises(ValueError, match="no kind 'four'; there are one, two, three"):
        everyone.alone("four")


def test_one_kind_alone_is_bradley_terry():
    alone = preferences.Population({"one": constant(1)}, (1.0,), (0.1,))
    p = alone.matrix(CYCLE[:1])
    odds = p / (1 - p)
    np.testing.assert_allclose(odds[0, 1] * odds[1, 2], odds[0, 2])
    assert games.intransitive_share(p) == 0


def test_intransitive_share_equals_counting_triples():
    u = np.random.default_rng(2).uniform(size=(3, 20, 6))
    matrix = population((1 / 3, 1 / 3, 1 / 3), (0.01, 0.01, 0.01)).matrix(u)
    triples = [(a, b, c) for c in range(6) for b in range(c) for a in range(b)]
    cyclic = sum(
        len({m[a, b] > 0.5, m[b, c] > 0.5, m[c, a] > 0.5}) == 1
        for m in matrix
        for a, b, c in triples
    )
    assert 0 < cyclic
    share = games.intransitive_share(matrix).mean()
    np.testing.assert_allclose(share, cyclic / (20 * len(triples)))


def test_ties_break_a_circle():
    assert not games.intransitive_share(np.full((2, 3, 3), 0.5)).any()


@pytest.mark.parametrize(
    ("preference", "named"),
    [
        (np.full((2, 3, 3), np.nan), "preference"),
        (np.full((2, 3, 3), 0.6), "preference"),
        (np.full((2, 3), 0.5), "preference"),
    ],
)
def test_a_share_of_what_is_no_preference_is_refused(preference, named):
    with pytest.raises(ValueError, match=named):
        games.intransitive_share(preference)


@pytest.mark.parametrize("name", ["u_y", "u_z"])
def test_a_utility_that_is_no_number_is_named(name):
    own = {"u_y": np.full((3, 2), 0.5), "u_z": np.full((3, 2), 0.5)}
    own[name][1, 1] = np.nan
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        population().votes(np.random.default_rng(0), **own)


@pytest.mark.parametrize("num_voters", [1, 5])
def test_votes_are_drawn_with_the_preference(num_voters):
    u_y, u_z = np.array([[0.3], [0.1], [0.9]]), np.array([[0.1], [0.4], [0.9]])
    p = population().prefer(u_y, u_z)[0]
    rng = np.random.default_rng(3)
    many = np.repeat(u_y, 20_000, 1)
    votes = population().votes(rng, many, u_z, num_voters=num_voters)
    np.testing.assert_array_equal(
        np.unique(votes), np.arange(num_voters + 1) / num_voters
    )
    variance = p * (1 - p) / num_voters
    assert abs(votes.mean() - p) < 4 * np.sqrt(variance / 20_000)
    np.testing.assert_allclose(votes.var(), variance, rtol=0.05)


def test_best_attainable_accuracy_is_that_of_knowing_the_preference():
    np.testing.assert_allclose(
        preferences.best_attainable_accuracy([0.5, 0.9, 0.2]), (0.5 + 0.9 + 0.8) / 3
    )


def test_utilities_have_a_row_for_each_kind():
    np.testing.assert_array_equal(
        population().utilities(["a", "b"], ["c", "d"]), [[1, 1], [2, 2], [3, 3]]
    )
    assert population().kinds == ("one", "two", "three")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": (0.5, 0.5)}, "2 weights"),
        ({"weights": (0.5, 0.4, 0.2)}, "sum to 1.1"),
        ({"weights": (1.5, -0.3, -0.2)}, "positive"),
        ({"temperatures": (0.1, 0.0, 0.1)}, "positive"),
        ({"voters": {}, "weights": (), "temperatures": ()}, "nobody in it"),
    ],
)
def test_impossible_population_is_an_error_that_says_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(population(), **change)


@pytest.mark.parametrize(
    "u_y, u_z",
    [
        (np.zeros((2, 4)), np.zeros((3, 4))),
        (np.zeros((1, 4)), np.zeros((1, 4))),
        (np.zeros((3, 4)), np.zeros((3, 5))),
        (np.zeros((3, 4, 4)), np.zeros((3, 4))),
        (np.zeros(()), np.zeros(3)),
    ],
)
def test_utilities_of_other_kinds_or_texts_are_refused(u_y, u_z):
    for ask in (population().prefer, population().verdicts):
        with pytest.raises(ValueError, match=r"^u_y \[.*for each of the 3 kinds"):
            ask(u_y, u_z)


class Words:
    """A tokenizer of words: token i is WORDS[i], and 0 ends."""

    WORDS = ("<eos>", "a", "red", "fox", "saw", "two", "cats", "today", "!")

    def decode(self, ids):
        return " ".join(self.WORDS[i] for i in ids if i)


ASKED = ("Who saw whom?", "How many cats?")


def shared_letters(prompts, responses):
    """A utility that reads both texts: different letters that they share."""
    pairs = zip(prompts, responses, strict=True)
    return np.array([float(len(set(x) & set(y))) for x, y in pairs])


def brevity(prompts, responses):
    """A utility of few letters."""
    return np.array([-float(len(text)) for text in responses])


JUDGE = preferences.Population(
    {"shared": shared_letters, "brief": brevity}, (0.6, 0.4), (3.0, 5.0)
)


def responses(*rows):
    """One response a prompt, padded with a token that would change the text."""
    length = max(map(len, rows)) + 1
    tokens = np.array([[*row, *[8] * (length - len(row))] for row in rows])
    mask = np.arange(length) < np.array([[len(row)] for row in rows])
    return Responses(
        tokens=tokens[:, None], mask=mask[:, None], truncated=np.zeros((len(rows), 1))
    )


PROMPTS = Prompts(
    tokens=np.zeros((2, 1), int), mask=np.ones((2, 1), bool), ids=np.array([1, 0])
)
LONG, SHORT, OTHER = (1, 2, 3, 4, 5, 6, 0), (5, 6, 0), (1, 3, 0)


def test_annotator_decodes_the_responses_and_reads_the_prompt_of_each_id():
    annotator = preferences.PopulationAnnotator(JUDGE, Words(), ASKED)
    y, z = responses(LONG, SHORT), responses(SHORT, OTHER)
    u_y = JUDGE.utilities([ASKED[1], ASKED[0]], ["a red fox saw two cats", "two cats"])
    u_z = JUDGE.utilities([ASKED[1], ASKED[0]], ["two cats", "a fox"])
    preferred = annotator.prefer(None, PROMPTS, y, z)
    assert preferred.shape == (2, 1)
    np.testing.assert_array_equal(preferred[:, 0], JUDGE.prefer(u_y, u_z))
    other = JUDGE.utilities(ASKED, ["a red fox saw two cats", "two cats"])
    assert not np.isclose(JUDGE.prefer(u_y, u_z), JUDGE.prefer(other, u_z)).any()
    swapped = annotator.prefer(None, PROMPTS, z, y)
    np.testing.assert_allclose(preferred + swapped, 1, rtol=0, atol=1e-15)


def test_id_without_a_text_is_an_error():
    annotator = preferences.PopulationAnnotator(JUDGE, Words(), ASKED[:1])
    y = responses(LONG, SHORT)
    with pytest.raises(ValueError, match="there are 1 texts"):
        annotator.prefer(None, PROMPTS, y, y)


@pytest.mark.parametrize("wrong", [np.nan, -0.01, 1.01, np.inf])
def test_preference_that_is_no_probability_is_an_error_that_names_the_place(wrong):
    with pytest.raises(ValueError, match=r"judge over there.*entry \(1, 0\)"):
        preferences.check_preferred([[0.5, 1.0], [wrong, 0.0]], "judge over there")


def test_preference_that_is_a_probability_passes_unchanged():
    good = np.array([0.0, 0.5, 1.0])
    assert preferences.check_preferred(good, "judge") is good
