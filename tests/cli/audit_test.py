"""Judges that go by one thing, and what the command says of them."""

import json

import numpy as np
import pytest

from nashalign import __main__ as commands
from nashalign import alignment, data, preferences
from nashalign.preferences import llm

JUDGES = """
def place(prompt, y, z):
    return 0.7


def length(prompt, y, z):
    return float(len(y) > len(z)) if len(y) != len(z) else 0.5


def circle(prompt, y, z):
    order = "rock paper scissors".split()
    return float((order.index(y) - order.index(z)) % 3 == 1)


calls = 0


def breaks(prompt, y, z):
    global calls
    calls += 1
    if calls > 70:
        raise OSError("the judge is gone")
    return 0.7


def score(prompt, y):
    return 0.1 * len(y)
"""


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    path = tmp_path_factory.mktemp("judges") / "judges.py"
    path.write_text(JUDGES)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Thirty prompts, to each of which three answers meet each other."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = [
        {"prompt": f"round {n}", "chosen": chosen, "rejected": rejected}
        for n in range(30)
        for chosen, rejected in (
            ("paper", "rock"),
            ("scissors", "paper"),
            ("scissors", "rock"),
        )
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def audit(pairs, output, *more):
    command = ["audit", "--prompts", str(pairs), "--output", str(output)]
    return commands.main([*command, *more])


def audited(pairs, output, judge, *more):
    assert audit(pairs, output, "--annotator", str(judge), *more) == 0
    return json.loads((output / "results" / "audit.json").read_text())


def test_a_judge_of_places_is_found_out(pairs, judges, tmp_path, capsys):
    found = audited(pairs, tmp_path / "out", f"{judges}:place")
    assert found["first"][0] == pytest.approx(0.2) and found["same"][0] == 0
    assert found["people"]["calibration"]["accuracy"][0] == 0.5
    said = capsys.readouterr().out
    assert "| position bias | +0.200 ± 0.000 |" in said
    assert "| agrees with itself | 0.000 ± 0.000 |" in said
    results = tmp_path / "out" / "results"
    assert (results / "audit.png").stat().st_size > 10_000
    assert "| pairs | 90 |" in (results / "audit.md").read_text()
    orders = np.load(results / "orders.npz")
    assert set(orders["y_first"]) == set(orders["z_first"]) == {0.7}


def test_a_judge_of_lengths_has_no_position_bias(pairs, judges, tmp_path):
    found = audited(pairs, tmp_path / "out", f"{judges}:length")
    assert found["first"][0] == 0 and found["same"][0] == 1
    assert found["longer"][0] == 0.5 and found["circles"][0] == 0
    # All that was chosen is longer: people like length as it does.
    assert found["people"]["calibration"]["accuracy"][0] == 1
    assert found["people"]["longer"][0] == 0.5


def test_answers_that_beat_each_other_in_a_circle_are_counted(pairs, judges, tmp_path):
    judge = f"{judges}:circle"
    found = audited(pairs, tmp_path / "out", judge)
    assert found["circles"] == [1.0, 0.0]
    assert found["people"]["calibration"]["accuracy"][0] == pytest.approx(2 / 3)
    none = audited(pairs, tmp_path / "none", judge, "--no-circles")
    assert none["circles"] is None


def test_rewards_are_asked_once_and_have_no_places(pairs, judges, tmp_path):
    found = audited(pairs, tmp_path / "out", f"{judges}:score")
    assert found["first"][0] == pytest.approx(0) and found["same"][0] == 1
    # Of 0.1 a letter: rock and paper differ by one, scissors by three and four.
    gaps = 1 / (1 + np.exp(-0.1 * np.array([1, 3, 4])))
    assert found["longer"][0] == pytest.approx(gaps.mean() - 0.5)


def test_pairs_are_drawn_by_the_seed(pairs, judges, tmp_path):
    judge, few = f"{judges}:length", ("--num-pairs", "20")
    found = audited(pairs, tmp_path / "out", judge, *few)
    assert found["number"] == 20
    assert "--num-pairs is 91" in audit(
        pairs, tmp_path / "no", "--annotator", judge, "--num-pairs", "91"
    )


def test_an_audit_that_was_broken_off_asks_for_the_rest(pairs, judges, tmp_path):
    output, judge = tmp_path / "out", f"{judges}:breaks"
    refused = audit(pairs, output, "--annotator", judge)
    assert "the judge is gone" in refused
    kept = preferences.Answers(output / "answers.sqlite", "anyone")
    rows = kept._rows.execute("SELECT count(*) FROM answers").fetchone()
    kept.close()
    assert rows == (70,)
    # Loaded anew it counts from nothing, and 70 more calls are enough for the rest.
    assert audit(pairs, output, "--annotator", judge) != 0
    assert audit(pairs, output, "--annotator", judge) == 0


def test_a_learned_judge_is_audited(policy, prompts, tmp_path):
    judge = tmp_path / "judge"
    train = ["train-judge", "--policy", str(policy), "--prompts", str(prompts)]
    train += ["--text.response-length", "6", "--output", str(judge)]
    assert commands.main(train) == 0
    more = ("--text.response-length", "6")
    found = audited(prompts, tmp_path / "out", judge / "judge", *more)
    assert found["first"][0] == pytest.approx(0) and found["circles"] is None


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ((), "nobody is asked"),
        (("--annotator", "nowhere"), "--annotator is 'nowhere'"),
        (("--annotator", "x.py:f", "--num-pairs", "1"), "--num-pairs is 1"),
        (("--annotator", "x.py:f", "--format", "pandaml"), "pandalm"),
    ],
)
def test_what_cannot_be_audited_is_refused(pairs, tmp_path, more, why):
    assert why in audit(pairs, tmp_path / "out", *more)


def test_prompts_without_pairs_are_refused(judges, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    judge = ("--annotator", f"{judges}:place")
    assert "has one response or none" in audit(path, tmp_path / "out", *judge)


class Shown:
    """A model that finds the first of two responses as good as it is long."""

    def __init__(self):
        self.counts, self.asked = llm.Counts(), []

    @property
    def replies(self):
        return self

    def find(self, request):
        return None

    def ask(self, requests):
        for place, request in enumerate(requests):
            self.asked.append(request.text)
            first = len(request.text.split("|")[1])
            odds = np.log([0.5 + first / 100, 0.5 - first / 100])
            top = tuple(zip("12", odds.tolist(), strict=True))
            yield place, llm.Reply("", top)


def test_a_language_model_is_asked_in_one_order_at_a_time(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("answers: 1 2\n\n{context}|{first}|{second}\n")
    template, model = llm.load_template(str(path)), Shown()
    judge = llm.LlmOneOrder(template=template, backend=model)
    asked = preferences.text_annotator(judge, None, ())
    records = [
        data.Record(prompt=f"p{n}", chosen="a" * 10, rejected="b" * 30) for n in (1, 2)
    ]
    found, orders = alignment.audit(asked, records)
    np.testing.assert_allclose(orders.y_first, 0.6)
    np.testing.assert_allclose(orders.z_first, 0.8)
    assert len(model.asked) == 4 and found.first.mean == pytest.approx(0.2)
    both = llm.LlmPreference(template=template, backend=Shown())
    said = dict(both.prefer([("p1", "a" * 10, "b" * 30)]))
    assert said[0] == pytest.approx(orders.preferred[0])
