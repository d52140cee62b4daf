"""Methods that are others at an end of their settings.

Given the same responses, the loss and its slope are the same bits. Where rows are
written by other authors, the expected updates are compared, to rounding.
"""

import dataclasses

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms, games
from nashalign.types import Groups
from tests import token_game

P = token_game.preference()
HARD = np.where(np.isclose(P, 0.5), 0.5, P > 0.5)
# The first response beats the third, which beats the second, as the first does.
SURE = np.where(np.arange(7)[:, None] == np.arange(7), 0.5, 0.0)
SURE[0, 1] = SURE[0, 2] = SURE[2, 1] = 1.0
NAMES = tuple(token_game.FROZEN)


def random_groups(method, labels):
    """Three prompts with six responses of two tokens, of random numbers."""
    random = np.random.default_rng(0)
    shape = (3, 6, 2)

    def log_probs():
        return jnp.asarray(-random.exponential(size=shape), jnp.float32)

    given = token_game.THREE_PROMPTS
    table = jax.tree.map(lambda x: jnp.repeat(x[:, :6], 3, 0), token_game.TABLE)
    indices = jnp.broadcast_to(
        jnp.arange(len(method.authors)), (3, 1) + (len(method.authors),)
    )
    groups = Groups(
        prompts=given,
        responses=dataclasses.replace(table, mask=jnp.ones(shape, bool)),
        frozen_log_probs={name: log_probs() for name in NAMES},
        members=indices[..., : method.num_members],
        opponents=indices[..., method.num_members :],
        probability=jnp.ones((3, 1)),
        preference=jnp.asarray(np.tile(labels[:6, :6], (3, 1, 1)), jnp.float32),
        rewards=jnp.asarray(random.normal(size=shape[:2]), jnp.float32),
        log_probs=log_probs(),
        statistics={"kl": jnp.square(log_probs()), "degrees": log_probs()},
    )
    return dataclasses.replace(
        groups, rewards=groups.rewards if method.annotation == "reward" else None
    )


def loss_and_slope(name, settings, labels, same=None):
    """A row's loss on random groups, and its derivative by log-probabilities."""
    method = algorithms.configure(name, **settings).at(0)
    groups = random_groups(method, labels)
    if same:
        frozen = groups.frozen_log_probs
        frozen = frozen | {same[0]: frozen[same[1]]}
        groups = dataclasses.replace(groups, frozen_log_probs=frozen)
    groups = method.select(method, method.label(method, groups))

    def total(log_probs):
        read = dataclasses.replace(groups, log_probs=log_probs)
        return jnp.sum(algorithms.group_losses(method, read)[0])

    return jax.value_and_grad(total)(groups.log_probs)


