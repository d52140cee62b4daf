"""Seeded faults of the commands and their data, which `python -m tests.faults` runs."""

from tests.fault import Fault

ALIGN, DATASETS = "nashalign/cli/align.py", "nashalign/data/datasets.py"
TLDR = "experiments/tldr/config.py"
TEMPLATE = "nashalign/preferences/llm/template.py"
MATRIX_TEST = "tests/cli/matrix_test.py"
DATASETS_TEST = "tests/data/datasets_test.py"

CLI = [
    Fault(
        "matrix: pairs of a published format read as the generic one",
        ALIGN,
        "prompts.read(config.prompts, config.format, config.skip_malformed)",
        'prompts.read(config.prompts, "records", config.skip_malformed)',
        f"{MATRIX_TEST} -k 'pandalm and function and not scoring'",
    ),
    Fault(
        "matrix: a function asked about the first prompt, whichever was answered",
        "nashalign/preferences/text.py",
        "found.append((self.prompts[index], *texts))",
        "found.append((self.prompts[0], *texts))",
        f"{MATRIX_TEST} -k 'llmbar and function and not scoring'",
    ),
    Fault(
        "matrix: a language model asked about no prompt",
        TEMPLATE,
        "_FIELD.sub(lambda found: own[found[1]], self.text)",
        '_FIELD.sub(lambda found: (own | {"context": ""})[found[1]], self.text)',
        f"{MATRIX_TEST} -k 'ultrafeedback_prompts and server and not rating'",
    ),
    Fault(
        "data set: all splits where one is asked for",
        DATASETS,
        "        return [self.split]",
        "        return known",
        f"{DATASETS_TEST} -k files_that_it_was_made_of",
    ),
    Fault(
        "data set: known by its place, and not by its records",
        DATASETS,
        "return sorted(itertools.chain.from_iterable(found))",
        "return sorted(itertools.chain.from_iterable(found))[:0]",
        f"{DATASETS_TEST} -k known_by_its_records",
    ),
    Fault(
        "data set: another builder's taken for ours",
        DATASETS,
        "if found.name != _NAME:",
        "if not found.name:",
        f"{DATASETS_TEST} -k another_library",
    ),
    Fault(
        "tldr: files known by their paths",
        TLDR,
        "record[name] = data.fingerprint(getattr(self, name))",
        "record[name] = str(getattr(self, name))",
        "tests/experiments/tldr_test.py -k changed",
    ),
]
