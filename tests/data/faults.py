"""Seeded faults of the readers of data, which `python -m tests.faults` runs too."""

from tests.fault import Fault

FORMATS = "nashalign/data/formats"
JUDGED, ABSTRACTS = f"{FORMATS}/judged.py", f"{FORMATS}/abstracts.py"
DIALOGUES, ULTRA = f"{FORMATS}/dialogues.py", f"{FORMATS}/ultrafeedback.py"
READING, BATCHING = "nashalign/data/reading.py", "nashalign/data/batching.py"
STORED, BUILDER = "nashalign/data/stored.py", "nashalign/data/builder.py"
FORMATS_TEST = "tests/data/formats_test.py"
READING_TEST = "tests/data/reading_test.py"
DATASETS_TEST = "tests/data/datasets_test.py"
BATCHING_TEST = "tests/data/batching_test.py"
PADDED_TEST = "tests/alignment/batching_test.py"

DATA = [
    Fault(
        "format: votes of pandalm for the first response, whichever was chosen",
        JUDGED,
        "float(vote == won)",
        "float(vote == 1)",
        f"{FORMATS_TEST} -k pandalm",
    ),
    Fault(
        "format: authors of pandalm in the order of the file",
        JUDGED,
        "authors=(authors[chosen], authors[rejected])",
        "authors=(authors[0], authors[1])",
        f"{FORMATS_TEST} -k pandalm",
    ),
    Fault(
        "format: the second response of pandalm chosen where votes balance",
        JUDGED,
        "2 if votes.count(2) > votes.count(1) else 1",
        "2 if votes.count(2) >= votes.count(1) else 1",
        f"{FORMATS_TEST} -k pandalm",
    ),
    Fault(
        "format: the worse output of llmbar chosen",
        JUDGED,
        "chosen=answers[won - 1]",
        "chosen=answers[2 - won]",
        f"{FORMATS_TEST} -k llmbar",
    ),
    Fault(
        "format: the first text of tldr chosen, whatever the choice",
        ABSTRACTS,
        "chosen=texts[won]",
        "chosen=texts[0]",
        f"{FORMATS_TEST} -k tldr",
    ),
    Fault(
        "format: dialogues of hh divided at the first turn of the assistant",
        DIALOGUES,
        "fields.text(line, name).rpartition(_ASKS)",
        "fields.text(line, name).partition(_ASKS)",
        f"{FORMATS_TEST} -k hh",
    ),
    Fault(
        "format: dialogues of hh that differ before the last turn taken",
        DIALOGUES,
        'before["chosen"] != before["rejected"]',
        "not before",
        f"{FORMATS_TEST} -k hh",
    ),
    Fault(
        "format: turns of one speaker of hh as several messages",
        DIALOGUES,
        'if messages and messages[-1]["role"] == _ROLES[speaker]:',
        "if not speaker:",
        f"{FORMATS_TEST} -k hh",
    ),
    Fault(
        "format: the first of the worst answers of ultrafeedback, tied with itself",
        ULTRA,
        "min(reversed(answers), key=lambda answer: answer[0])",
        "min(answers, key=lambda answer: answer[0])",
        f"{FORMATS_TEST} -k scored",
    ),
    Fault(
        "format: equal scores of ultrafeedback as a win",
        ULTRA,
        "votes=(0.5,) if best[0] == worst[0] else None",
        "votes=None",
        f"{FORMATS_TEST} -k scored",
    ),
    Fault(
        "data: a pair's votes without effect on its preference",
        "nashalign/alignment/texts.py",
        "np.array([one.preferred for one in records], np.float32)",
        "np.array([1.0 for one in records], np.float32)",
        "tests/alignment/texts_test.py -k voters",
    ),
    Fault(
        "data: the same pair judged otherwise is no duplicate",
        READING,
        "return record.prompt, *sorted(answers)",
        "return record.prompt, *answers",
        f"{READING_TEST} -k counted",
    ),
    Fault(
        "data: entries of a list counted from one",
        READING,
        "for place, own in enumerate(found))",
        "for place, own in enumerate(found, 1))",
        f"{FORMATS_TEST} -k malformed",
    ),
    Fault(
        "data: numbers that are not finite within an object",
        "nashalign/json_file.py",
        "if isinstance(value, dict): waiting += value.items()",
        "if isinstance(value, set): waiting += value.items()",
        f"{READING_TEST} -k no_json",
    ),
    Fault(
        "data: a folder known without the names of its files",
        READING,
        "if file != path:",
        "if file == path:",
        "tests/cli/formats_test.py -k folder_is_known",
    ),
    Fault(
        "data: scores stored with six digits",
        STORED,
        '"scores": [repr(own) for own in record.scores or ()]',
        '"scores": [f"{own:.6g}" for own in record.scores or ()]',
        f"{DATASETS_TEST} -k exactly",
    ),
    Fault(
        "data: examples of a data set in an order of its own",
        BUILDER,
        "disable_shuffling=True",
        "disable_shuffling=False",
        f"{DATASETS_TEST} -k 'exactly or split'",
    ),
    Fault(
        "data: a data set of other files taken for the one asked for",
        "nashalign/data/datasets.py",
        "_require_same(place, wanted)",
        "_require_same(place, _opened(place).info.metadata['made_of'])",
        f"{DATASETS_TEST} -k other_files",
    ),
    Fault(
        "data: processes share out what is left over of an epoch",
        BATCHING,
        "whole = shuffled[: len(examples) // batch_size * batch_size]",
        "whole = shuffled",
        f"{BATCHING_TEST} -k together",
    ),
    Fault(
        "data: padding taken off at the end of prompts",
        "nashalign/data/padding.py",
        "tokens=prompts.tokens[:, columns - length :]",
        "tokens=prompts.tokens[:, :length]",
        f"{PADDED_TEST} -k 'columns or cut_off'",
    ),
    Fault(
        "data: prompts that are too long for a length padded to it",
        "nashalign/data/padding.py",
        "if needed <= own <= columns",
        "if own <= columns",
        f"{PADDED_TEST} -k 'columns or cut_off'",
    ),
    Fault(
        "data: lengths as quantiles of prompts, not of batches",
        BATCHING,
        "(np.arange(1, number + 1) / number) ** (1 / batch_size)",
        "np.arange(1, number + 1) / number",
        f"{PADDED_TEST} -k as_many_batches",
    ),
    Fault(
        "data: log-probabilities of given responses left as long as they were",
        "nashalign/data/padding.py",
        "name: own[..., :response] for name, own in examples.frozen_log_probs.items()",
        "name: own for name, own in examples.frozen_log_probs.items()",
        f"{PADDED_TEST} -k lose_padding",
    ),
    Fault(
        "data: given responses cut to a length that does not hold them",
        "nashalign/data/padding.py",
        "n <= own <= most, needed",
        "own <= most, needed",
        f"{PADDED_TEST} -k lose_padding",
    ),
    Fault(
        "data: given responses cut where others are sampled beside them",
        "nashalign/alignment/batching.py",
        "if method.num_data == len(method.authors):",
        "if method.num_data:",
        f"{PADDED_TEST} -k 'spin and several_lengths'",
    ),
    Fault(
        "data: every process shuffles for itself",
        BATCHING,
        ".seed(seed).shuffle()",
        ".seed(seed + process).shuffle()",
        f"{BATCHING_TEST} -k together",
    ),
]
