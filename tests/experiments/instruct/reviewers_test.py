"""The three kinds of reviewer of an answer: what each likes, and that they disagree."""

import itertools

import numpy as np
import pytest

from experiments.instruct import reviewers
from nashalign import games

INSTRUCTION = "Explain why bread rises in the oven."
SHORT = "It swells because of gas."
ECHO = "Bread rises in the oven because the bread is rising in a hot oven."
LONG = (
    "Yeast makes small bubbles of gas in the dough, which expand with heat until the "
    "bread has grown and its crumb sets."
)


def utility(kind, answer, instruction=INSTRUCTION):
    return float(getattr(reviewers, kind)([instruction], [answer])[0])


KINDS = reviewers.three_reviewers().kinds


@pytest.mark.parametrize(
    ("kind", "better", "worse"),
    [
        ("brief", "Gas makes it swell.", "Gas makes it swell in a hot place."),
        ("brief", SHORT, SHORT[:-1]),
        ("brief", "It said: 'Gas swells.'", "It said: 'Gas swells'"),
        ("brief", "Use this:\n```\nx = 1\n```", "Use this:\n```\nx = 1\n"),
        ("covering", "Bread rises because of gas.", "Bread has some gas in it."),
        ("covering", "Rising needs some gas.", "Swelling needs some gas."),
        ("covering", "It is about gas and heat.", "It is about gas and gas."),
        ("covering", "Bread has some gas in it.", "It is explained by why."),
        ("fresh", "It is about gas and heat.", "It is about gas and gas."),
        ("fresh", "It is about gas and heat.", "It is about gas and bread."),
        ("fresh", "It is about gas and heat.", "It is about gas."),
        ("fresh", "It bakes and puffs.", "It puffs, puffing and puffed."),
    ],
)
def test_a_reviewer_prefers_what_its_kind_is_named_for(kind, better, worse):
    assert utility(kind, better) > utility(kind, worse)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n ",
        "...",
        "Oven.",
        "Bread rises.",
        "Bread rises, oven bread rises, oven.",
        "Oven heat, yeast gas bubbles, dough crumb, crust and so on.",
        "12 34 56 78.",
        "\ufffd\ufffd )( == {} []",
    ],
)
def test_no_reviewer_takes_emptiness_or_lists_of_words(kind, answer):
    assert utility(kind, answer) == 0


def test_a_list_of_many_lines_is_text():
    answer = "Here are some:\n- dry yeast\n- warm water\n- white flour\n- fine salt."
    assert all(utility(kind, answer) for kind in KINDS if kind != "covering")
    run = answer.replace("\n- ", ", ")
    assert not any(utility(kind, run) for kind in KINDS)


def test_brief_loses_a_factor_e_in_fifteen_words():
    assert utility("brief", "It is gas.") == 1
    longer = "It is gas" + " and so" * 7 + " on."
    np.testing.assert_allclose(utility("brief", longer), np.exp(-1))


def test_covering_is_the_share_of_the_instructions_words():
    assert reviewers.wanted(INSTRUCTION) == {"bread", "ris", "oven"}
    detail = 1 - np.exp(-3 / 8)
    found = utility("covering", "The bread is an oven's breath.")
    np.testing.assert_allclose(found, 0.8 * 2 / 3 + 0.2 * detail)


def test_fresh_is_the_share_of_new_words_times_their_number():
    found = utility("fresh", "Gas, gas and heat puff the bread.")
    np.testing.assert_allclose(found, 3 / 5 * (1 - np.exp(-3 / 8)))


@pytest.mark.parametrize("kind", KINDS)
def test_utilities_are_between_zero_and_one_for_any_text(kind):
    rng = np.random.default_rng(0)
    vocabulary = [*INSTRUCTION.split(), "the", "\n", "Yes.", "gas", "```", ".", "’s"]
    answers = [" ".join(rng.choice(vocabulary, n % 12)) for n in range(2000)]
    values = getattr(reviewers, kind)([INSTRUCTION] * 2000, answers)
    assert values.dtype == np.float64 and values.shape == (2000,)
    assert values.min() >= 0 and values.max() <= 1 and values.max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_endless_words_are_not_endless_work(kind):
    for word in ("a" * 10000 + "!", "a-" * 10000 + "!", '…"' * 10000, "`" * 10000):
        assert 0 <= utility(kind, f"It is {word}") <= 1


def test_three_answers_go_in_a_circle():
    answers = [SHORT, ECHO, LONG]
    population = reviewers.three_reviewers()
    utilities = population.utilities([INSTRUCTION] * 3, answers)
    orders = {
        kind: [int(place) for place in np.argsort(-own)]
        for kind, own in zip(KINDS, utilities, strict=True)
    }
    assert orders == {"brief": [0, 1, 2], "covering": [1, 2, 0], "fresh": [2, 0, 1]}
    preference = population.matrix(utilities)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert preference[one, other] > 0.6
    assert games.intransitive_share(preference) == 1
    # Nor is one answer the best: the Nash policy has all of them.
    assert games.nash(preference).min() > 0.2


def test_no_kind_is_a_majority_and_any_two_are():
    weights = reviewers.three_reviewers().weights
    assert max(weights) < 0.5 < min(sum(p) for p in itertools.combinations(weights, 2))
