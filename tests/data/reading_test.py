"""Files and folders: what is counted, what is refused, whatever their format."""

import gzip
import json
import pathlib

import pytest

from nashalign import data

REAL = pathlib.Path(__file__).parents[3] / "shared/data"


def written(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_what_was_met_is_counted_and_said(tmp_path):
    pair = {"prompt": "a", "chosen": "y", "rejected": "z"}
    path = written(
        tmp_path / "p.jsonl",
        pair,
        # The same prompt and responses, whichever was chosen.
        pair | {"chosen": "z", "rejected": "y"},
        {"prompt": "b", "chosen": "", "rejected": " \n"},
        {"prompt": "c", "chosen": "y", "rejected": "y"},
        {"prompt": "d", "chosen": "y"},
        {"prompt": "e", "chosen": 3, "rejected": "y"},
        pair | {"note": "again"},
    )
    found = data.read(path, skip_malformed=True)
    assert list(found.counts.values()) == [2, 2, 2, 0, 1]
    assert str(found) == (
        "5 records, 2 malformed and skipped, 2 of a prompt and responses that came "
        "before, 2 empty responses, 1 of two equal responses"
    )
    assert [said.split(": ")[0] for said in found.malformed] == [
        f"{path}, line 5",
        f"{path}, line 6",
    ]


def test_prompts_without_a_response_are_counted(tmp_path):
    found = data.read(written(tmp_path / "p.jsonl", *({"prompt": "a"},) * 3))
    assert str(found) == (
        "3 records, 2 of a prompt and responses that came before, 3 without a response"
    )


def test_nothing_is_said_where_there_is_nothing_to_say(tmp_path):
    lines = [{"prompt": f"{n}", "chosen": "y", "rejected": "z"} for n in range(1234)]
    assert str(data.read(written(tmp_path / "p.jsonl", *lines))) == "1,234 records"


def test_equal_prompts_with_and_without_an_empty_response_are_not_the_same(tmp_path):
    pair = {"prompt": "a", "chosen": "y", "rejected": "z"}
    path = written(tmp_path / "p.jsonl", pair, pair | {"rejected": ""})
    assert data.read(path).counts["of a prompt and responses that came before"] == 0


def test_a_file_of_malformed_lines_alone_is_refused_and_says_the_first(tmp_path):
    path = written(tmp_path / "p.jsonl", {"prompt": 3}, {})
    with pytest.raises(ValueError, match=r"holds no prompt.*line 1: `prompt` is 3"):
        data.read(path, skip_malformed=True)


def test_a_folder_without_json_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"has no file that ends in \.jsonl"):
        data.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b'{"prompt": "a"}' * 99, mtime=0)[:-9], "no whole gzip file"),
        (b"\x1f\x8b and more", "no whole gzip file"),
        (b'[{"prompt": "a"}', "not JSON"),
        (b"\xff\xfe", "line 1: not UTF-8"),
        (b'{"prompt": "a"}\n"text"', "line 2: JSON of a str, not of an object"),
        (b'["text"]', r"entry \[0\]: JSON of a str"),
        (b'[{"prompt": "a"}, {"prompt": NaN}]', r"entry \[1\]: .*prompt is nan"),
        (b'{"prompt": "a", "more": [{"x": 1e999}]}', "line 1: .*x is inf"),
    ],
)
def test_what_is_no_json_is_named(tmp_path, content, said):
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        data.read(path)
    assert str(path) in str(error.value)


def test_a_response_for_some_prompts_only_is_refused(tmp_path):
    with pytest.raises(ValueError, match="1 of 2 prompts have `chosen`"):
        data.read(
            written(
                tmp_path / "p.jsonl",
                {"prompt": "a", "chosen": "y", "rejected": "z"},
                {"prompt": "b"},
            )
        )


@pytest.mark.skipif(not REAL.is_dir(), reason="the published files are not here")
class TestPublishedFiles:
    def test_pandalm_is_read_wholly(self):
        found = data.read(REAL / "pandalm", "pandalm")
        assert (len(found.records), found.malformed) == (999, ())
        ties = [own for own in found.records if set(own.votes) == {0.5}]
        split = [own for own in found.records if len(set(own.votes)) > 1]
        assert (len(ties), len(split)) == (85, 120)
        assert len({name for own in found.records for name in own.authors}) == 5
        assert all(own.preferred >= 0.5 for own in found.records)

    def test_a_model_of_pandalm_wrote_one_response_to_a_prompt(self):
        written = {}
        for own in data.read_records(REAL / "pandalm", "pandalm"):
            for author, text in zip(
                own.authors, (own.chosen, own.rejected), strict=True
            ):
                written.setdefault((own.prompt, author), set()).add(text)
        one = sum(len(texts) == 1 for texts in written.values())
        # Some prompts came twice. With authors swapped it is one in four.
        assert one / len(written) > 0.97

    def test_llmbar_is_read_wholly(self):
        found = data.read(REAL / "llmbar", "llmbar")
        assert (len(found.records), found.malformed) == (419, ())
        natural = data.read_records(REAL / "llmbar" / "Natural.json", "llmbar")
        assert len(natural) == 100

    @pytest.mark.parametrize("name", ["hh", "hh_text"])
    def test_five_dialogues_of_hh_do_not_agree_before_the_last_turn(self, name):
        with pytest.raises(data.Malformed, match=r"\.gz, line 1255: `rejected`"):
            data.read(REAL / "hh_rlhf", name)
        found = data.read(REAL / "hh_rlhf", name, skip_malformed=True)
        assert (len(found.records), len(found.malformed)) == (2307, 5)
        assert found.counts["empty responses"] == 4

    def test_text_of_hh_is_prompt_and_response_and_messages_say_the_same(self):
        content = (REAL / "hh_rlhf/harmless-base-test.jsonl.gz").read_bytes()
        whole = {
            (line["chosen"], line["rejected"])
            for line in map(json.loads, gzip.decompress(content).splitlines())
        }
        texts, talks = (
            data.read(REAL / "hh_rlhf", name, skip_malformed=True).records
            for name in ("hh_text", "hh")
        )
        for text, talk in zip(texts, talks, strict=True):
            assert (text.prompt + text.chosen, text.prompt + text.rejected) in whole
            said = "".join(own["content"] for own in talk.messages)
            bare = text.prompt.replace("\n\nHuman:", "").replace("\n\nAssistant:", "")
            assert "".join(said.split()) == "".join(bare.split())
            assert text.chosen.strip() == talk.chosen
            roles = [own["role"] for own in talk.messages]
            assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_a_line_that_is_not_json_is_told_what_a_line_is(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("Write a poem.\n")
    with pytest.raises(data.Malformed, match="not JSON .*; a line is an object"):
        data.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for read in (data.read, data.fingerprint):
        with pytest.raises(
            FileNotFoundError, match=f"{tmp_path / 'none'} is not there"
        ):
            read(tmp_path / "none")
