"""Published formats: what a record has of each, and what is said of a wrong line."""

import copy
import functools
import gzip
import itertools
import json
import operator
import pathlib

import pytest

from nashalign import data
from nashalign.data import Record

SAMPLES = pathlib.Path(__file__).with_name("samples")


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def talk(*messages):
    """A conversation, as the prompt is shown and as it is kept."""
    return {
        "prompt": "\n\n".join(f"{own['role']}: {own['content']}" for own in messages)
        if len(messages) > 1
        else messages[0]["content"],
        "messages": messages,
    }


KEY = "\n\nHuman: I lost my key.\n\nAssistant: Where did you last have it?"
KEY += "\n\nHuman: In the garden.\n\nAssistant:"
WORD = "\n\nHuman: Tell me a word.\n\nAssistant: Lantern.\n\nAssistant:  Or would you "
WORD += "like another?\n\nHuman: Another.\n\nAssistant:"
PLANTS = "My neighbour waters my plants whenever I travel, and now they are taller "
PLANTS += "than the fence."
RACE = "I ran ten kilometres without a stop, and my shoes fell apart."


def post(subreddit, title, text):
    return f"SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {text}\n\nTL;DR:"


def app(place, key):
    return {"idx": place, "motivation_app": "Kitchen", "cmp_key": key}


def extra(extra, **others):
    return others | {"batch": "b3", "extra": extra}


ANSWERS = {"correct_answers": ["None"], "incorrect_answers": ["None"]}

