"""Faults of comparisons: ratings, counts, the game, orders, and what is kept."""

from tests.fault import Fault

RATINGS, TALLIES, TRANSITIVITY = (
    f"nashalign/evaluation/{name}.py" for name in ("ratings", "tallies", "transitivity")
)
RATINGS_TEST, TALLIES_TEST, TRANSITIVITY_TEST, SAMPLES_TEST = (
    f"tests/evaluation/{name}_test.py"
    for name in ("ratings", "tallies", "transitivity", "samples")
)
CONTEST = "nashalign/alignment/text_contest.py"
ANSWERING = "nashalign/alignment/answering.py"
COMPARE_TEST = "tests/cli/compare_test.py"
PANDALM_TEST = "tests/experiments/pandalm_test.py"

COMPARING = [
    Fault(
        "ratings of policies that win more often than they have",
        RATINGS,
        "gradient = (wins - counts * won).sum(axis=-1)",
        "gradient = (wins - 0.9 * counts * won).sum(axis=-1)",
        f"{RATINGS_TEST} -k library",
    ),
    Fault(
        "a rating that is infinite, and is not refused",
        RATINGS,
        "    return np.asarray(reached.all(axis=(-1, -2)))",
        "    return np.asarray(reached.any(axis=-1).all(axis=-1))",
        f"{RATINGS_TEST} -k 'infinite or ford'",
    ),
    Fault(
        "a prior that is left out of the draws",
        RATINGS,
        "draws = bradley_terry(drawn.wins + ties, names=names)",
        "draws = bradley_terry(drawn.wins, names=names)",
        f"{RATINGS_TEST} -k needs_one",
    ),
    Fault(
        "half-widths of one standard deviation",
        RATINGS,
        "quantile * draws.std(axis=0, ddof=1)",
        "draws.std(axis=0, ddof=1)",
        f"{RATINGS_TEST} -k hold_the_truth",
    ),
    Fault(
        "a tally that counts every prompt as its own cluster",
        TALLIES,
        "index = intervals.cluster_index(pairs.clusters, len(preferred))",
        "index = intervals.cluster_index(None, len(preferred))",
        f"{TALLIES_TEST} -k tally_of_the_table",
    ),
    Fault(
        "votes that are counted for whoever stands first",
        TALLIES,
        "values = np.where(forth, preferred, 1 - preferred)[forth | back]",
        "values = preferred[forth | back]",
        f"{TALLIES_TEST} -k tally_of_the_table",
    ),
    Fault(
        "cycles of three alone",
        "nashalign/games/structure.py",
        "for _ in range(beats.shape[-1] - 1):",
        "for _ in range(2):",
        "tests/games/structure_test.py -k acyclic",
    ),
    Fault(
        "a cycle that goes one way round only",
        TRANSITIVITY,
        "for own in ((i, j, k), (i, k, j))",
        "for own in ((i, j, k),)",
        f"{TRANSITIVITY_TEST} -k other_way",
    ),
    Fault(
        "orders that have ties in them",
        TRANSITIVITY,
        "orders = acyclic & (np.sort(wins, axis=-1) == every).all(axis=-1)",
        "orders = acyclic",
        f"{TRANSITIVITY_TEST} -k shares",
    ),
    Fault(
        "a cycle whose intervals hold a tie",
        TRANSITIVITY,
        "beats = win_rates.mean - win_rates.half_width > 0.5",
        "beats = win_rates.mean > 0.5",
        f"{TRANSITIVITY_TEST} -k 'certain'",
    ),
    Fault(
        "the other order taken for the same",
        "nashalign/evaluation/audit.py",
        "return (self.y_first + 1 - self.z_first) / 2",
        "return (self.y_first + self.z_first) / 2",
        f"{COMPARE_TEST} -k place",
    ),
    Fault(
        "one order where both were asked for",
        CONTEST,
        "twice = both_orders and not judge.ask.antisymmetric",
        "twice = False",
        f"{COMPARE_TEST} -k place",
    ),
    Fault(
        "a torn line that is kept",
        ANSWERING,
        "file.truncate(whole)",
        "file.truncate(len(content))",
        f"{COMPARE_TEST} -k broken_off",
    ),
    Fault(
        "answers that are kept and drawn again",
        ANSWERING,
        "left = np.flatnonzero(~np.isin(own.ids, list(without)))",
        "left = np.arange(len(own.ids))",
        f"{COMPARE_TEST} -k broken_off",
    ),
    Fault(
        "answers of a file in its own order",
        "nashalign/cli/contestants.py",
        "return [written[record.prompt][:num_responses] for record in records]",
        "return [own[:num_responses] for own in written.values()]",
        f"{COMPARE_TEST} -k 'meet_a_file'",
    ),
    Fault(
        "policies that draw with one seed",
        "nashalign/cli/contestants.py",
        'hashlib.sha256(f"{seed} {self.name}".encode())',
        'hashlib.sha256(f"{seed}".encode())',
        f"{COMPARE_TEST} -k meets_itself",
    ),
    Fault(
        "a learned judge whose two texts change places",
        "nashalign/alignment/text_judges.py",
        "pairs = list(zip(y, z, strict=True))",
        "pairs = list(zip(z, y, strict=True))",
        f"{COMPARE_TEST} -k own_tokenizer",
    ),
    Fault(
        "answers that are no text of the page but a part of it",
        "nashalign/evaluation/samples_page.py",
        "text=_escaped(text.strip())",
        "text=text.strip()",
        f"{SAMPLES_TEST} -k escaped",
    ),
    Fault(
        "chance that would name one answer more often than the other",
        "experiments/pandalm/votes.py",
        "chance = ties**2 + (1 - ties) ** 2 / 2",
        "chance = ties**2 + (1 - ties) ** 2",
        f"{PANDALM_TEST} -k chance",
    ),
]
