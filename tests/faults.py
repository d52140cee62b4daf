"""Seeded faults: what the tests are for, one row each, and whether they notice.

    python -m tests.faults             every fault
    python -m tests.faults ipo cache   those with one of these words in their name

Each fault is applied to a copy of the repository, and the tests that should catch it
are run there. Faults that survive are printed, and make the command fail. Run it when
a test or the code of a row has changed; it takes about a quarter of an hour on 2 cores.
`tests/faults_test.py` checks in every run that the rows still fit the code.
"""

import dataclasses
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]

DECODING = "nashalign/sampling/decoding.py"
ENUMERATION = "nashalign/sampling/enumeration.py"
POLICY = "nashalign/policies/policy.py"
LOGITS = "nashalign/policies/logits.py"
LLAMA = "nashalign/policies/llama.py"
PAIRWISE = "nashalign/losses/pairwise.py"
POLICY_GRADIENT = "nashalign/losses/policy_gradient.py"
METHOD = "nashalign/algorithms/method.py"
TABLE = "nashalign/algorithms/table.py"
UPDATE = "nashalign/algorithms/update.py"

DECODING_TEST = "tests/sampling/decoding_test.py"
ENUMERATION_TEST = "tests/sampling/enumeration_test.py"
FIXED_POINTS_TEST = "tests/algorithms/fixed_points_test.py"
GRADIENTS_TEST = "tests/algorithms/gradients_test.py"
UPDATE_TEST = "tests/algorithms/update_test.py"
DEVICES_TEST = "tests/algorithms/devices_test.py"
POLICY_TEST = "tests/policies/policy_test.py"

GAMES = "nashalign/games"
DYNAMICS = f"{GAMES}/dynamics.py"
MIRROR = f"{GAMES}/mirror.py"
REGRESSIONS = f"{GAMES}/regressions.py"
OPTIMISTIC = f"{GAMES}/optimistic.py"
PROXIMAL = f"{GAMES}/proximal.py"
FLOWS = f"{GAMES}/gradient_flows.py"
REGULARIZED = f"{GAMES}/regularized.py"
DYNAMICS_TEST = "tests/games/dynamics_test.py"


@dataclasses.dataclass(frozen=True)
class Fault:
    """One wrong line.

    Attributes:
      name: what is wrong.
      path: the file, from the repository's root.
      old: its text, which occurs there once.
      new: the fault.
      tests: arguments of pytest: the tests that should catch it.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str


def expected(row):
    """The test of a row's gradient against its objective's definition."""
    return f"{GRADIENTS_TEST} -k 'enumerated_objective and {row}'"


def step(dynamics):
    """The test of a dynamics' step against the problem that defines it."""
    return f"tests/games/steps_test.py -k 'every_step and {dynamics}'"


