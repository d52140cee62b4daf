"""Every dynamics' step against its definition: the problem it solves, solved otherwise.

A definition is given the policies so far, from the reference on, and returns the next.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from nashalign import games

PREFERENCE = games.random_preference(0, 4)
REFERENCE = np.array([0.1, 0.5, 0.15, 0.25])
REWARDS = np.array([0.3, -0.2, 1.1, 0.4])
TAU, ETA, PAPER_ETA = 0.2, 1.5, 0.8
# Pairs may come from anywhere in DNO's objective.
FIRST, SECOND = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.3, 0.5]])


def kl(p, q):
    """Returns KL(p || q)."""
    return p @ (np.log(p) - np.log(q))


def mixture(p, q, weight):
    """Returns the geometric mixture with a weight on q."""
    unnormalised = p ** (1 - weight) * q**weight
    return unnormalised / unnormalised.sum()


def best(objective, start):
    """Returns the policy that maximises an objective, from its logits."""
    found = scipy.optimize.minimize(
        lambda logits: -objective(scipy.special.softmax(logits)),
        np.log(start),
        method="BFGS",
        tol=1e-12,
    )
    return scipy.special.softmax(found.x)


def wins(opponent):
    """Returns P(y > opponent)."""
    return PREFERENCE @ opponent


def proximal(policy, opponent, reference=REFERENCE, tau=TAU, eta=ETA):
    """Returns argmax_p P(p > opponent) - tau KL(p||mu) - (1/eta - tau) KL(p||pi)."""
    return best(
        lambda p: (
            p @ wins(opponent)
            - tau * kl(p, reference)
            - (1 / eta - tau) * kl(p, policy)
        ),
        policy,
    )


def pairs(loss, y, z):
    """Returns minus the sum of a loss of margins over pairs drawn from y and z."""

    def objective(margin):
        return -np.einsum("y,yz,z->", y, loss(margin[:, None] - margin[None, :]), z)

    return objective


def inpo(past):
    policy = past[-1]
    anchor = mixture(policy, REFERENCE, TAU / PAPER_ETA)
    target = (PREFERENCE - 0.5) / PAPER_ETA
    objective = pairs(lambda h: (h - target) ** 2, policy, policy)
    return best(lambda p: objective(np.log(p / anchor)), policy)


def dno(past):
    policy = past[-1]
    gap = wins(policy)[:, None] - wins(policy)[None, :]

    def entropy(h):
        soft = scipy.special.expit(gap)
        inner = PAPER_ETA * h
        return soft * np.log1p(np.exp(-inner)) + (1 - soft) * np.log1p(np.exp(inner))

    objective = pairs(entropy, FIRST, SECOND)
    return best(lambda p: objective(np.log(p / policy)), policy)


def nash_md(past):
    return proximal(past[-1], mixture(past[-1], REFERENCE, ETA * TAU))


def nash_ema(past):
    log_mean = np.log(REFERENCE)
    for policy in past:
        log_mean = 0.7 * log_mean + 0.3 * np.log(policy)
    return proximal(past[-1], scipy.special.softmax(log_mean))


def fictitious_play(past):
    return np.eye(4)[wins(np.mean(past, axis=0)).argmax()]


def smooth_fictitious_play(past):
    opponent = np.mean(past, axis=0)
    return best(lambda p: p @ wins(opponent) - TAU * kl(p, REFERENCE), past[-1])


def sppo(past):
    policy, target = past[-1], ETA * (wins(past[-1]) - 0.5)
    found = scipy.optimize.minimize(
        lambda p: policy @ (np.log(p / policy) - target) ** 2,
        policy,
        method="SLSQP",
        bounds=[(1e-6, 1)] * 4,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        tol=1e-14,
    )
    return found.x


def rebel(past):
    target = ETA * (REWARDS[:, None] - REWARDS[None, :])
    objective = pairs(lambda h: (h - target) ** 2, past[-1], past[-1])
    return best(lambda p: objective(np.log(p / past[-1])), past[-1])


def extragradient(past):
    return proximal(past[-1], proximal(past[-1], past[-1]))


def nash_mirror_prox(past):
    def half(opponent):
        return best(
            lambda p: (
                -(opponent @ PREFERENCE @ p) / TAU
                - kl(p, REFERENCE)
                - kl(p, past[-1]) / PAPER_ETA
            ),
            past[-1],
        )

    return half(half(past[-1]))


def follow(policy, gain):
    """Returns argmax_p eta <gain, p> - KL(p || policy)."""
    return best(lambda p: ETA * p @ gain - kl(p, policy), policy)


def onpo(past):
    slow = past[0]
    for policy in past:
        slow = follow(slow, wins(policy))
    return follow(slow, wins(past[-1]))


def omwu(past):
    before = past[max(len(past) - 2, 0)]
    return follow(past[-1], 2 * wins(past[-1]) - wins(before))


def comal(past):
    solved = past[2 * ((len(past) - 1) // 2)]
    return proximal(past[-1], past[-1], solved)


def magnetic_descent(past):
    magnet, gain = past[2 * ((len(past) - 1) // 2)], wins(past[-1])
    return best(
        lambda p: p @ gain - TAU * kl(p, magnet) - kl(p, past[-1]) / PAPER_ETA, past[-1]
    )


def rspo(regulariser):
    def definition(past):
        policy = past[-1]
        slope = [
            (regulariser(policy + step) - regulariser(policy - step)) / 2e-6
            for step in 1e-6 * np.eye(4)
        ]
        return follow(policy, wins(policy) - TAU * np.array(slope))

    return definition


def multiplayer(past):
    rivals = [past[max(len(past) - 1 - j, 0)] for j in range(3)]
    shares = (0.5, 0.3, 0.2)
    return best(
        lambda p: (
            sum(
                share * (p @ wins(q) - (1 / ETA - TAU) * kl(p, q))
                for share, q in zip(shares, rivals, strict=True)
            )
            - TAU * kl(p, REFERENCE)
        ),
        past[-1],
    )


def descend(loss, mix):
    """Returns the definition of a flow: down a loss of policy and writer, by slopes."""

    def definition(past):
        logits, writer = np.log(past[-1]), mixture(past[-1], REFERENCE, mix)
        softmax = scipy.special.softmax
        slope = [
            loss(softmax(logits + step), writer) - loss(softmax(logits - step), writer)
            for step in 1e-5 * np.eye(4)
        ]
        return softmax(logits - RATE * np.array(slope) / 2e-5)

    return definition


def pair_flow(loss_of_margin, mix=0.0):
    """Returns the definition of a flow of both orders of a pair, weighted by votes."""

    def loss(policy, writer):
        ratio = np.log(policy / REFERENCE)
        margin = ratio[:, None] - ratio[None, :]
        losses = PREFERENCE * loss_of_margin(margin)
        return writer @ (losses + PREFERENCE.T * loss_of_margin(-margin)) @ writer

    return descend(loss, mix)


def policy_gradient(mix):
    """Returns the definition of the flow of P(pi > w) - tau KL(pi || mu)."""
    return descend(
        lambda policy, writer: TAU * kl(policy, REFERENCE) - policy @ wins(writer), mix
    )


def squared(margin):
    return (margin - 1 / (2 * TAU)) ** 2


def logistic(margin):
    return np.log1p(np.exp(-TAU * margin))


def hinge(margin):
    return np.maximum(0, 1 - TAU * margin)


MIX, RATE = 0.3, 0.02
BOTH = {"tau": TAU, "eta": ETA}
FLOW = {"tau": TAU, "learning_rate": RATE}

STEPS = {
    "mirror_descent": (
        games.mirror_descent(**BOTH),
        lambda past: proximal(past[-1], past[-1]),
    ),
    "mirror_descent without a reference": (
        games.mirror_descent(tau=0.0, eta=ETA),
        lambda past: proximal(past[-1], past[-1], tau=0.0),
    ),
    "inpo": (games.inpo(tau=TAU, paper_eta=PAPER_ETA), inpo),
    "dno": (games.dno(paper_eta=PAPER_ETA), dno),
    "nash_md": (games.nash_md(**BOTH), nash_md),
    "nash_ema": (games.nash_ema(**BOTH, decay=0.7), nash_ema),
    "fictitious_play": (games.fictitious_play(), fictitious_play),
    "smooth fictitious_play": (games.fictitious_play(tau=TAU), smooth_fictitious_play),
    "sppo": (games.sppo(eta=ETA), sppo),
    "rebel": (games.rebel(rewards=REWARDS, eta=ETA), rebel),
    "extragradient": (games.extragradient(**BOTH), extragradient),
    "nash_mirror_prox": (
        games.nash_mirror_prox(tau=TAU, paper_eta=PAPER_ETA),
        nash_mirror_prox,
    ),
    "onpo": (games.onpo(eta=ETA), onpo),
    "omwu": (games.omwu(eta=ETA), omwu),
    "comal": (games.comal(**BOTH, num_inner=2), comal),
    "magnetic_descent": (
        games.magnetic_descent(tau=TAU, paper_eta=PAPER_ETA, num_inner=2),
        magnetic_descent,
    ),
    "rspo, reverse KL": (games.rspo(**BOTH), rspo(lambda p: kl(p, REFERENCE))),
    "rspo, forward KL": (
        games.rspo(**BOTH, slope=games.forward_kl),
        rspo(lambda p: kl(REFERENCE, p)),
    ),
    "rspo, chi squared": (
        games.rspo(**BOTH, slope=games.chi_squared),
        rspo(lambda p: np.sum((p - REFERENCE) ** 2 / REFERENCE)),
    ),
    "multiplayer": (games.multiplayer(**BOTH, weights=(0.5, 0.3, 0.2)), multiplayer),
    "online_ipo": (games.online_ipo(**FLOW), pair_flow(squared)),
    "ipo_md": (games.ipo_md(**FLOW, mix=MIX), pair_flow(squared, MIX)),
    "online_dpo": (games.online_dpo(**FLOW), pair_flow(logistic)),
    "online_slic": (games.online_slic(**FLOW), pair_flow(hinge)),
    "nash_md_pg": (games.nash_md_pg(**FLOW, mix=MIX), policy_gradient(MIX)),
    "self_play_pg": (games.self_play_pg(**FLOW), policy_gradient(0.0)),
}


@pytest.mark.parametrize("solver, definition", STEPS.values(), ids=STEPS)
def test_every_step_solves_the_problem_that_defines_it(solver, definition):
    with jax.enable_x64(True):
        state, past = solver.init(REFERENCE), [REFERENCE]
        for _ in range(5):
            state = solver.update(state, PREFERENCE)
            expected = definition(past)
            past.append(np.exp(np.asarray(state.log_policy)))
            np.testing.assert_allclose(past[-1], expected, atol=3e-7)
            assert np.abs(past[-1] - past[-2]).max() > 1e-4 or len(past) > 2
    np.testing.assert_allclose(state.average, np.mean(past, axis=0), atol=1e-14)
    assert state.step == 5


@pytest.mark.parametrize("solver", [row[0] for row in STEPS.values()], ids=STEPS)
def test_every_solver_starts_at_its_reference(solver):
    state = solver.init(REFERENCE)
    np.testing.assert_allclose(np.exp(state.log_policy), REFERENCE, rtol=1e-6)
    np.testing.assert_array_equal(state.log_policy, state.log_reference)
    np.testing.assert_array_equal(state.average, REFERENCE.astype(np.float32))
    assert state.step == 0


@pytest.mark.parametrize("solver", [row[0] for row in STEPS.values()], ids=STEPS)
def test_every_solver_runs_compiled_in_the_precision_of_its_reference(solver):
    start = solver.init(REFERENCE.astype(np.float32))
    single = jax.jit(
        games.run, static_argnums=0, static_argnames=("num_steps", "every")
    )
    single, _ = single(solver, start, PREFERENCE, num_steps=20, every=20)
    with jax.enable_x64(True):
        start = solver.init(REFERENCE)
        double, _ = games.run(solver, start, PREFERENCE, num_steps=20, every=20)
    for name in ("log_policy", "log_reference", "average"):
        assert getattr(single, name).dtype == jnp.float32
        assert getattr(double, name).dtype == jnp.float64
    np.testing.assert_allclose(single.average, double.average, atol=2e-5)


@pytest.mark.parametrize("solver", [row[0] for row in STEPS.values()], ids=STEPS)
def test_games_of_a_batch_do_not_know_of_each_other(solver):
    preference = games.random_preference(1, (2, 3, 4))
    reference = np.random.default_rng(1).dirichlet(np.full(4, 3.0), size=(2, 3))

    @jax.jit
    def third(reference, preference):
        start = solver.init(reference)
        return games.run(solver, start, preference, num_steps=3)[1][-1]

    together = third(reference, preference)
    alone = third(reference[1, 2], preference[1, 2])
    np.testing.assert_allclose(together[1, 2], alone, atol=2e-5)
    mapped = jax.jit(jax.vmap(third))(reference, preference)
    np.testing.assert_allclose(mapped, together, atol=2e-5)


def weighted(tau, eta):
    return games.multiplayer(tau=tau, eta=eta, weights=(0.6, 0.4))


FACTORIES = {
    "mirror_descent": lambda tau, eta: games.mirror_descent(tau=tau, eta=eta),
    "inpo": lambda tau, eta: games.inpo(tau=tau, paper_eta=eta),
    "dno": lambda tau, eta: games.dno(paper_eta=eta),
    "nash_md": lambda tau, eta: games.nash_md(tau=tau, eta=eta),
    "nash_ema": lambda tau, eta: games.nash_ema(tau=tau, eta=1.0, decay=eta),
    "sppo": lambda tau, eta: games.sppo(eta=eta),
    "rebel": lambda tau, eta: games.rebel(rewards=REWARDS, eta=eta),
    "extragradient": lambda tau, eta: games.extragradient(tau=tau, eta=eta),
    "nash_mirror_prox": lambda tau, eta: games.nash_mirror_prox(tau=tau, paper_eta=eta),
    "onpo": lambda tau, eta: games.onpo(eta=eta),
    "omwu": lambda tau, eta: games.omwu(eta=eta),
    "comal": lambda tau, eta: games.comal(tau=tau, eta=eta, num_inner=2),
    "magnetic_descent": lambda tau, eta: games.magnetic_descent(
        tau=tau, paper_eta=eta, num_inner=2
    ),
    "rspo": lambda tau, eta: games.rspo(tau=tau, eta=eta, slope=games.forward_kl),
    "multiplayer": weighted,
    "online_ipo": lambda tau, eta: games.online_ipo(tau=tau, learning_rate=0.1 * eta),
    "ipo_md": lambda tau, eta: games.ipo_md(tau=tau, mix=eta, learning_rate=0.05),
    "online_dpo": lambda tau, eta: games.online_dpo(tau=tau, learning_rate=eta),
    "online_slic": lambda tau, eta: games.online_slic(tau=tau, learning_rate=eta),
    "nash_md_pg": lambda tau, eta: games.nash_md_pg(
        tau=tau, mix=eta, learning_rate=1.0
    ),
    "self_play_pg": lambda tau, eta: games.self_play_pg(tau=tau, learning_rate=eta),
}


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
def test_hyperparameters_can_be_mapped_over(factory):
    settings = {"tau": np.array([0.3, 0.6]), "eta": np.array([0.4, 0.8])}
    reference = REFERENCE.astype(np.float32)
    state, _ = games.sweep(
        factory,
        settings,
        PREFERENCE[None].astype(np.float32),
        reference[None],
        num_steps=3,
        every=3,
    )
    for index in range(2):
        solver = factory(settings["tau"][index], settings["eta"][index])
        alone = solver.init(reference)
        for _ in range(3):
            alone = solver.update(alone, PREFERENCE)
        np.testing.assert_allclose(state.average[index, 0], alone.average, atol=1e-5)
    assert np.abs(state.average[0] - state.average[1]).max() > 1e-4
