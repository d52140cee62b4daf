"""What the log of a run says of it."""

import json
import shutil

from nashalign import algorithms, training
from nashalign.alignment import course, logs


def write(path, lines):
    training.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def test_the_speed_of_training_leaves_the_first_update_out(tmp_path):
    speeds, lines = [], []
    for number, seconds in enumerate((9.0, 1.0, 2.0, 4.0), 1):
        lines.append({"step": number, "tokens": 8.0, "seconds": seconds})
        write(tmp_path / "metrics.jsonl", lines)
        speeds.append(logs.tokens_per_second(tmp_path))
    assert speeds == [None, 8.0, 6.0, 4.0]


def test_steps_of_the_optimizer_are_those_of_all_parts_that_were_run(tmp_path):
    for part, (steps, epochs) in enumerate(((2, 1), (3, 4)), 1):
        lines = [{"step": 0, "win_rate": 0.5}]
        lines += [{"step": n + 1, "optimizer_steps": epochs} for n in range(steps)]
        write(tmp_path / f"round_{part}" / "metrics.jsonl", lines)
    assert logs.optimizer_steps(tmp_path) == 2 + 3 * 4
    shutil.rmtree(tmp_path / "round_1")
    assert logs.optimizer_steps(tmp_path) == 3 * 4
    rows = {n: algorithms.TABLE[n].method for n in ("ppo", "rl", "egpo")}
    own = {n: course.optimizer_steps(row) for n, row in rows.items()}
    assert own == {"ppo": 4, "rl": 1, "egpo": 1}
    assert course.optimizer_steps(rows["ppo"], 30) == 120


def test_a_log_of_several_parts_counts_on_and_has_one_beginning(tmp_path):
    update = {"seconds": 2.0, "tokens": 10}
    # By number: the tenth part comes after the ninth, and neither before the second.
    for part in ("round_2", "round_9", "round_10"):
        begin = {"step": 0, "seconds": 1.0, "part": part}
        both = [{"step": step, "part": part} | update for step in (1, 2)]
        write(tmp_path / part / "metrics.jsonl", [begin, *both])
    lines = logs.read(tmp_path)
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 5, 6]
    assert [line["part"] for line in lines[1::2]] == ["round_2", "round_9", "round_10"]
    assert logs.tokens_per_second(tmp_path) == 5.0
    assert logs.seconds(tmp_path) == 13.0