EXPECTED = {
    "records_prompts.jsonl": [
        Record(prompt="Name a river.", others={"topic": "geography"}),
        Record(prompt="Why is ice lighter than water?"),
        Record(prompt="Zähle bis drei.", others={"topic": "numbers"}),
    ],
    "records_pairs.jsonl": [
        Record(
            prompt="Name a river.",
            chosen="The Elbe.",
            rejected="Rivers are wet.",
            scores=(3.0, -0.5),
        ),
        Record(
            prompt="Add two and two.", chosen="Four.", rejected="", scores=(1.25, 0.0)
        ),
        Record(prompt="Say nothing.", chosen="...", rejected="...", scores=(1.0, 1.0)),
    ],
    "records_messages.jsonl": [
        Record(
            **talk(
                {"role": "system", "content": "One word."}, user("Capital of Peru?")
            ),
            chosen="Lima.",
            rejected="I think that it is Lima.",
        ),
        Record(
            **talk(user("Hello."), assistant("Good day."), user("What did I say?")),
            chosen="Hello.",
            rejected="Goodbye.",
        ),
        Record(
            **talk(user("Rhyme with tree.")),
            chosen="Sea.",
            rejected="Forest.",
        ),
    ],
    "hh.jsonl": [
        Record(
            **talk(user("How long do eggs boil?")),
            chosen="Six minutes, if you like them soft.",
            rejected="Until they are done.",
        ),
        Record(
            **talk(
                user("I lost my key."),
                assistant("Where did you last have it?"),
                user("In the garden."),
            ),
            chosen="Look along the path first.",
            rejected="",
        ),
        Record(
            **talk(
                user("Tell me a word."),
                assistant("Lantern.\n\nOr would you like another?"),
                user("Another."),
            ),
            chosen="Harbour.",
            rejected="No.",
        ),
    ],
    "hh.jsonl as hh_text": [
        Record(
            prompt="\n\nHuman: How long do eggs boil?\n\nAssistant:",
            chosen=" Six minutes, if you like them soft.",
            rejected=" Until they are done.",
        ),
        Record(prompt=KEY, chosen=" Look along the path first.", rejected=""),
        Record(prompt=WORD, chosen=" Harbour. ", rejected=" No."),
    ],
    "tldr.jsonl": [
        Record(
            prompt=post("gardening", "Plants too tall", PLANTS),
            chosen=" Neighbour waters plants, they outgrow the fence.",
            rejected=" I have plants.",
            authors=("sup2", "ref"),
            others=extra(
                {"confidence": 7},
                id="p1",
                subreddit="gardening",
                worker="w1",
                split="train",
            ),
        ),
        Record(
            prompt=post("cooking", "Bread", "I baked bread with salt for sugar."),
            chosen=" Baked bread with salt in the place of sugar.",
            rejected=" Bread.",
            authors=("ref", "sup2"),
            others=extra({}, id="p2", subreddit="cooking", worker="w2", split="valid1"),
        ),
        Record(
            prompt=post(
                "pets", "Cat", "The cat sleeps in the drawer.\nIt will not leave."
            ),
            chosen=" Cat will not leave drawer.",
            rejected="",
            others=extra({}, id="p3", subreddit="pets", worker="w2", split="train"),
        ),
    ],
    "tldr_prompts.jsonl": [
        Record(
            prompt=post("running", "First race", RACE),
            chosen=" Ran ten kilometres, shoes did not survive.",
            others={"id": "q1", "subreddit": "running"},
        ),
        Record(
            prompt=post(
                "music", "Violin", "I bought a violin and it has five strings."
            ),
            chosen=" Violin has a string too many.",
            others={"id": "q2", "subreddit": "music"},
        ),
        Record(
            prompt=post("pets", "", "The dog hides the post."),
            chosen=" Dog is a thief.",
            others={"id": "q3", "subreddit": "pets"},
        ),
    ],
    "xsum.jsonl": [
        Record(
            prompt="The bridge over the mill stream opened on Monday.\n"
            "It took four years to build.",
            chosen="A bridge has opened after four years.",
            others={"id": "101"},
        ),
        Record(
            prompt="Two goats were seen on the roof of the library.",
            chosen="Goats have visited a library.",
            others={"id": "102"},
        ),
        Record(
            prompt="Rain is expected until Thursday.", chosen="", others={"id": "103"}
        ),
    ],
    "ultrafeedback_prompts.jsonl": [
        Record(prompt="Describe a lighthouse in one line.", others={"prompt_id": "a1"}),
        Record(prompt="List three tools.", others={"prompt_id": "a2"}),
        Record(prompt="Explain tides.", others={"source": "own"}),
    ],
    "ultrafeedback_binarized.jsonl": [
        Record(
            **talk(user("Describe a lighthouse in one line.")),
            chosen="A tower that tells ships where the rocks are.",
            rejected="Light.",
            scores=(8.5, 3.0),
            others={"prompt_id": "a1"},
        ),
        Record(
            **talk(user("List three tools.")),
            chosen="Hammer, saw, file.",
            rejected="Hammer, hammer, hammer.",
            scores=(9.0, 2.5),
            others={"prompt_id": "a2"},
        ),
        Record(
            **talk(user("Explain tides.")),
            chosen="The moon pulls the sea.",
            rejected="The moon pulls the sea.",
            scores=(7.0, 7.0),
            others={"prompt_id": "a3"},
        ),
    ],
    "ultrafeedback_scored.jsonl": [
        Record(
            prompt="List three tools.",
            chosen="Hammer, saw, file.",
            rejected="None.",
            scores=(9.0, 3.0),
            authors=("m2", "m4"),
            others={"source": "own"} | ANSWERS,
        ),
        Record(
            prompt="Explain tides.",
            chosen="The moon pulls the sea.",
            rejected="The sea moves.",
            scores=(6.0, 6.0),
            votes=(0.5,),
            authors=("m1", "m2"),
            others={"source": "own"} | ANSWERS,
        ),
        Record(
            prompt="Name a star.",
            chosen="Vega, in the Lyre.",
            rejected="A star.",
            scores=(8.25, 4.0),
            authors=("m1", "m3"),
            others={"source": "own"}
            | {"correct_answers": ["Vega"], "incorrect_answers": ["Mars"]},
        ),
    ],
    "pandalm.json": [
        Record(
            prompt="Name a fruit.",
            chosen="A pear.",
            rejected="A stone.",
            votes=(1.0, 1.0, 1.0),
            authors=("alpha-1b", "beta-2b"),
            others=app(0, "alpha-1b_beta-2b"),
        ),
        Record(
            prompt="Put the words in order.\n\nbread the is fresh",
            chosen="The bread is fresh.",
            rejected="bread fresh",
            votes=(1.0, 1.0, 0.5),
            authors=("gamma-3b", "alpha-1b"),
            others=app(1, "alpha-1b_gamma-3b"),
        ),
        Record(
            prompt="Is this right?\n\nAll ducks are birds.",
            chosen="True",
            rejected="Yes.",
            votes=(0.5, 0.5, 0.5),
            authors=("beta-2b", "gamma-3b"),
            others=app(2, "beta-2b_gamma-3b"),
        ),
        Record(
            prompt="Is this right?\n\nAll birds are ducks.",
            chosen="No.",
            rejected="They are not.",
            votes=(0.0, 1.0, 0.5),
            authors=("beta-2b", "gamma-3b"),
            others=app(3, "beta-2b_gamma-3b"),
        ),
    ],
    "llmbar.json": [
        Record(
            prompt="Name a fruit, and nothing else.",
            chosen="Pear",
            rejected="Pears are a fruit of which there are many kinds.",
        ),
        Record(
            prompt="Count to three.",
            chosen="One, two, three.",
            rejected="I can count to any number.",
        ),
        Record(
            prompt="Write a line that ends in a question mark.",
            chosen="Who goes there?",
            rejected="A question mark.",
        ),
    ],
}