@pytest.mark.parametrize(
    "name, settings, simpler, its, labels, same",
    [
        ("tdpo2", {"tau": 0.7, "alpha": 0.0}, "dpo", {"tau": 0.7}, P, None),
        ("cdpo", {"tau": 0.7, "flip": 0.0}, "dpo", {"tau": 0.7}, P, None),
        ("rdpo", {"tau": 0.7, "flip": 0.0}, "dpo", {"tau": 0.7}, P, None),
        # Responses of two tokens each.
        (
            "simpo",
            {"tau": 1.4, "gamma": 0.0},
            "cpo",
            {"tau": 0.7, "likelihood": 0.0},
            P,
            None,
        ),
        (
            "cpo",
            {"tau": 1.0, "likelihood": 0.0},
            "soft_po",
            {"tau": 0.0, "alpha": 1.0},
            P,
            None,
        ),
        ("tr_dpo", {"tau": 0.7}, "dpo", {"tau": 0.7}, P, None),
        ("tr_dpo_hard", {"tau": 0.7}, "dpo", {"tau": 0.7}, P, None),
        # DPO on the best and the worst of three, from the iterate.
        (
            "iterative_rpo",
            {"tau": 0.7, "likelihood": 0.0, "num_responses": 3},
            "iterative_dpo",
            {"tau": 0.7, "follow": 1.0, "num_responses": 3},
            P,
            None,
        ),
        ("mcts_dpo", {"tau": 0.7}, "dpo", {"tau": 0.7}, P, None),
        ("self_rewarding", {"tau": 0.7}, "dpo", {"tau": 0.7}, P, None),
        ("sail_ddp", {"tau": 0.7, "share": 0.0}, "dpo", {"tau": 0.7}, HARD, None),
        ("sequential_po", {"tau": 0.7, "retain": 0.0}, "bpo", {"tau": 0.7}, HARD, None),
        ("xpo", {"tau": 0.7, "alpha": 0.0}, "oaif_dpo", {"tau": 0.7}, P, None),
        ("oaif_dpo", {"tau": 0.7}, "online_dpo", {"tau": 0.7}, HARD, None),
        (
            "osp",
            {"tau": 0.7, "num_responses": 2},
            "online_dpo",
            {"tau": 0.7},
            SURE,
            None,
        ),
        # DPO on the best and the worst of three, from the iterate.
        (
            "selm",
            {"tau": 0.7, "alpha": 0.0},
            "dno_prct",
            {"tau": 0.7, "margin": 0.0, "num_responses": 2},
            SURE,
            None,
        ),
        ("oaif_ipo", {"tau": 0.4}, "online_ipo", {"tau": 0.4}, HARD, None),
        ("oaif_slic", {"tau": 0.7}, "online_slic", {"tau": 0.7}, HARD, None),
        (
            "soft_po_weighted",
            {"tau": 0.3, "alpha": 0.7, "power": 0.0},
            "soft_po",
            {"tau": 0.3, "alpha": 0.7},
            P,
            None,
        ),
        (
            "mnpo",
            {"tau": 0.3, "eta": 1.5, "recent": 1.0},
            "inpo",
            {"tau": 0.3, "eta": 1.5},
            P,
            None,
        ),
        ("comal", {"tau": 0.3, "eta": 1.5}, "inpo", {"tau": 0.3, "eta": 1.5}, P, None),
        ("alpha_spin", {"tau": 0.7, "follow": 1.0}, "spin", {"tau": 0.7}, P, None),
        ("mpo", {"tau": 0.3}, "self_play_pg", {"tau": 0.3}, P, None),
        (
            "rspo",
            {"eta": 1.5, "pull": 0.0, "forward": 0.0},
            "sppo",
            {"eta": 1.5},
            P,
            None,
        ),
        # Anchored at the policy that writes: before its first move, the reference.
        ("bpo", {"tau": 0.7}, "oaif_dpo", {"tau": 0.7}, P, ("iterate", "reference")),
        (
            "inpo",
            {"tau": 0.0, "eta": 2.5},
            "online_ipo",
            {"tau": 0.4},
            P,
            ("iterate", "reference"),
        ),
        ("optune", {"tau": 0.7, "sharpness": 0.0}, "half", {"tau": 0.7}, P, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_method_at_its_end_has_the_loss_of_a_simpler_one_bit_for_bit(
    name, settings, simpler, its, labels, same
):
    if simpler == "half":
        # A weight of sigmoid(0) scales the loss on labels by reward.
        rewards = np.asarray(
            random_groups(algorithms.TABLE["optune"].method, P).rewards
        )
        labels = np.full((7, 7), 0.5)
        found = loss_and_slope(name, settings, labels)
        total = []
        for row in rewards:
            hard = labels.copy()
            hard[0, 1], hard[1, 0] = row[0] > row[1], row[1] > row[0]
            total.append(hard)
        expected = [loss_and_slope("dpo", its, hard) for hard in total]
        slope = jnp.stack([e[1][b] for b, e in enumerate(expected)])
        np.testing.assert_array_equal(found[1], slope / 2)
        return
    found, expected = (
        loss_and_slope(*row, labels, same) for row in ((name, settings), (simpler, its))
    )
    chex.assert_trees_all_equal(found, expected)
    assert np.abs(found[1]).max() > 0


def test_dr_grpo_without_a_penalty_is_rloos_times_the_share_of_others():
    found, expected = (
        gradient(name, tau=0.0, num_responses=3) for name in ("dr_grpo", "rloo")
    )
    np.testing.assert_allclose(found, 2 / 3 * expected, rtol=0, atol=1e-13)
    assert np.abs(found).max() > 1e-3


def test_reinforce_plus_plus_is_rl_in_another_unit_on_the_first_epoch():
    found, expected = (
        gradient("reinforce_plus_plus", tau=0.3, num_epochs=1),
        gradient("rl", tau=0.3),
    )
    unit = np.linalg.norm(expected) / np.linalg.norm(found)
    assert 0.1 < unit < 2 and abs(unit - 1) > 0.05
    np.testing.assert_allclose(unit * found, expected, rtol=0, atol=1e-13)


def test_grpo_of_responses_that_are_equally_good_teaches_its_penalty_alone():
    held, free = (
        gradient("grpo", np.full(7, 0.3), tau=tau, num_responses=3)
        for tau in (0.3, 0.0)
    )
    assert np.isfinite(held).all() and np.abs(held).max() > 1e-3
    np.testing.assert_allclose(free, 0.0, atol=1e-11)


def started(method):
    """A state in which every policy, a table, is another one."""
    return token_game.moved_state(method, token_game.TABULAR, scale=1.2)


def gradient(name, values=None, **settings):
    with jax.enable_x64(True):
        method = algorithms.configure(name, **settings)
        state = started(method)
        if name == "dice":
            # Its anchor is the iterate; before its first move that is the reference.
            frozen = state.frozen | {"iterate": state.reference}
            state = dataclasses.replace(state, frozen=frozen)
        found = token_game.expected_gradient(
            method, state, values, policy=token_game.TABULAR
        )
        # Heads come first, and have no share in it.
        return found[-jax.flatten_util.ravel_pytree(state.params)[0].size :]


BRADLEY_TERRY = games.from_rewards(token_game.rewards())


@pytest.mark.parametrize(
    "name, settings, simpler, its, values",
    [
        ("ipo_md", {"tau": 0.4, "mix": 0.0}, "online_ipo", {"tau": 0.4}, P),
        ("nash_md_pg", {"tau": 0.3, "mix": 0.0}, "self_play_pg", {"tau": 0.3}, P),
        ("nash_md_pg", {"tau": 0.3, "mix": 1.0}, "best_response_pg", {"tau": 0.3}, P),
        ("spo", {"tau": 0.3}, "self_play_pg", {"tau": 0.3}, P),
        ("rloo", {"tau": 0.3}, "rl", {"tau": 0.3}, None),
        (
            "ppo",
            {"tau": 0.3, "trace": 1.0, "value": 0.0, "num_epochs": 1},
            "rl",
            {"tau": 0.3},
            None,
        ),
        ("sail_dpp", {"tau": 0.7, "share": 0.0}, "dpo", {"tau": 0.7}, HARD),
        (
            "sail_dpr",
            {"tau": 0.7, "share": 1.0, "rho": 0.0},
            "oaif_dpo",
            {"tau": 0.7},
            P,
        ),
        ("preference_degree", {"tau": 0.7, "degree": 0.0}, "dpo", {"tau": 0.7}, P),
        (
            "soft_po_ranked",
            {"tau": 0.3, "alpha": 0.7, "num_responses": 2},
            "soft_po",
            {"tau": 0.3, "alpha": 0.7},
            BRADLEY_TERRY,
        ),
        (
            "dice",
            {"tau": 0.7, "replay": 1.0, "num_responses": 2},
            "dpo",
            {"tau": 0.7},
            P,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_methods_expected_update_at_its_end_is_that_of_a_simpler_one(
    name, settings, simpler, its, values
):
    reads_rewards = algorithms.TABLE[name].method.annotation == "reward"
    found = gradient(name, None if reads_rewards else values, **settings)
    expected = gradient(simpler, values, **its)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_likelihood_of_ones_own_responses_teaches_nothing_until_the_best_is_chosen():
    with jax.enable_x64(True):
        found = {}
        for number in (1, 2):
            method = algorithms.configure("raft", num_responses=number)
            state = started(method)
            frozen = state.frozen | {"iterate": state.params}
            state = dataclasses.replace(state, frozen=frozen)
            slope = token_game.expected_gradient(
                method, state, policy=token_game.TABULAR
            )
            found[number] = np.abs(slope).max()
    assert found[1] < 1e-15 and found[2] > 1e-2


def test_ipo_md_without_mixing_draws_what_online_ipo_draws():
    state, prompts = token_game.moved_state(), token_game.prompts(range(30))
    setup = token_game.setup(token_game.POLICY)
    draw = token_game.compiled(
        lambda method: algorithms.rollout(method, setup, state, prompts)
    )
    mixed = draw(algorithms.configure("ipo_md", mix=0.0))
    plain = draw(algorithms.configure("online_ipo"))
    chex.assert_trees_all_equal(mixed.responses, plain.responses)
    chex.assert_trees_all_close(mixed, plain, atol=1e-5)


def test_comal_with_one_inner_step_is_multiplicative_weights_in_the_exact_game():
    preference, reference = games.three_cycle(), np.array([0.2, 0.5, 0.3])
    solvers = (
        games.comal(tau=0.3, eta=0.5, num_inner=1),
        games.mirror_descent(tau=0.0, eta=0.5),
    )
    states = [solver.init(reference) for solver in solvers]
    for _ in range(5):
        states = [
            solver.update(state, preference)
            for solver, state in zip(solvers, states, strict=True)
        ]
    np.testing.assert_allclose(*[np.asarray(s.log_policy) for s in states], atol=1e-6)