FAULTS = [
    # Sampling.
    Fault(
        "key reused across positions",
        DECODING,
        "keys = _fold(keys, loop.position)",
        "keys = _fold(keys, 0)",
        f"{DECODING_TEST} -k frequencies",
    ),
    Fault(
        "key reused across responses",
        DECODING,
        "indices = jnp.arange(num_responses)",
        "indices = jnp.zeros(num_responses, jnp.int32)",
        f"{DECODING_TEST} -k frequencies",
    ),
    Fault(
        "key that ignores the example",
        DECODING,
        "fold_in, (None, 0))(key, ids)",
        "fold_in, (None, 0))(key, 0 * ids)",
        f"{DECODING_TEST} -k frequencies",
    ),
    Fault(
        "key by place in the batch",
        DECODING,
        "fold_in, (None, 0))(key, ids)",
        "fold_in, (None, 0))(key, jnp.arange(ids.size))",
        f"{DECODING_TEST} -k depends_on_key",
    ),
    Fault(
        "one cache for two models",
        DECODING,
        "loop.alive.reshape(-1, 1), loop.caches[name]",
        'loop.alive.reshape(-1, 1), loop.caches["policy"]',
        f"{DECODING_TEST} -k full_recompute",
    ),
    Fault(
        "last prompt token read twice",
        DECODING,
        "num_prompt_tokens=prompts.tokens.shape[1] - 1,",
        "num_prompt_tokens=prompts.tokens.shape[1],",
        f"{DECODING_TEST} -k full_recompute",
    ),
    Fault(
        "EOS left out of the mask",
        DECODING,
        "mask=write(loop.mask, loop.alive),",
        "mask=write(loop.mask, loop.alive & (tokens != decoding.eos_id)),",
        f"{DECODING_TEST} -k first_eos",
    ),
    Fault(
        "one token written after EOS",
        DECODING,
        "alive=loop.alive & (tokens != decoding.eos_id),",
        "alive=loop.alive & (loop.last.reshape(tokens.shape) != decoding.eos_id),",
        f"{DECODING_TEST} -k first_eos",
    ),
    Fault(
        "ended responses marked as cut",
        DECODING,
        "truncated=end.alive)",
        "truncated=~end.alive)",
        f"{DECODING_TEST} -k first_eos",
    ),
    Fault(
        "no early exit",
        DECODING,
        "(loop.position < decoding.max_length) & jnp.any(loop.alive)",
        "loop.position < decoding.max_length",
        f"{DECODING_TEST} -k stops",
    ),
    Fault(
        "temperature left out",
        DECODING,
        "keys, behaviour(logits) / decoding.temperature",
        "keys, behaviour(logits)",
        f"{DECODING_TEST} -k temperature",
    ),
    Fault(
        "temperature in the log-probabilities",
        DECODING,
        "_log_prob(values, tokens), 0.0)",
        "_log_prob(values / decoding.temperature, tokens), 0.0)",
        f"{DECODING_TEST} -k temperature",
    ),
    Fault(
        "swapped mixture weights",
        LOGITS,
        "(1 - mix) * policy_logits + mix * reference_logits",
        "mix * policy_logits + (1 - mix) * reference_logits",
        f"{DECODING_TEST} -k 'frequencies_are or full_recompute'",
    ),
    Fault(
        "enumeration without cut responses",
        ENUMERATION,
        "cut = list(itertools.product(others, repeat=max_length))",
        "cut = []",
        ENUMERATION_TEST,
    ),
    Fault(
        "EOS left out of an enumerated sum",
        ENUMERATION,
        "np.arange(max_length) < lengths[:, None])",
        "np.arange(max_length) < lengths[:, None] - 1)",
        ENUMERATION_TEST,
    ),
    Fault(
        "enumerated tokens predicted from themselves",
        ENUMERATION,
        "[:, width - 1 : -1]",
        "[:, width:]",
        f"{ENUMERATION_TEST} -k exact",
    ),
    # Policies.
    Fault(
        "mask off by one",
        POLICY,
        "jnp.where(responses.mask, jnp.concatenate(chunks, -1), 0.0)",
        "jnp.where(jnp.pad(responses.mask[..., 1:], ((0, 0), (0, 0), (0, 1))), "
        "jnp.concatenate(chunks, -1), 0.0)",
        expected("online_ipo"),
    ),
    Fault(
        "padding in the sum",
        POLICY,
        "jnp.where(responses.mask, jnp.concatenate(chunks, -1), 0.0)",
        "jnp.concatenate(chunks, -1)",
        expected("online_ipo"),
    ),
    Fault(
        "token predicted from itself",
        POLICY,
        "tokens = jnp.concatenate([last, responses.tokens[..., :-1]], -1)",
        "tokens = responses.tokens",
        f"{POLICY_TEST} -k full_forward_pass",
    ),
    Fault(
        "attention to the next token",
        LLAMA,
        "(slots <= own_slots)",
        "(slots <= own_slots + 1)",
        f"{POLICY_TEST} -k later_tokens",
    ),
    Fault(
        "attention to padding",
        LLAMA,
        "visible = seen[:, None, :] & (slots",
        "visible = (slots",
        f"{POLICY_TEST} -k padding",
    ),
    Fault(
        "positions from slots instead of the mask",
        LLAMA,
        "positions = jnp.cumsum(seen, -1) - 1",
        "positions = jnp.broadcast_to(jnp.arange(seen.shape[1])[None], seen.shape)",
        "tests/policies/positions_test.py",
    ),
    Fault(
        "wrong base of the rotary positions",
        LLAMA,
        "config.rope_theta ** (",
        "1_000.0 ** (",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "rotation the wrong way round",
        LLAMA,
        "[a * cosine - b * sine, b * cosine + a * sine]",
        "[a * cosine - b * sine, b * cosine - a * sine]",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    # Losses.
    Fault(
        "IPO's factor 2",
        PAIRWISE,
        "(preferred - 0.5) / tau",
        "(2 * preferred - 1) / tau",
        expected("online_ipo"),
    ),
    Fault(
        "DPO's sign",
        PAIRWISE,
        "jax.nn.log_sigmoid(scaled), jax.nn.log_sigmoid(-scaled)",
        "jax.nn.log_sigmoid(-scaled), jax.nn.log_sigmoid(scaled)",
        expected("online_dpo"),
    ),
    Fault(
        "SLiC's margin",
        PAIRWISE,
        "jax.nn.relu(1 - scaled), jax.nn.relu(1 + scaled)",
        "jax.nn.relu(2 - scaled), jax.nn.relu(2 + scaled)",
        expected("online_slic"),
    ),
    Fault(
        "KL's sign in the policy gradient",
        POLICY_GRADIENT,
        "advantage[..., None] - tau * to_go",
        "advantage[..., None] + tau * to_go",
        expected("nash_md_pg"),
    ),
    Fault(
        "KL of the same token only",
        POLICY_GRADIENT,
        "to_go = jnp.flip(jnp.cumsum(jnp.flip(ratios, -1), -1), -1)",
        "to_go = ratios",
        expected("nash_md_pg"),
    ),
    Fault(
        "KL of earlier tokens",
        POLICY_GRADIENT,
        "to_go = jnp.flip(jnp.cumsum(jnp.flip(ratios, -1), -1), -1)",
        "to_go = jnp.cumsum(ratios, -1)",
        expected("rl"),
    ),
    Fault(
        "advantage that is differentiated",
        POLICY_GRADIENT,
        "jax.lax.stop_gradient(advantage[..., None] - tau * to_go)",
        "advantage[..., None] - tau * to_go",
        expected("rl"),
    ),
    # Algorithms.
    Fault(
        "reference left out of the margin",
        METHOD,
        "log_probs - sum(w * groups",
        "log_probs - 0 * sum(w * groups",
        expected("online_ipo"),
    ),
    Fault(
        "mean over tokens instead of the sum",
        METHOD,
        "    return jnp.sum(\n        log_probs - sum(",
        "    return jnp.mean(\n        log_probs - sum(",
        expected("online_ipo"),
    ),
    Fault(
        "margin of z over y",
        METHOD,
        "ratios[..., 0] - ratios[..., 1]",
        "ratios[..., 1] - ratios[..., 0]",
        expected("online_slic"),
    ),
    Fault(
        "preference for z over y",
        METHOD,
        "_take_pairs(groups.preference, y, z)",
        "_take_pairs(groups.preference, z, y)",
        expected("ipo_md"),
    ),
    Fault(
        "members and opponents swapped",
        METHOD,
        "_take_pairs(groups.preference, groups.members, groups.opponents)",
        "_take_pairs(groups.preference, groups.opponents, groups.members)",
        expected("nash_md_pg"),
    ),
    Fault(
        "advantage 1/2 - P",
        METHOD,
        "groups, jnp.mean(wins, -1) - 0.5)",
        "groups, 0.5 - jnp.mean(wins, -1))",
        expected("nash_md_pg"),
    ),
    Fault(
        "no baseline",
        METHOD,
        "groups, jnp.mean(wins, -1) - 0.5)",
        "groups, jnp.mean(wins, -1))",
        "tests/algorithms/golden_test.py -k nash_md_pg",
    ),
    Fault(
        "a reward in its own baseline",
        METHOD,
        "jnp.sum(rewards, -1, keepdims=True) - rewards",
        "jnp.sum(rewards, -1, keepdims=True)",
        expected("rl"),
    ),
    Fault(
        "policy and mixture swapped in Nash-MD-PG",
        TABLE,
        "authors=(policy, mixture)",
        "authors=(mixture, policy)",
        expected("nash_md_pg"),
    ),
    Fault(
        "only one of IPO-MD's responses from the mixture",
        TABLE,
        "authors=(mixture, mixture)",
        "authors=(policy, mixture)",
        expected("ipo_md"),
    ),
    Fault(
        "policy that writes as the mixture does",
        METHOD,
        '    return {"policy": 1.0}',
        '    return {"reference": 1.0}',
        f"{FIXED_POINTS_TEST} -k 'predicted and nash_md_pg'",
    ),
    Fault(
        "half of the IPO loss",
        PAIRWISE,
        "return (margin - (preferred - 0.5) / tau) ** 2",
        "return (margin - (preferred - 0.5) / tau) ** 2 / 2",
        f"{FIXED_POINTS_TEST} -k self_play",
    ),
    Fault(
        "IPO's loss in DPO's row",
        TABLE,
        "loss=contrastive(losses.dpo)",
        "loss=contrastive(losses.ipo)",
        f"{FIXED_POINTS_TEST} -k 'stays and online_dpo'",
    ),
    Fault(
        "settings that are constants of the program",
        METHOD,
        "    settings: dict[str, chex.Numeric]\n    anchor",
        "    settings: dict = dataclasses.field(metadata={'static': True})\n    anchor",
        "tests/algorithms/table_test.py -k leaves",
    ),
    Fault(
        "tau = 0 where it divides",
        TABLE,
        "if method.divides_by_tau and method.tau == 0:",
        "if False:",
        "tests/algorithms/table_test.py -k wrong_setting",
    ),
    Fault(
        "mix that is not a number",
        TABLE,
        '        lambda value: 0 <= value <= 1,\n    ),\n    "eta"',
        '        lambda value: not (value < 0 or value > 1),\n    ),\n    "eta"',
        "tests/algorithms/table_test.py -k wrong_setting",
    ),
    Fault(
        "reference not frozen",
        UPDATE,
        "frozen=_refreshed(method, step, state.frozen, params),",
        "frozen=dict.fromkeys(state.frozen, params),",
        f"{UPDATE_TEST} -k leaves_the_rest",
    ),
    Fault(
        "policy in the reference's place in a rollout",
        UPDATE,
        "policies.log_probs(setup.policy, state.frozen[name], prompts, responses)",
        "policies.log_probs(setup.policy, state.params, prompts, responses)",
        f"{UPDATE_TEST} -k reference_thinks",
    ),
    Fault(
        "policy in the reference's place in the mixture",
        UPDATE,
        '{"policy": jax.lax.stop_gradient(state.params), **state.frozen}',
        '{"policy": state.params, **dict.fromkeys(state.frozen, state.params)}',
        f"{UPDATE_TEST} -k reference_thinks",
    ),
    Fault(
        "no complement in the preference",
        UPDATE,
        ".set(1 - preferred)",
        ".set(preferred)",
        f"{UPDATE_TEST} -k complement",
    ),
    Fault(
        "probabilities that are trained through",
        UPDATE,
        "return jnp.sum(groups.probability * per_group), log_probs",
        "ratio = jnp.sum(log_probs - jax.lax.stop_gradient(log_probs), -1)\n"
        "        ratio = jax.vmap(lambda r, i: r[i])(ratio, groups.members)\n"
        "        trained = groups.probability * jnp.exp(jnp.sum(ratio, -1))\n"
        "        return jnp.sum(trained * per_group), log_probs",
        expected("online_ipo"),
    ),
    Fault(
        "denominator not reduced",
        UPDATE,
        "loss, gradient, weight = reduce((loss, gradient, "
        "jnp.sum(groups.probability)))",
        "loss, gradient = reduce((loss, gradient))\n"
        "    weight = jnp.sum(groups.probability)",
        f"{DEVICES_TEST} -k pmap-online_ipo",
    ),
    Fault(
        "gradient not reduced",
        UPDATE,
        "loss, gradient, weight = reduce((loss, gradient, "
        "jnp.sum(groups.probability)))",
        "weight = jnp.sum(groups.probability)",
        f"{DEVICES_TEST} -k pmap-online_ipo",
    ),
    Fault(
        "number of responses not reduced",
        UPDATE,
        "sums, count = reduce((sums, jnp.asarray(responses.truncated.size)))",
        "sums, count = reduce(sums), responses.truncated.size",
        f"{DEVICES_TEST} -k pmap-online_ipo",
    ),
    Fault(
        "sum over groups instead of the mean",
        UPDATE,
        "jax.tree.map(lambda g: g / weight, gradient)",
        "gradient",
        expected("online_ipo"),
    ),
    Fault(
        "one key for every step",
        UPDATE,
        "jax.random.split(jax.random.fold_in(state.key, state.step))",
        "jax.random.split(state.key)",
        f"{UPDATE_TEST} -k draws_anew",
    ),
    Fault(
        "iterate that never moves",
        METHOD,
        'jnp.where(step % settings["period"] == 0, policy, frozen)',
        "frozen",
        f"{UPDATE_TEST} -k every_stage",
    ),
    Fault(
        "reference that moves with the iterate",
        METHOD,
        'length = settings["period"] * settings["num_inner"]',
        'length = settings["period"]',
        f"{UPDATE_TEST} -k every_stage",
    ),
    Fault(
        "average that keeps the new instead of the old",
        METHOD,
        'frozen + (1 - settings["decay"])',
        'frozen + settings["decay"]',
        f"{UPDATE_TEST} -k running_mean",
    ),
    Fault(
        "anchor weights swapped in a mirror step",
        METHOD,
        '{"iterate": 1 - weight, "reference": weight}',
        '{"iterate": weight, "reference": 1 - weight}',
        expected("inpo"),
    ),
    Fault(
        "INPO's target with eta for its inverse",
        METHOD,
        'return 1 / settings["eta"]',
        'return settings["eta"]',
        expected("inpo"),
    ),
    Fault(
        "REBEL without its step",
        METHOD,
        'margin - method.settings["eta"] * gap',
        "margin - gap",
        expected("rebel"),
    ),
    Fault(
        "SPPO's win rate without the response itself",
        METHOD,
        'method.settings["eta"] * (jnp.mean(wins, -1) - 0.5)',
        'method.settings["eta"] * 5 / 4 * (jnp.mean(wins, -1) - 0.5)',
        expected("sppo"),
    ),
    Fault(
        "SPO's win rate with the response itself",
        METHOD,
        "others / (wins.shape[-1] - 1) - 0.5",
        "jnp.mean(wins, -1) - 0.5",
        expected("spo"),
    ),
    Fault(
        "steps that are not counted",
        UPDATE,
        "params, step = optax.apply_updates(state.params, updates), state.step + 1",
        "params, step = optax.apply_updates(state.params, updates), state.step",
        f"{UPDATE_TEST} -k leaves_the_rest",
    ),
    # Exact games: every dynamics, and what answers are held against.
    Fault(
        "the average forgets the first policy",
        DYNAMICS,
        "weight = 1 / (state.step + 2)",
        "weight = 1 / (state.step + 1)",
        step("mirror_descent"),
    ),
    Fault(
        "anchor weights swapped",
        DYNAMICS,
        "(1 - weight) * log_policy + weight * log_reference",
        "weight * log_policy + (1 - weight) * log_reference",
        step("inpo"),
    ),
    Fault(
        "both orders of a pair voted on apart",
        DYNAMICS,
        "lower = jnp.tril(1 - jnp.swapaxes(upper, -1, -2), -1)",
        "lower = jnp.tril(votes / num_votes, -1)",
        f"{DYNAMICS_TEST} -k votes_are_drawn",
    ),
    Fault(
        "the same votes at every step",
        DYNAMICS,
        "jax.random.fold_in(key, state.step)",
        "jax.random.fold_in(key, 0)",
        f"{DYNAMICS_TEST} -k votes_are_drawn",
    ),
    Fault(
        "mirror descent against the mixture",
        MIRROR,
        "_solver(tau, eta, lambda policy, anchor: policy)",
        "_solver(tau, eta, lambda policy, anchor: anchor)",
        step("mirror_descent"),
    ),
    Fault(
        "INPO's step taken for its inverse",
        MIRROR,
        "eta=dynamics.converted(paper_eta, _inverse))\n\n\ndef dno",
        "eta=paper_eta)\n\n\ndef dno",
        step("inpo"),
    ),
    Fault(
        "DNO's step taken for its inverse",
        MIRROR,
        "tau=0.0, eta=dynamics.converted(paper_eta, _inverse)",
        "tau=0.0, eta=paper_eta",
        step("dno"),
    ),
    Fault(
        "Nash-MD against the policy",
        MIRROR,
        "_solver(tau, eta, lambda policy, anchor: anchor)",
        "_solver(tau, eta, lambda policy, anchor: policy)",
        step("nash_md"),
    ),
    Fault(
        "Nash-EMA's mean starts over at the reference",
        MIRROR,
        "mean = decay * state.memory",
        "mean = decay * state.log_reference",
        step("nash_ema"),
    ),
    Fault(
        "fictitious play against the last policy",
        MIRROR,
        "measures.win_rates(preference, state.average)",
        "measures.win_rates(preference, jnp.exp(state.log_policy))",
        step("fictitious_play"),
    ),
    Fault(
        "SPPO's target not centred",
        REGRESSIONS,
        "* (wins - 0.5)",
        "* wins",
        step("sppo"),
    ),
    Fault(
        "SPPO normalised afterwards",
        REGRESSIONS,
        "return solution((low + high) / 2)",
        "return target",
        step("sppo"),
    ),
    Fault(
        "REBEL's rewards without their step",
        REGRESSIONS,
        "gain = step * jnp",
        "gain = jnp",
        step("rebel"),
    ),
    Fault(
        "extragradient without its half step",
        OPTIMISTIC,
        "respond(respond(state.log_policy))",
        "respond(state.log_policy)",
        step("extragradient"),
    ),
    Fault(
        "Nash mirror prox with the paper's step",
        OPTIMISTIC,
        "lambda eta: eta / ((1 + eta) * tau)",
        "lambda eta: eta",
        step("nash_mirror_prox"),
    ),
    Fault(
        "ONPO predicts from the fast policy",
        OPTIMISTIC,
        "jax.nn.log_softmax(state.memory + step * wins)",
        "jax.nn.log_softmax(state.log_policy + step * wins)",
        step("onpo"),
    ),
    Fault(
        "OMWU's prediction has the wrong sign",
        OPTIMISTIC,
        "2 * wins - before",
        "before",
        step("omwu"),
    ),
    Fault(
        "OMWU's first step is twice as long",
        OPTIMISTIC,
        "jnp.where(state.step == 0, wins, state.memory)",
        "state.memory",
        step("omwu"),
    ),
    Fault(
        "COMAL's reference moves a step late",
        PROXIMAL,
        "after.step % num_inner == 0",
        "state.step % num_inner == 0",
        step("comal"),
    ),
    Fault(
        "magnetic descent with the papers' step",
        PROXIMAL,
        "lambda eta: eta / (1 + eta * tau)",
        "lambda eta: eta",
        step("magnetic_descent"),
    ),
    Fault(
        "COMAL's reference never moves",
        PROXIMAL,
        "jnp.where(solved, after.log_policy, state.log_reference)",
        "state.log_reference",
        step("magnetic_descent"),
    ),
    Fault(
        "RSPO rewards distance from the reference",
        PROXIMAL,
        "(wins - tau * pull)",
        "(wins + tau * pull)",
        step("rspo"),
    ),
    Fault(
        "slope of the other Kullback-Leibler divergence",
        PROXIMAL,
        "return -jnp.exp(log_reference - log_policy)",
        "return -jnp.exp(log_policy - log_reference)",
        step("forward"),
    ),
    Fault(
        "slope of chi squared halved",
        PROXIMAL,
        "return 2 * jnp.exp(log_policy - log_reference)",
        "return jnp.exp(log_policy - log_reference)",
        step("chi"),
    ),
    Fault(
        "multiplayer history the wrong way round",
        PROXIMAL,
        "memory=history[:-1]",
        "memory=history[1:]",
        step("multiplayer"),
    ),
    Fault(
        "IPO's target twice too large in a flow",
        FLOWS,
        "(margin - 1 / (2 * tau)) ** 2",
        "(margin - 1 / tau) ** 2",
        step("online_ipo"),
    ),
    Fault(
        "writer of a flow not detached",
        FLOWS,
        "writer = jnp.exp(jax.lax.stop_gradient(writer))",
        "writer = jnp.exp(writer)",
        step("ipo_md"),
    ),
    Fault(
        "DPO's flow pushes the loser up",
        FLOWS,
        "-jax.nn.log_sigmoid(tau * margin)",
        "-jax.nn.log_sigmoid(-tau * margin)",
        step("online_dpo"),
    ),
    Fault(
        "SLiC's margin without its tau",
        FLOWS,
        "jax.nn.relu(1 - tau * margin)",
        "jax.nn.relu(1 - margin)",
        step("online_slic"),
    ),
    Fault(
        "Nash-MD-PG's divergence has the wrong sign",
        FLOWS,
        "tau * (log_policy - log_reference) - wins",
        "tau * (log_reference - log_policy) - wins",
        step("nash_md_pg"),
    ),
    Fault(
        "self-play against the reference",
        FLOWS,
        "nash_md_pg(tau=tau, mix=0.0,",
        "nash_md_pg(tau=tau, mix=1.0,",
        step("self_play_pg"),
    ),
    Fault(
        "Jacobian without the normaliser",
        REGULARIZED,
        "jacobian -= jacobian.sum(axis=-1)",
        "jacobian -= 0 * jacobian.sum(axis=-1)",
        "tests/games/equilibria_test.py -k few_steps",
    ),
    Fault(
        "twice as many steps as measured",
        f"{GAMES}/sweeps.py",
        "num_steps=every,",
        "num_steps=2 * every,",
        "tests/games/sweeps_test.py -k as_if_alone",
    ),
    Fault(
        "a tie taken for a defeat",
        f"{GAMES}/structure.py",
        "holds = margins[index] >= 0",
        "holds = margins[index] > 0",
        "tests/games/structure_test.py -k top_cycle",
    ),
    Fault(
        "a vertex that is only the middle of a face",
        f"{GAMES}/equilibria.py",
        "met = slack < 1e-9",
        "met = slack < 1",
        "tests/games/equilibria_test.py -k vertices",
    ),
    # Other rooms.
    Fault(
        "swapped mixture weights in the exact game",
        "nashalign/games/token_games.py",
        "mixed = (1 - mix) * log_mass + mix * anchor",
        "mixed = mix * log_mass + (1 - mix) * anchor",
        "tests/games/token_games_test.py -k mixture",
    ),
    Fault(
        "half of the duality gap",
        "nashalign/games/measures.py",
        "2 * safe_tau * divergence",
        "safe_tau * divergence",
        "tests/games/measures_test.py -k duality_gap",
    ),
    Fault(
        "transposed preference of a token game",
        "nashalign/preferences/game.py",
        "self.preference[rows, columns]",
        "self.preference[columns, rows]",
        "tests/preferences/game_test.py -k every_pair",
    ),
    Fault(
        "a judge that says who loses",
        "nashalign/preferences/population.py",
        "np.tensordot(weights, self.verdicts(u_y, u_z), axes=1)",
        "np.tensordot(weights, self.verdicts(u_z, u_y), axes=1)",
        "tests/preferences/population_test.py -k weighted_mean",
    ),
    Fault(
        "preference model that reads one order only",
        "nashalign/preferences/models.py",
        "return (y_alone + y_after - z_alone - z_after) / 2",
        "return y_alone - z_after",
        "tests/preferences/models_test.py -k complements",
    ),
    Fault(
        "prompts padded on the right",
        "nashalign/data/prompts.py",
        "row[length - len(values) :] = values",
        "row[: len(values)] = values",
        "tests/data/prompts_test.py -k padded_on_the_left",
    ),
    Fault(
        "long prompts cut on the other side",
        "nashalign/data/prompts.py",
        "return tokens[:budget]",
        "return tokens[-budget:]",
        "tests/data/prompts_test.py -k cut_on_the_right",
    ),
    Fault(
        "written responses without EOS",
        "nashalign/data/prompts.py",
        "shown = [*ids, tokenizer.eos_id][:length]",
        "shown = ids[:length]",
        "tests/data/prompts_test.py -k end_with_the_end_token",
    ),
    Fault(
        "win rates without the complement",
        "nashalign/evaluation/win_rates.py",
        "table[:, j, i] = 1.0 - table[:, i, j]",
        "table[:, j, i] = table[:, i, j]",
        "tests/evaluation/win_rates_test.py -k asks_each_pair_once",
    ),
    Fault(
        "KL per token",
        "nashalign/evaluation/divergence.py",
        "log_ratio.sum(axis=2).mean(axis=1)",
        "log_ratio.mean(axis=2).mean(axis=1)",
        "tests/evaluation/divergence_test.py -k summed_log_ratios",
    ),
    Fault(
        "mean over devices instead of the sum",
        "nashalign/training/mesh.py",
        "functools.partial(jax.lax.psum, axis_name=DATA)",
        "functools.partial(jax.lax.pmean, axis_name=DATA)",
        "tests/training/mesh_test.py -k same_steps_as_one",
    ),
    Fault(
        "a room that looks upstairs",
        "nashalign/losses/pairwise.py",
        "import chex\nimport jax\n",
        "import chex\nimport jax\n\nfrom nashalign import algorithms as _  # noqa\n",
        "tests/architecture_test.py -k keeps_to_the_floor_plan",
    ),
]


def main(words: list[str]) -> int:
    """Applies faults whose name has one of the words; returns how many survive."""
    chosen = [f for f in FAULTS if not words or any(word in f.name for word in words)]
    if not chosen:
        print("no fault has one of these words in its name")
        return 1
    files = sorted({fault.tests.split()[0] for fault in chosen})
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".*", "runs", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT, copy, ignore=ignored)
        if _pytest(copy, shlex.join(files)) != 0:
            print("without any fault the tests do not pass: no verdict")
            return 1
        verdicts = [_verdict(copy, fault) for fault in chosen]
    survived = [verdict != "caught" for verdict in verdicts]
    print(f"{len(chosen) - sum(survived)} of {len(chosen)} faults are caught")
    return sum(survived)


def _verdict(copy, fault):
    """Applies one fault, runs its tests, prints and returns what came of it."""
    path = copy / fault.path
    right = path.read_text()
    path.write_text(right.replace(fault.old, fault.new))
    try:
        code = _pytest(copy, fault.tests)
    finally:
        path.write_text(right)
    # Any other code than 1 means that the tests could not be run at all.
    verdict = {0: "SURVIVED", 1: "caught"}.get(code, f"no verdict ({code})")
    print(f"{verdict:10} {fault.name} ({fault.path})", flush=True)
    return verdict


def _pytest(copy, tests):
    """Exit code of pytest in the copy, whose modules come before installed ones."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--no-header"]
    done = subprocess.run(
        [*command, *shlex.split(tests)], cwd=copy, capture_output=True, check=False
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
