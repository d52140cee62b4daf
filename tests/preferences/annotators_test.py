"""Where an annotator answers: on the device, or between two compiled programs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import preferences, sampling
from nashalign.types import pytree

TABLE = sampling.enumerate_responses(2, 1, 0)
GAME = preferences.GameReward(table=TABLE, rewards=np.arange(2.0))


class Reader:
    """Reads text, and says nothing of where."""

    def score(self, key, prompts, responses):
        return np.asarray(responses.mask).sum(-1)


@pytree
@dataclasses.dataclass(frozen=True)
class Leaf:
    """A pytree that asks a server all the same, or says nothing."""

    weight: float = 1.0
    host: bool | None = dataclasses.field(default=None, metadata={"static": True})

    def score(self, key, prompts, responses):
        return self.weight * responses.mask.sum(-1)


def population():
    voters = {"indifferent": lambda prompts, responses: np.zeros(len(responses))}
    population = preferences.Population(voters, (1.0,), (1.0,))
    return preferences.PopulationAnnotator(population, None, ())


def penalised(annotator):
    return preferences.LengthPenalised(annotator=annotator, penalty=0.1)


def ensemble(*members):
    return preferences.Ensemble(members=members, combine=preferences.mean)


@pytest.mark.parametrize(
    "annotator, host",
    [
        (population(), True),
        (Reader(), True),
        (Leaf(host=True), True),
        (Leaf(host=False), False),
        (Leaf(host=np.True_), True),
        (Leaf(), False),
        (GAME, False),
        (preferences.RewardModel(params={}, policy=None, eos_id=0), False),
        (penalised(GAME), False),
        (penalised(Reader()), True),
        (ensemble(GAME, Leaf()), False),
        (ensemble(GAME, Reader()), True),
        (ensemble(penalised(population()), GAME), True),
        (None, False),
    ],
)
def test_an_annotator_is_on_the_host_where_it_says_so_or_is_no_pytree(annotator, host):
    assert preferences.on_host(annotator) is host


def test_device_annotators_are_on_the_device_within_a_program_too():
    @jax.jit
    def answer(annotator):
        assert not preferences.on_host(annotator)
        return jnp.zeros(())

    answer(ensemble(penalised(GAME), Leaf()))


@pytest.mark.parametrize("host", ["localhost", 1, np.ones(2)])
def test_an_attribute_host_of_another_meaning_is_refused(host):
    annotator = Reader()
    annotator.host = host
    with pytest.raises(TypeError, match="Reader.host is .* must be True"):
        preferences.on_host(annotator)