def sample(name):
    """A sample's file, and its format, which is a part of its name."""
    file, _, form = name.partition(" as ")
    stem = file.partition(".")[0]
    return SAMPLES / file, form or ("records" if "records" in stem else stem)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_read_to_these_records(name):
    assert data.read_records(*sample(name)) == EXPECTED[name]


def test_every_format_has_a_sample_and_every_sample_is_read():
    assert {sample(name)[1] for name in EXPECTED} == set(data.FORMATS)
    assert {sample(name)[0] for name in EXPECTED} == set(SAMPLES.iterdir())


@pytest.mark.parametrize("name", EXPECTED)
def test_lists_lines_and_compressed_files_are_read_alike(name, tmp_path):
    file, form = sample(name)
    content = file.read_text()
    lines = json.loads(content) if content.startswith("[") else None
    lines = lines or [json.loads(line) for line in content.splitlines()]
    written = {
        "a.jsonl": "\n\n".join(map(json.dumps, lines)).encode(),
        "b.json": b" \n" + json.dumps(lines).encode(),
    }
    written |= {f"{own}.gz": gzip.compress(made) for own, made in written.items()}
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "README.md").write_text("not read")
    for own, made in written.items():
        (tmp_path / own).write_bytes(made)
        (folder / own).write_bytes(made)
        assert data.read_records(tmp_path / own, form) == EXPECTED[name]
    assert data.read_records(folder, form) == 4 * EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_format_of_a_line_that_plainly_has_it_is_suggested(name):
    file, form = sample(name)
    if form in ("records", "hh_text", "ultrafeedback_prompts"):
        return
    other = "xsum" if form != "xsum" else "tldr"
    with pytest.raises(data.Malformed, match=rf"--format {form}\)"):
        data.read_records(file, other)


def test_a_misspelt_format_is_answered_with_a_near_one():
    with pytest.raises(ValueError, match="did you mean 'pandalm'"):
        data.read_records(SAMPLES / "pandalm.json", "panda")
    with pytest.raises(ValueError, match="Known are records, "):
        data.read_records(SAMPLES / "pandalm.json", "zzz")


def put(name, value):
    """A change of one field, named by its path; None takes it away."""
    *way, last = [int(own) if own.isdigit() else own for own in name.split(".")]

    def change(line):
        own = line
        for step in way:
            own = own[step]
        if value is None:
            del own[last]
        else:
            own[last] = value

    return change


ASKED = "\n\nHuman: Hm?"
MALFORMED = [
    ("hh.jsonl", put("chosen", None), "`chosen` is missing"),
    ("hh.jsonl", put("rejected", 3), "`rejected` is 3"),
    ("hh.jsonl", put("rejected", "Hello."), "`rejected` has no turn"),
    (
        "hh.jsonl",
        put("rejected", ASKED + "\n\nAssistant: No."),
        "`rejected` is of another dialogue",
    ),
    ("tldr.jsonl", put("info", None), "`info.subreddit` is missing"),
    ("tldr.jsonl", put("info.post", " "), "`info.post` is ' '"),
    ("tldr.jsonl", put("info.title", 3), "`info.title` is 3"),
    ("tldr.jsonl", put("summaries.1", None), "`summaries[1].text` is missing"),
    ("tldr.jsonl", put("summaries.0.text", 1), "`summaries[0].text` is 1"),
    ("tldr.jsonl", put("choice", 2), "`choice` is 2; it must be one of 0, 1"),
    ("tldr.jsonl", put("choice", False), "`choice` is False"),
    ("tldr_prompts.jsonl", put("post", None), "`post` is missing"),
    ("tldr_prompts.jsonl", put("summary", 3), "`summary` is 3"),
    ("xsum.jsonl", put("document", ""), "`document` is ''"),
    ("xsum.jsonl", put("summary", None), "`summary` is missing"),
    ("ultrafeedback_prompts.jsonl", put("prompt", 3), "`prompt` is 3"),
    ("ultrafeedback_prompts.jsonl", put("prompt", None), "`instruction` is missing"),
    ("ultrafeedback_binarized.jsonl", put("chosen", "Yes."), "`chosen` is 'Yes.'"),
    ("ultrafeedback_binarized.jsonl", put("rejected.1", None), "`rejected` ends"),
    ("ultrafeedback_binarized.jsonl", put("chosen.0", None), "`chosen[:-1]` is []"),
    (
        "ultrafeedback_binarized.jsonl",
        put("rejected.0.content", "Hm?"),
        "`rejected` goes on from other messages",
    ),
    (
        "ultrafeedback_binarized.jsonl",
        put("score_rejected", None),
        "`score_rejected` is missing",
    ),
    ("ultrafeedback_scored.jsonl", put("completions", []), "`completions` is []"),
    (
        "ultrafeedback_scored.jsonl",
        put("completions.1.overall_score", "9"),
        "`completions[1].overall_score` is '9'",
    ),
    (
        "ultrafeedback_scored.jsonl",
        put("completions.0.response", None),
        "`completions[0].response` is missing",
    ),
    ("llmbar.json", put("label", 0), "`label` is 0; it must be one of 1, 2"),
    ("llmbar.json", put("label", 1.0), "`label` is 1.0"),
    ("llmbar.json", put("output_2", None), "`output_2` is missing"),
    ("pandalm.json", put("annotator3", 1.5), "`annotator3` is 1.5"),
    ("hh.jsonl as hh_text", put("chosen", ASKED), "`chosen` has no turn"),
]


