"""The game among models by people's votes: what was planted is found."""

import itertools
import json
import pathlib

import numpy as np
import pytest

from experiments import pandalm
from experiments.pandalm import __main__ as command
from experiments.pandalm import page, votes
from nashalign import data, evaluation

REAL = pathlib.Path(__file__).parents[3] / "shared/data/pandalm/testset-v1.json"
RESULTS = pathlib.Path(pandalm.__file__).parent / "results"
MODELS = ("ant", "bee", "cat")


def line(number, models, said):
    """A line of the published form; `said` holds 0, 1 or 2 of each person."""
    return {
        "idx": number,
        "motivation_app": "none",
        "cmp_key": "_".join(models),
        "instruction": f"Do {number % 20}.",
        "input": "",
        "response1": f"secret words of {models[0]}",
        "response2": f"secret words of {models[1]}",
        **{f"annotator{place}": vote for place, vote in enumerate(said, 1)},
    }


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    """A file in which ant beats bee, bee beats cat and cat beats ant, three of four."""
    folder = tmp_path_factory.mktemp("votes")
    rng = np.random.default_rng(0)
    lines = []
    for number, (first, second) in enumerate([(0, 1), (1, 2), (2, 0)] * 40):
        won = 1 if rng.random() < 0.8 else 2
        turned = rng.random() < 0.5
        models = (MODELS[second], MODELS[first]) if turned else None
        said = [3 - won if turned else won] * 2 + [0]
        lines.append(line(number, models or (MODELS[first], MODELS[second]), said))
    path = folder / "votes.json"
    path.write_text(json.dumps(lines))
    return path


@pytest.fixture(scope="module")
def written(circle, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    given = ["--data", str(circle), "--output", str(output), "--num-draws", "300"]
    assert command.command(given) == 0
    return output


def test_votes_are_of_models_in_whatever_place_they_stand(circle):
    records = data.read_records(circle, "pandalm")
    own = votes.ballot(records)
    assert own.names == MODELS
    wins = np.zeros((3, 3))
    for entry in json.loads(circle.read_text()):
        i, j = (MODELS.index(name) for name in entry["cmp_key"].split("_"))
        said = [entry[f"annotator{place}"] for place in (1, 2, 3)]
        share = np.mean([{0: 0.5, 1: 1.0, 2: 0.0}[vote] for vote in said])
        wins[i, j] += share
        wins[j, i] += 1 - share
    np.testing.assert_allclose(evaluation.tally_pairs(own.pairs(), 3).wins.sum(0), wins)


def test_a_planted_circle_is_found_with_certainty(written):
    game = json.loads((written / "game.json").read_text())
    assert game["acyclic"] < 0.05 and game["cycle_share"] > 0.95
    cycle = game["cycle"]
    assert [*cycle, cycle[0]] in [
        [*own, own[0]] for own in (MODELS, (*MODELS[1:], "ant"), ("cat", *MODELS[:2]))
    ]
    assert game["certain_cycles"] == [cycle]
    text = (written / page.NAME).read_text()
    assert "ant > bee > cat > ant" in text


def test_the_page_has_numbers_and_figures_and_no_text(written):
    for name in ("win_rates.csv", "summary.csv", "win_rates.png", "ratings.png"):
        assert (written / name).stat().st_size
    found = b"".join(path.read_bytes() for path in written.iterdir())
    assert b"secret" not in found and b"Do 1" not in found
    text = " ".join((written / page.NAME).read_text().split())
    assert "120 pairs of" in text and "20 instructions" in text
    assert "33.3% of the votes are ties" in text


def test_agreement_is_above_what_people_would_have_by_chance():
    rng = np.random.default_rng(0)
    chance = rng.choice([0.0, 0.5, 1.0], (20_000, 3), p=[0.4, 0.2, 0.4])
    pairs = np.zeros(20_000, int), np.ones(20_000, int)
    names = tuple(map(str, range(20_000)))
    found = votes.agreement(votes.Ballot(("a", "b"), *pairs, chance, names))
    assert abs(found.kappa) < 0.02
    assert found.ties == pytest.approx(0.2, abs=0.01)
    same = np.repeat(chance[:, :1], 3, axis=1)
    found = votes.agreement(votes.Ballot(("a", "b"), *pairs, same, names))
    assert found.kappa == 1.0 and found.unanimous.mean == 1.0
    # Who is called the first is nothing to how far people agree.
    turned = np.where(rng.random((20_000, 1)) < 0.5, chance, 1 - chance)
    both = [
        votes.agreement(votes.Ballot(("a", "b"), *pairs, own, names)).kappa
        for own in (chance, turned)
    ]
    assert both[0] == pytest.approx(both[1])


def test_records_without_votes_or_authors_are_refused():
    plain = data.Record(prompt="x", chosen="a", rejected="b")
    with pytest.raises(ValueError, match=r"records have \[0\] votes"):
        votes.ballot([plain])
    voted = data.Record(prompt="x", chosen="a", rejected="b", votes=(1.0, 0.5))
    with pytest.raises(ValueError, match="which model wrote which answer"):
        votes.ballot([voted])


@pytest.mark.skipif(not REAL.exists(), reason="needs PandaLM's test set")
def test_the_committed_tables_are_those_of_the_published_votes():
    own = votes.ballot(data.read_records(REAL, "pandalm"))
    assert len(own.first) == 999 and len(set(own.clusters)) == 170
    assert {*zip(own.first, own.second, strict=True)} >= {
        *itertools.combinations(range(5), 2)
    }
    names, committed = evaluation.read_win_rate_csv(RESULTS / "win_rates.csv")
    found = evaluation.win_rates_of_pairs(own.pairs(), 5)
    assert tuple(names) == own.names
    np.testing.assert_allclose(committed.mean, found.mean)
    np.testing.assert_allclose(committed.half_width, found.half_width)
