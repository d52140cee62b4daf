"""What a run carries: the setup that stays, and the state that moves."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import optax

from nashalign import checks, policies, sampling
from nashalign.algorithms import authors
from nashalign.algorithms.conditioning import Levels, condition
from nashalign.algorithms.memory import Memory
from nashalign.algorithms.method import Method
from nashalign.types import Array, Prompts, pytree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What stays the same through a run.

    Attributes:
      policy: the model family.
      optimizer: of the policy and the heads beside it.
      decoding: how responses are drawn.
      levels: `[L, C]` token strings of scores, lowest first, for rows that condition
        prompts; None where none does.
      memory: what is traded for memory. The policy computes in the type that it says.
    """

    policy: policies.Policy
    optimizer: optax.GradientTransformation
    decoding: sampling.Decoding
    levels: Levels | None = None
    memory: Memory = Memory()

    def __post_init__(self):
        """Lets the policy compute as it is to."""
        policy = policies.computing_in(self.policy, self.memory.compute_dtype)
        object.__setattr__(self, "policy", policy)


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a run carries from step to step.

    Where policies have adapters (`policies.lora`), only these change. A run then keeps
    the state without the base that they have in common (`without_base`), and lays it
    under them where it computes (`on_base`).

    Attributes:
      players: what is trained: `policy`, and the heads of the row, by name.
      frozen: the parameters of each frozen policy that the method names, by name; the
        same arrays while they are the same policy.
      opt_state: the optimizer's.
      step: int32, updates made.
      key: the run's key; never consumed, only folded with the step.
    """

    players: dict[str, policies.Params]
    frozen: dict[str, policies.Params]
    opt_state: optax.OptState
    step: Array
    key: chex.PRNGKey

    @property
    def params(self) -> policies.Params:
        """The parameters of the policy in training."""
        return self.players["policy"]

    @property
    def reference(self) -> policies.Params:
        """The parameters of the policy that the trained one is held to.

        Raises:
          ValueError: the row has no reference.
        """
        if "reference" not in self.frozen:
            raise ValueError(
                "the row has no reference: nothing that it reads is measured from one"
            )
        return self.frozen["reference"]


def init(
    method: Method, setup: Setup, params: policies.Params, key: chex.PRNGKey
) -> State:
    """Returns the state before the first step: all policies start at the same place."""
    players = {"policy": params}
    for number, (name, head) in enumerate(method.heads):
        players[name] = head(jax.random.fold_in(key, number), setup.policy)
    # What policies with adapters have in common is kept once, whatever it is in.
    apart = method.still if not policies.lora.has_adapters(params) else ()
    return State(
        players=players,
        frozen={
            name: setup.memory.freeze(params) if name in apart else params
            for name in method.frozen
        },
        opt_state=setup.optimizer.init(trained(players)),
        step=jnp.zeros((), jnp.int32),
        key=key,
    )


def trained(named: dict[str, policies.Params]) -> dict[str, policies.Params]:
    """Returns what is trained of players: of a policy with adapters, these alone.

    Args:
      named: the policy and the heads beside it, or frozen policies, by name.
    """
    return {name: policies.lora.trained(params) for name, params in named.items()}


def without_base(state: State) -> State:
    """Returns a state with the adapters alone of policies that have any."""
    frozen = {
        name: policies.lora.trained(params) for name, params in state.frozen.items()
    }
    return dataclasses.replace(state, players=trained(state.players), frozen=frozen)


def on_base(state: State, base: policies.Params | None) -> State:
    """Returns a state of whole policies, the inverse of `without_base`.

    Args:
      state: whose policies may be adapters alone.
      base: what they have in common; None where they are whole.
    """
    if base is None:
        return state
    policy = policies.lora.join(base, state.params)
    frozen = {name: policies.lora.join(base, own) for name, own in state.frozen.items()}
    players = state.players | {"policy": policy}
    return dataclasses.replace(state, players=players, frozen=frozen)


def next_stage(method: Method, setup: Setup, state: State) -> State:
    """Returns the state in which another stage begins.

    The policy becomes every frozen policy, the reference among them, but the `previous`
    one: that is what the policy has been held to, its reference. The optimizer and the
    heads begin again; steps and keys continue.

    Raises:
      ValueError: the row needs the `previous` policy, and there was no reference.
    """
    fresh = init(method, setup, state.params, state.key)
    before = {"previous": state.reference} if "previous" in fresh.frozen else {}
    frozen = fresh.frozen | before
    return dataclasses.replace(fresh, step=state.step, frozen=frozen)


def step_keys(state: State) -> chex.PRNGKey:
    """The step's keys, for sampling and for the annotator."""
    return jax.random.split(jax.random.fold_in(state.key, state.step))


def looking(state: State) -> State:
    """Returns where the first half of an extragradient step rolls out and annotates.

    `ahead` starts at the policy. The keys are this half's own: were the second gradient
    taken on the very draws that have moved `ahead`, its expectation would be another.
    """
    return dataclasses.replace(
        state,
        frozen=state.frozen | {"ahead": state.params},
        key=jax.random.fold_in(state.key, _LOOKING),
    )


# A number that no step has, so that no step draws what another one looks ahead with.
_LOOKING = 2**32 - 2


def writers(
    method: Method, setup: Setup, state: State, prompts: Prompts
) -> tuple[dict[str, policies.Params], dict[str, Prompts]]:
    """The named policies that the row's authors look at, and each one's prompts."""
    still = jax.lax.stop_gradient(policies.lora.trained(state.params))
    frozen = {"policy": policies.lora.join(state.params, still), **state.frozen}
    params = {name: frozen[authors.base(name)] for name in method.writers}
    places = {"better": -1, "worse": 0}
    contexts = {
        name: condition(
            prompts,
            checks.present(setup.levels, "setup.levels"),
            places[name.partition("|")[2]],
        )
        for name in method.writers
        if "|" in name
    }
    return params, contexts
