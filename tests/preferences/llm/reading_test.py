"""P(y beats z) from the log-probabilities of two answers in two orders.

The definition is that of Guo and others (2024), section 4 of the notes on OAIF: softmax
over the two answer tokens, p = (p_order1("1") + p_order2("2")) / 2.
"""

import math

import numpy as np
import pytest

from nashalign import preferences
from nashalign.preferences.llm import reading

llm = preferences.llm
TEMPLATE = llm.Template(
    name="own", text="{context}|{first}|{second}", answers=("1", "2")
)
RATING = llm.Template(
    name="own", text="{context}|{response}", answers=("1", "2", "3", "4", "5")
)


class Model:
    """A model that is a function of the text that it is shown."""

    def __init__(self, reply):
        self.reply, self.asked, self.counts = reply, [], llm.Counts()
        self.replies = self

    def find(self, request):
        return None

    def ask(self, requests):
        for place, request in enumerate(requests):
            self.asked.append(request)
            yield place, self.reply(request)


def top(**log_probs):
    return llm.Reply("", tuple((k.strip("_"), v) for k, v in log_probs.items()))


def preferred(reply, *questions, **options):
    judge = llm.llm_judge(TEMPLATE, Model(reply), **options)
    found = dict(judge.prefer(questions))
    return [found[place] for place in range(len(questions))], judge.backend


def longer(request):
    """Likes the longer text, and the first place a little."""
    _, first, second = request.text.split("|")
    return top(_1=-1.0 + 0.3 * len(first), _2=-1.2 + 0.3 * len(second), other=-3.0)


def test_both_orders_are_averaged_after_a_softmax_over_the_two_answers():
    [p], _ = preferred(longer, ("P", "yyyy", "z"))

    def softmax(a, b):
        return math.exp(a) / (math.exp(a) + math.exp(b))

    order1 = softmax(-1.0 + 1.2, -1.2 + 0.3)  # of "1", y shown first
    order2 = softmax(-1.2 + 1.2, -1.0 + 0.3)  # of "2", z shown first
    assert p == pytest.approx((order1 + order2) / 2, abs=1e-12)


def test_the_other_order_of_the_responses_is_the_complement():
    (p, q), model = preferred(longer, ("P", "yyyy", "z"), ("P", "z", "yyyy"))
    assert p + q == pytest.approx(1.0, abs=1e-15) and p > 0.6
    assert len(model.asked) == 2  # both questions are made of the same two


@pytest.mark.parametrize("first", [-0.0, -1e-9, -0.1, -3.0, -12.3, -800.0])
@pytest.mark.parametrize("second", [-1e-5, -0.7, -4.0, -25.0, -math.inf])
def test_a_judge_that_reads_nothing_but_the_place_has_no_preference_exactly(
    first, second
):
    [p], _ = preferred(lambda request: top(_1=first, _2=second), ("P", "y", "z"))
    assert p == 0.5


def test_tokens_that_spell_an_answer_with_space_around_it_are_added_up():
    reply = llm.Reply(
        "", (("1", math.log(0.2)), (" 1", math.log(0.1)), ("2\n", math.log(0.4)))
    )
    found = reading.log_probs(reply, ("1", "2"))
    np.testing.assert_allclose(np.exp(found), [0.3, 0.4], rtol=1e-12)
    assert reading.log_probs(reply, ("11", "12")) is None


def test_an_answer_below_the_top_ones_has_what_they_leave_at_most():
    listed = (("1", math.log(0.6)), ("a", math.log(0.3)), ("b", math.log(0.08)))
    found = reading.log_probs(llm.Reply("", listed), ("1", "2"))
    np.testing.assert_allclose(np.exp(found), [0.6, 0.02], rtol=1e-9)
    found = reading.log_probs(llm.Reply("", listed[:2]), ("1", "2"))
    np.testing.assert_allclose(np.exp(found), [0.6, 0.1], rtol=1e-9)
    flat = (("1", math.log(0.1)), ("a", math.log(0.05)))
    found = reading.log_probs(llm.Reply("", flat), ("1", "2"))
    np.testing.assert_allclose(np.exp(found), [0.1, 0.05], rtol=1e-9)


def test_a_reply_that_is_no_answer_is_a_tie_and_counted():
    [p], model = preferred(lambda request: top(Both=-0.1), ("P", "y", "z"))
    assert p == 0.5
    assert (model.counts.unlisted, model.counts.malformed) == (2, 2)


def test_replies_that_do_not_list_every_answer_are_counted():
    def reply(request):
        return top(_1=-0.1, _2=-3.0) if request.text == "P|y|z" else top(_1=-0.1, x=-3)

    _, model = preferred(reply, ("P", "y", "z"))
    assert (model.counts.partly_listed, model.counts.unlisted) == (1, 0)


def test_half_a_tie_counts_for_one_order_alone():
    def reply(request):
        return top(_1=0.0, _2=-50.0) if request.text == "P|y|z" else top(Hm=0.0)

    [p], _ = preferred(reply, ("P", "y", "z"))
    assert p == pytest.approx(0.75)


def test_verdicts_are_sampled_where_log_probabilities_do_not_tell():
    def reply(request):
        if request.draw is None:
            return llm.Reply("1", None) if "y|z" in request.text else top(_1=-1, _2=-1)
        return llm.Reply(["1", " 2.", "(1)", "well"][request.draw], None)

    [p], model = preferred(reply, ("P", "y", "z"), draws=4)
    # Order 1: two votes for "1", one for "2", one tie; order 2: even odds.
    assert p == pytest.approx(((2 + 0.5) / 4 + 0.5) / 2)
    assert model.counts.malformed == 1
    drawn = [own for own in model.asked if own.draw is not None]
    assert [own.draw for own in drawn] == [0, 1, 2, 3]


def test_a_reward_is_the_mean_of_the_values_of_the_answers():
    def reply(request):
        return top(_2=math.log(0.2), _5=math.log(0.6), x=math.log(0.2))

    judge = llm.llm_judge(RATING, Model(reply))
    [(_, reward)] = judge.score([("P", "y")])
    # 1, 3 and 4 are below the least of those listed, and nothing is left for them.
    assert reward == pytest.approx((2 * 0.2 + 5 * 0.6) / 0.8)
    judge = llm.llm_judge(RATING, Model(lambda request: top(x=0.0)))
    assert dict(judge.score([("P", "y")])) == {0: 3.0}


def test_counts_are_reported_after_each_batch():
    seen = []
    preferred(longer, ("P", "y", "z"), report=lambda own: seen.append(own.questions))
    assert seen == [2]