@pytest.mark.parametrize(("name", "change", "said"), MALFORMED)
def test_a_malformed_line_is_named_by_file_line_and_field_or_skipped(
    name, change, said, tmp_path
):
    file, form = sample(name)
    content = file.read_text()
    if listed := content.startswith("["):
        lines = json.loads(content)
    else:
        lines = [json.loads(line) for line in content.splitlines()]
    change(lines[1])
    written = json.dumps(lines) if listed else "\n".join(map(json.dumps, lines))
    path = tmp_path / file.name
    path.write_text(written)
    with pytest.raises(data.Malformed) as error:
        data.read_records(path, form)
    place = "entry [1]" if listed else "line 2"
    assert str(error.value).startswith(f"{path}, {place}: {said}")
    found = data.read(path, form, skip_malformed=True)
    assert found.records == [EXPECTED[name][0], *EXPECTED[name][2:]]
    assert found.malformed == (str(error.value),)


@pytest.mark.parametrize("name", ["hh.jsonl", "hh.jsonl as hh_text"])
def test_a_dialogue_that_begins_with_what_nobody_says_or_asks_nothing_is_malformed(
    name, tmp_path
):
    wrong = {
        "hh.jsonl": {"So. \n\nHuman: Hm?": "`chosen` begins with 'So. '"}
        | {"\n\nHuman: Hm?\n\nAssistant: No.": "`chosen` ends with the assistant's"},
        "hh.jsonl as hh_text": {" ": "`chosen` has nothing before"},
    }
    path = tmp_path / "hh.jsonl"
    for before, said in wrong[name].items():
        line = {own: f"{before}\n\nAssistant: {own}" for own in ("chosen", "rejected")}
        path.write_text(json.dumps(line))
        with pytest.raises(data.Malformed, match="line 1") as error:
            data.read_records(path, sample(name)[1])
        assert said in str(error.value)


def paths(value, way=()):
    """Where there is something in a line, however deep."""
    own = value.items() if isinstance(value, dict) else ()
    own = enumerate(value) if isinstance(value, list) else own
    for step, part in own:
        yield (*way, step)
        yield from paths(part, (*way, step))


@pytest.mark.parametrize("name", EXPECTED)
def test_whatever_stands_in_the_place_of_a_field_is_taken_or_refused_by_name(name):
    file, form = sample(name)
    content, refused = file.read_text(), 0
    if content.startswith("["):
        lines = json.loads(content)
    else:
        lines = [json.loads(line) for line in content.splitlines()]
    values = [None, True, 7, 1.5, "", "x", [], [1], ["x"], {}, {"a": 1}, [{}]]
    for line, value in itertools.product(lines, values):
        for *way, last in paths(line):
            changed = copy.deepcopy(line)
            functools.reduce(operator.getitem, way, changed)[last] = value
            try:
                assert isinstance(data.FORMATS[form].parse(changed), Record)
            except ValueError as error:
                assert str(error).startswith("`")
                refused += 1
    assert refused > 10
