"""Files of every published format that commands train on, made of small samples."""

import json
import pathlib

SAMPLES = pathlib.Path(__file__).parents[1] / "data/samples"
# Where a number in a line makes another prompt of it, and what learns from such lines.
FORMS = {
    "records": ("records_pairs.jsonl", '"prompt": "', "dpo"),
    "hh": ("hh.jsonl", "Human:", "dpo"),
    "hh_text": ("hh.jsonl", "Human:", "dpo"),
    "tldr": ("tldr.jsonl", '"post": "', "dpo"),
    "tldr_prompts": ("tldr_prompts.jsonl", '"post": "', "sft"),
    "xsum": ("xsum.jsonl", '"document": "', "sft"),
    "ultrafeedback_prompts": ("ultrafeedback_binarized.jsonl", '"prompt": "', "ipo_md"),
    "ultrafeedback_binarized": (
        "ultrafeedback_binarized.jsonl",
        '"user", "content": "',
        "dpo",
    ),
    "ultrafeedback_scored": ("ultrafeedback_scored.jsonl", '"instruction": "', "dpo"),
    "pandalm": ("pandalm.json", '"instruction": "', "dpo"),
    "llmbar": ("llmbar.json", '"input": "', "dpo"),
}


def many(form: str, path: pathlib.Path) -> None:
    """Writes twenty lines of a format for every one of its sample."""
    name, front, _ = FORMS[form]
    content = (SAMPLES / name).read_text()
    lines = json.loads(content) if content.startswith("[") else None
    lines = lines or [json.loads(line) for line in content.splitlines()]
    texts = [
        json.dumps(line).replace(front, f"{front}{n}")
        for line in lines
        for n in range(20)
    ]
    path.write_text("\n".join(texts))
