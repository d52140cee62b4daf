"""Prompts as the start policy has been trained on them."""

import json
import pathlib
import zlib

from experiments import docstrings
from nashalign import data

FOLDER = pathlib.Path(docstrings.__file__).parents[1]


def test_prompts_of_the_start_policy_do_not_change_by_a_token():
    tokenizer = data.load_tokenizer(FOLDER / "start_policy")
    lines = (FOLDER / "docstrings/own_functions.jsonl").read_text()
    codes = [json.loads(line)["code"] for line in lines.splitlines()]
    codes += ["x = 1  \n", "s = 'it\u2019s \u03c0'\t", "    ", "\r\n" * 30]
    found = data.prompt_ids(tokenizer, codes, length=48, suffix=docstrings.SUFFIX)
    assert 100 < found.cut < len(codes)
    # What it was trained on: its parts encoded one by one.
    (end,) = tokenizer.encode([docstrings.SUFFIX])
    parts = [tokens[: 47 - len(end)] for tokens in tokenizer.encode(codes)]
    assert found.tokens == [[1, *tokens, *end] for tokens in parts]
    assert zlib.crc32(json.dumps(found.tokens[:-4]).encode()) == 555_476_384
