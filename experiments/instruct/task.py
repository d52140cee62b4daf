"""Instructions as a task: a chat model answers, a population of reviewers judges."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from experiments.instruct import reviewers
from nashalign import alignment, data, preferences

INSTRUCTIONS = pathlib.Path(__file__).parent / "instructions.jsonl"

# Without it most answers of a small model are cut off before they end.
SYSTEM = "You are a helpful assistant. Answer in one short sentence."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instructions:
    """The task, and what is known of its instructions.

    Attributes:
      task: what is written to; its oracle is the exact population.
      records: of all instructions; `Prompts.ids` index into them.
      annotator: the exact population, which reads instruction and answer alone.
    """

    task: alignment.Task
    records: Sequence[data.Record]
    annotator: preferences.PopulationAnnotator

    def panel(self) -> alignment.Panel:
        """Returns the population and each kind of reviewer as judges."""
        population = self.annotator.population
        kinds = {
            kind: dataclasses.replace(self.annotator, population=population.alone(kind))
            for kind in population.kinds
        }
        return alignment.Panel(
            name="exact population", judge=self.annotator, kinds=kinds
        )

    def pages(self) -> alignment.Pages:
        """Returns what a comparison says of the instructions."""
        return alignment.Pages(
            sample=self._sample,
            description=(
                "The first of the test instructions in the order in which they were "
                "drawn, unselected. The share is the probability that the population "
                "of reviewers prefers the answer to the start policy's."
            ),
            response="answer",
            voter="reviewer",
        )

    def _sample(self, index: int) -> Mapping[str, str]:
        """How an instruction is shown."""
        record = self.records[index]
        return {"prompt": record.prompt, "source": str(record.others["kind"])}


def load_task(policy: pathlib.Path, text: alignment.Text) -> Instructions:
    """Loads the start policy, and the instructions in their splits.

    Args:
      policy: Hugging Face folder of a chat model.
      text: what is read and written.

    Raises:
      ValueError: the checkpoint, its tokenizer and the lengths do not go together.
    """
    records = [_asked(record) for record in data.read_records(INSTRUCTIONS)]
    together = alignment.Splits(validation=0.0, test=0.0)
    task = alignment.text_task(policy, records, text=text, splits=together).task
    annotator = preferences.PopulationAnnotator(
        reviewers.three_reviewers(),
        task.tokenizer,
        [record.prompt for record in records],
    )
    prompts = {
        split: _those(task.prompts["train"], records, split) for split in data.SPLITS
    }
    return Instructions(
        task=dataclasses.replace(task, prompts=prompts, oracle=annotator),
        records=records,
        annotator=annotator,
    )


def _asked(record: data.Record) -> data.Record:
    """The instruction as a conversation; people and reviewers read it alone."""
    roles = {"system": SYSTEM, "user": record.prompt}
    messages = tuple({"role": role, "content": roles[role]} for role in roles)
    return dataclasses.replace(record, messages=messages)


def _those(
    prompts: alignment.PromptSet, records: Sequence[data.Record], split: str
) -> alignment.PromptSet:
    """The prompts whose record is of a split."""
    places = [
        place
        for place, index in enumerate(prompts.ids)
        if records[index].others["split"] == split
    ]
    return alignment.PromptSet(
        tokens=[prompts.tokens[place] for place in places],
        ids=prompts.ids[places],
        clusters=prompts.clusters[places],
    )
