import csv
import io

import rich.console

from nashalign import evaluation
from nashalign.evaluation import Interval

ROWS = [
    evaluation.Summary(
        method="Nash-MD-PG",
        key="nash_md_pg",
        tau=0.02,
        mix=0.125,
        win_rate=Interval(0.612, 0.021),
        length_controlled=Interval(0.603, 0.022),
        learned_win_rate=Interval(0.661, 0.013),
        kinds={
            "brief": Interval(0.71, 0.031),
            "careful": Interval(0.55, 0.032),
            "polite": Interval(0.64, 0.033),
        },
        parts={"new code": Interval(0.633, 0.04), "old code": Interval(0.591, 0.05)},
        kl=Interval(4.81, 0.31),
        length=Interval(12.3, 0.4),
        truncated=Interval(0.021, 0.01),
        exploitability=0.034,
        unbeaten=0.124,
        nash=0.75,
        nash_share=0.713,
        seconds=95.4,
    ),
    evaluation.Summary(
        method="start", exploitability=0.2, unbeaten=0.0, nash=0.0, nash_share=0.0
    ),
]


def printed(rows):
    """What an 80-column terminal shows."""
    console = rich.console.Console(width=80, file=io.StringIO())
    console.print(evaluation.summary_table(rows))
    return console.file.getvalue()


def test_the_terminal_shows_everything_in_80_columns():
    text = printed(ROWS)
    assert "…" not in text
    for number in (
        "0.02 / 0.125",
        *(".612", "±.021", ".603", ".661", ".710", ".550", ".640"),
        *("4.81", "±0.31", "12.3", "2.1%", ".034", "12%", ".750", "71%", "1:35"),
    ):
        assert number in text
    name, key, settings = (
        line.split()[0]
        for line in text.splitlines()
        if line[:4] in ("Nash", "nash", "0.02")
    )
    assert (name, key, settings) == ("Nash-MD-PG", "nash_md_pg", "0.02")
    assert "/ –" not in text  # a setting that a policy has not is not written
    for heading in ("brief", "careful", "polite", "Nash-MD-PG", "start"):
        assert heading in text


def test_parts_of_the_prompts_have_a_table_of_their_own_in_the_terminal():
    assert "new code" not in printed(ROWS)
    console = rich.console.Console(width=80, file=io.StringIO())
    console.print(evaluation.parts_table(ROWS))
    lines = console.file.getvalue().splitlines()
    [row] = [line for line in lines if "Nash-MD-PG" in line]
    assert row.split()[1:] == ["nash_md_pg", ".633±.040", ".591±.050"]
    assert [line.split()[1:] for line in lines if "start" in line] == [["–", "–"]]


def test_markdown_has_a_column_for_each_number():
    head, _, row, start, *_ = evaluation.summary_markdown(ROWS).splitlines()
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert row.startswith("| **Nash-MD-PG** (`nash_md_pg`) |")
    assert cells["mix"] == "0.125"
    assert cells["win rate"] == ".612±.021"
    assert cells["careful"] == ".550±.032"
    assert cells["old code"] == ".591±.050"
    assert cells["KL (nats)"] == "4.81±0.31"
    assert cells["unbeaten"] == "12%" and cells["in Nash mixture"] == "71%"
    assert start.count("–") == 14


def test_the_caption_names_the_judge_and_the_columns_that_there_are():
    alone = evaluation.summary_caption(judge="annotator")
    assert "under the annotator (win), and at equal lengths (LC). " in alone
    whole = evaluation.summary_caption(judge="crowd", voter="voter", learned="model")
    assert "(LC), under the model (model), and by kind of voter. " in whole


def test_captions_say_what_intervals_are_over():
    for caption in (evaluation.summary_caption, evaluation.win_rate_caption):
        assert "95% interval over prompts and 3 seeds." in caption(
            "prompts and 3 seeds"
        )


def test_a_column_that_nobody_fills_is_left_out():
    rows = [evaluation.Summary(method="IPO", tau=0.1, kl=Interval(1.0, 0.1))]
    assert evaluation.summary_markdown(rows).startswith("|  | tau | KL (nats) |\n")
    assert "careful" not in printed(rows) and "/ mix" not in printed(rows)


def test_csv_holds_full_precision_and_half_widths(tmp_path):
    evaluation.write_summary_csv(tmp_path / "summary.csv", ROWS)
    with open(tmp_path / "summary.csv", newline="") as file:
        row, start = csv.DictReader(file)
    assert (row["method"], row["key"]) == ("Nash-MD-PG", "nash_md_pg")
    assert float(row["win rate"]) == 0.612
    assert float(row["win rate half-width"]) == 0.021
    assert float(row["polite half-width"]) == 0.033
    assert float(row["time"]) == 95.4
    assert start["win rate"] == "" and float(start["exploitability"]) == 0.2


def test_settings_speed_and_divergence_are_shown_where_there_are_any(tmp_path):
    rows = [
        evaluation.Summary(
            method="INPO",
            tau=0.003,
            settings={"eta": 100.0, "period": 10},
            win_rate=Interval(0.6, 0.02),
            seconds=95.4,
            tokens_per_second=1234.5,
            optimizer_steps=240,
        ),
        evaluation.Summary(method="RL", tau=0.01, diverged=12),
    ]
    text = printed(rows)
    assert "1234" in text and "diverged at 12" in text
    assert "steps" in text and " 240" in text and "…" not in text
    head, _, inpo, rl, *_ = evaluation.summary_markdown(rows).splitlines()
    named = head.split(" | ")
    assert dict(zip(named, inpo.split(" | "), strict=True))["settings"] == (
        "eta 100, period 10"
    )
    assert dict(zip(named, inpo.split(" | "), strict=True))["optimizer steps"] == "240"
    assert rl.split(" | ")[-1] == "12 |"
    evaluation.write_summary_csv(tmp_path / "summary.csv", rows)
    with open(tmp_path / "summary.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["settings"] == "eta 100, period 10" and second["settings"] == ""
    assert float(first["tokens/s"]) == 1234.5 and float(second["diverged at"]) == 12
