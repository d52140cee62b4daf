import csv
import dataclasses
import io

import numpy as np
import pytest
import rich.console

from nashalign import evaluation
from nashalign.evaluation import tables
from tests.published import PUBLISHED

NAMES = ["start", "RL", "SLiC", "DPO", "Nash-MD-PG", "IPO-MD", "IPO"]


def matrix(num_policies=7, seed=0):
    """Win rates that differ in every cell above the diagonal."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((9, num_policies, num_policies)), 1)
    lower = np.tril(1 - upper.swapaxes(1, 2), -1)
    return evaluation.win_rate_matrix(upper + lower + np.eye(num_policies) / 2)


def printed(table, width=80):
    """What an 80-column terminal shows."""
    console = rich.console.Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_policies_are_laid_out_in_one_order_and_the_start_comes_last():
    names = ["start", "mine", *reversed(evaluation.METHODS)]
    laid_out = [names[i] for i in evaluation.order(names)]
    assert laid_out == [*evaluation.METHODS, "mine", "start"]


@pytest.mark.parametrize(
    "change",
    [{"methods": ("DPO", "RL")}, {"methods": ("RL",) * 6}, {"std": np.zeros((6, 5))}],
)
def test_a_published_matrix_has_a_number_for_each_two_methods(change):
    with pytest.raises(ValueError, match="row and a column for each of the methods"):
        dataclasses.replace(PUBLISHED, **change)


@pytest.mark.parametrize(
    "mean, spread, text",
    [
        (0.5154, None, ".515"),
        (0.5, np.nan, ".500"),
        (0.608, 0.0384, ".608±.038"),
        (1.0, 0.0, "1.000"),
        (-0.05, None, "-.050"),
        (0.9999, None, "1.000"),
        (10.0, None, "10.000"),
    ],
)
def test_shares_are_written_as_in_papers(mean, spread, text):
    assert tables.share(mean, spread) == text


@pytest.mark.parametrize(
    "mean, half_width, verdict", [(0.6, 0.05, 1), (0.4, 0.05, -1), (0.53, 0.05, 0)]
)
def test_a_verdict_needs_the_whole_interval_on_one_side(mean, half_width, verdict):
    assert tables.verdict(evaluation.Interval(mean, half_width)) == verdict


@pytest.mark.parametrize(
    "write",
    [
        lambda *a, **k: printed(evaluation.win_rate_table(*a, **k)),
        evaluation.win_rate_markdown,
    ],
    ids=["terminal", "markdown"],
)
def test_the_table_holds_every_policy_our_number_and_the_published(write):
    win_rates = matrix()
    text = write(NAMES, win_rates, published=PUBLISHED)
    for name in NAMES:
        assert name in text
    for i, j in np.ndindex(win_rates.mean.shape):
        ours = tables.share(win_rates.mean[i, j], win_rates.half_width[i, j])
        assert ours in text
    for i, j in np.ndindex(6, 6):
        assert tables.share(PUBLISHED.mean[i][j], PUBLISHED.std[i][j]) in text
    assert "2401.00000" in text and "…" not in text
    alone = write(NAMES, win_rates)
    assert "paper" not in alone and "arXiv" not in alone and "Lower" not in alone


def test_one_method_has_no_published_line():
    names = ["start", "RL", "mine"]
    shown = {"published": PUBLISHED, "caption": ""}
    text = printed(evaluation.win_rate_table(names, matrix(3), **shown))
    assert "paper" not in text and sum(map(bool, text.split("\n"))) == 3 + len(names)
    text = evaluation.win_rate_markdown(names, matrix(3), published=PUBLISHED)
    assert "<br>" not in text and "arXiv" not in text
    assert "± half of the 95% interval over prompts." in text


def test_markdown_cells_are_where_their_row_and_column_say():
    win_rates = matrix()
    text = evaluation.win_rate_markdown(NAMES, win_rates, published=PUBLISHED)
    head, _, *lines = text.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:7]]
    columns = [cell.strip() for cell in head.split("|")[1:-1]]
    dpo = next(row for row in rows if row[0] == "**DPO**")
    cell = dpo[columns.index("SLiC")]
    assert tables.share(win_rates.mean[3, 2]) in cell.split("<br>")[0]
    assert cell.split("<br>")[1] == "*.606±.026*"


def test_a_policys_key_stands_beside_its_name_within_80_columns():
    keys = {"IPO": "online_ipo", "SLiC": "online_slic", "Nash-MD-PG": "nash_md_pg"}
    shown = {"keys": keys, "published": PUBLISHED}
    text = printed(evaluation.win_rate_table(NAMES, matrix(), **shown))
    labels = "\n".join(line.split()[0] for line in text.splitlines() if line.strip())
    for label in ("IPO\nonline_ipo\n", "SLiC\nonline_\nslic\nRL\npaper\nstart"):
        assert label in labels
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    text = evaluation.win_rate_markdown(NAMES, matrix(), keys=keys)
    assert "| **Nash-MD-PG** (`nash_md_pg`) |" in text and "| **RL** |" in text


def test_a_table_with_keys_is_read_as_one_without(tmp_path):
    for name, keys in (("with", {"RL": "rl"}), ("without", {})):
        evaluation.write_win_rate_csv(tmp_path / name, NAMES, matrix(), keys=keys)
    read, plain = (
        evaluation.read_win_rate_csv(tmp_path / name) for name in ("with", "without")
    )
    assert read[0] == plain[0]
    np.testing.assert_array_equal(read[1].mean, plain[1].mean)
    with open(tmp_path / "with", newline="") as file:
        rows = {row["policy"]: row["key"] for row in csv.DictReader(file)}
    assert rows["RL"] == "rl" and rows["IPO"] == ""


def test_csv_comes_back_bit_for_bit(tmp_path):
    win_rates = matrix()
    evaluation.write_win_rate_csv(tmp_path / "matrix.csv", NAMES, win_rates)
    names, read = evaluation.read_win_rate_csv(tmp_path / "matrix.csv")
    assert names == [*evaluation.METHODS, "start"]
    places = [NAMES.index(name) for name in names]
    for part, written in zip(read, win_rates, strict=True):
        np.testing.assert_array_equal(part, written[np.ix_(places, places)])


A_CSV = "policy,a,a half-width,a paper,a paper std\r\na,0.5,0.0,,\r\n"


@pytest.mark.parametrize(
    ("part", "spoilt"),
    [
        ("0.5", "nan"),
        ("0.5", "1.5"),
        ("0.5", "-.1"),
        ("0.5", "x"),
        ("0.0", "-1"),
        (",,\r", ",\r"),
        (",,\r", ",,,\r"),
        ("a,0.5,0.0,,\r\n", ""),
        ("a paper std", "b paper std"),
        ("a paper std", "a paper std,b,b half-width,b paper,b paper std"),
    ],
)
def test_a_csv_of_something_else_is_refused(tmp_path, part, spoilt):
    path = tmp_path / "matrix.csv"
    path.write_text(A_CSV)
    assert evaluation.read_win_rate_csv(path)[0] == ["a"]
    assert part in A_CSV
    path.write_text(A_CSV.replace(part, spoilt))
    with pytest.raises(ValueError, match="matrix.csv is no table of win rates"):
        evaluation.read_win_rate_csv(path)


def test_a_csv_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "matrix.csv"
    evaluation.write_win_rate_csv(path, NAMES, matrix())
    content = path.read_bytes()
    # All but the end of the last line is needed.
    for length in range(len(content) - 2):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="matrix.csv is no table of win rates"):
            evaluation.read_win_rate_csv(path)


def test_csv_holds_published_numbers_and_nothing_where_there_are_none(tmp_path):
    path = tmp_path / "matrix.csv"
    evaluation.write_win_rate_csv(path, NAMES, matrix(), published=PUBLISHED)
    with open(tmp_path / "matrix.csv", newline="") as file:
        rows = {row["policy"]: row for row in csv.DictReader(file)}
    assert float(rows["IPO"]["RL paper"]) == PUBLISHED.mean[0][5]
    assert float(rows["IPO"]["RL paper std"]) == PUBLISHED.std[0][5]
    assert float(rows["RL"]["IPO paper"]) == PUBLISHED.mean[5][0]
    assert rows["RL"]["IPO paper std"] == ""
    assert rows["start"]["IPO paper"] == "" and rows["IPO"]["start paper"] == ""


def test_a_name_too_few_is_refused():
    with pytest.raises(AssertionError):
        evaluation.win_rate_table(NAMES[:-1], matrix())
