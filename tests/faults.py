"""Seeded faults: what the tests are for, one row each, and whether they notice.

    python -m tests.faults             every fault
    python -m tests.faults ipo cache   those with one of these words in their name

Each fault is applied to a copy of the repository, and the tests that should catch it
are run there. Faults that survive are printed, and make the command fail. Run it when
a test or the code of a row has changed; all of them take hours.
`tests/faults_test.py` checks in every run that the rows still fit the code.
"""

import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

from tests.algorithms.faults import ALGORITHMS
from tests.cli.faults import CLI
from tests.data.faults import DATA
from tests.evaluation.comparing_faults import COMPARING
from tests.fault import Fault, expected
from tests.policies.decoder_faults import DECODERS
from tests.policies.encoder_decoder_faults import ENCODER_DECODERS
from tests.policies.faults import POLICIES
from tests.preferences.llm.faults import LLM

ROOT = pathlib.Path(__file__).parents[1]

DECODING = "nashalign/sampling/decoding.py"
ENUMERATION = "nashalign/sampling/enumeration.py"
SCORING = "nashalign/policies/scoring.py"
LOGITS = "nashalign/policies/logits.py"
DECODER, LAYERS = "nashalign/policies/decoder.py", "nashalign/policies/layers.py"
ROTARY = "nashalign/policies/rotary.py"
RING = "nashalign/policies/ring.py"
PAIRWISE = "nashalign/losses/pairwise.py"
POLICY_GRADIENT = "nashalign/losses/policy_gradient.py"

DECODING_TEST = "tests/sampling/decoding_test.py"
ROWS, SLOTS_TEST = "nashalign/sampling/rows.py", "tests/sampling/slots_test.py"
DRAWING = "nashalign/sampling/drawing.py"
DRAWING_TEST = "tests/sampling/drawing_test.py"
ENUMERATION_TEST = "tests/sampling/enumeration_test.py"
POLICY_TEST = "tests/policies/policy_test.py"

ENSEMBLES = "nashalign/preferences/ensembles.py"
LENGTHS = "nashalign/preferences/lengths.py"
EXTRAPOLATION = "nashalign/policies/extrapolation.py"
ENSEMBLES_TEST = "tests/preferences/ensembles_test.py"
LENGTHS_TEST = "tests/preferences/lengths_test.py"
EXTRAPOLATION_TEST = "tests/policies/extrapolation_test.py"
TABULAR = "nashalign/policies/tabular.py"
TABULAR_TEST = "tests/policies/tabular_test.py"
SEARCH = "nashalign/sampling/search.py"
PAIRS = "nashalign/sampling/pairs.py"
STEPS = "nashalign/sampling/steps.py"
SEARCH_TEST = "tests/sampling/search_test.py"

GAMES = "nashalign/games"
DYNAMICS = f"{GAMES}/dynamics.py"
MIRROR = f"{GAMES}/mirror.py"
REGRESSIONS = f"{GAMES}/regressions.py"
OPTIMISTIC = f"{GAMES}/optimistic.py"
PROXIMAL = f"{GAMES}/proximal.py"
FLOWS = f"{GAMES}/gradient_flows.py"
REGULARIZED = f"{GAMES}/regularized.py"
PATH = f"{GAMES}/path_following.py"
DYNAMICS_TEST = "tests/games/dynamics_test.py"
CATALOGUE = "docs/catalogue.py"
DOCS_TEST = "tests/docs_test.py -k catalogue"


def step(dynamics):
    """The test of a dynamics' step against the problem that defines it."""
    return f"tests/games/steps_test.py -k 'every_step and {dynamics}'"


CHAT, TEMPLATES = "nashalign/data/chat.py", "nashalign/data/templates.py"
CHAT_TEST = "tests/data/chat_test.py"
STOPS, STOPS_TEST = "nashalign/data/stops.py", "tests/data/stops_test.py"
STOPPED_TEST = "tests/sampling/stops_test.py"

FAULTS = [
    # Sampling.
    Fault(
        "key reused across positions",
        DECODING,
        "keys = _fold(queue.keys[loop.prompt, column], loop.position)",
        "keys = _fold(queue.keys[loop.prompt, column], 0 * loop.position)",
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
        "            loop.caches[name],",
        '            loop.caches["policy"],',
        f"{DECODING_TEST} -k full_recompute",
    ),
    Fault(
        "last prompt token read twice",
        DECODER,
        "tokens, mask = prompts.tokens[:, :-1], prompts.mask[:, :-1]",
        "tokens, mask = prompts.tokens, prompts.mask",
        f"{DECODING_TEST} -k full_recompute",
    ),
    Fault(
        "EOS left out of the mask",
        DECODING,
        "mask=written.mask | here,",
        "mask=written.mask | here & (tokens != decoding.eos_id[0])[..., None],",
        f"{DECODING_TEST} -k first_eos",
    ),
    Fault(
        "one token written after EOS",
        DECODING,
        "stopped | jnp.isin(tokens,",
        "stopped | jnp.isin(loop.written.tokens[..., -1],",
        f"{DECODING_TEST} -k first_eos",
    ),
    Fault(
        "only the first end token ends",
        DECODING,
        "jnp.isin(tokens, jnp.asarray(decoding.eos_id, jnp.int32))",
        "jnp.isin(tokens, jnp.asarray(decoding.eos_id[:1], jnp.int32))",
        f"{DECODING_TEST} -k any_of_several",
    ),
    Fault(
        "text and suffix tokenized apart",
        "nashalign/data/prompts.py",
        "(end,) = tokenizer.continuations([suffix], markup=markup)",
        "(end,) = tokenizer.encode([suffix], markup=markup)",
        "tests/data/tokenizer_test.py -k suffix_are_one",
    ),
    Fault(
        "ids counted without their gaps",
        "nashalign/conventions.py",
        "1 + max(backend.get_vocab(with_added_tokens=True).values(), default=-1)",
        "backend.get_vocab_size(with_added_tokens=True)",
        "tests/data/tokenizer_test.py -k over_gaps",
    ),
    Fault(
        "add_bos_token false overheard",
        "nashalign/conventions.py",
        "return own if asked else None",
        "return own",
        "tests/data/tokenizer_test.py -k begins_with_a_token",
    ),
    Fault(
        "ended responses marked as cut",
        DECODING,
        "cut = going_on & (loop.position + 1 == decoding.max_length)",
        "cut = loop.alive & ~going_on",
        f"{DECODING_TEST} -k first_eos",
    ),
    Fault(
        "no early exit",
        DECODING,
        "jax.lax.while_loop(lambda loop: jnp.any(loop.alive), advance, start)",
        "jax.lax.fori_loop(\n"
        "        0, decoding.max_length, lambda _, loop: advance(loop), start\n"
        "    )",
        f"{DECODING_TEST} -k stops",
    ),
    Fault(
        "a row that waits for all others to end",
        ROWS,
        "jnp.any(free(rows)), replace",
        "jnp.any(free(rows)) & ~jnp.any(rows.alive), replace",
        f"{SLOTS_TEST} -k at_once",
    ),
    Fault(
        "a refilled row drawn with the keys of its place",
        DECODING,
        "queue.keys[loop.prompt, column]",
        "queue.keys[: loop.prompt.shape[0]]",
        f"{SLOTS_TEST} -k change_no_response",
    ),
    Fault(
        "a refilled row that keeps the answer of the one before",
        ROWS,
        "return _replaced(policy, queue, _left(rows, place), row, place, pad_id)",
        "return _replaced(policy, queue, rows, row, place, pad_id)",
        f"{SLOTS_TEST} -k change_no_response",
    ),
    Fault(
        "a ring that is not turned to where the other's next token goes",
        RING,
        'turn = cache["next"] - other["next"]',
        'turn = 0 * (cache["next"] - other["next"])',
        "tests/policies/contract_test.py -k refilled",
    ),
    Fault(
        "an outcome of the block drawn with the block's own number",
        DRAWING,
        "_inverse(own, second)",
        "_inverse(own, first)",
        DRAWING_TEST,
    ),
    Fault(
        "blocks without their last outcome",
        DRAWING,
        "jnp.sum(blocks, -1)",
        "jnp.sum(blocks[..., :-1], -1)",
        DRAWING_TEST,
    ),
    Fault(
        "chunks of positions in the order of the loop",
        SCORING,
        "jnp.moveaxis(found, 0, 2)",
        "jnp.moveaxis(found, 0, 1)",
        f"{POLICY_TEST} -k chunks",
    ),
    Fault(
        "temperature left out",
        DECODING,
        "_sharpened(behaviour(logits), decoding.temperature)",
        "_sharpened(behaviour(logits), 1.0)",
        f"{DECODING_TEST} -k temperature",
    ),
    Fault(
        "temperature in the log-probabilities",
        DECODING,
        "_log_prob(values, tokens), jnp.nan",
        "_log_prob(values / decoding.temperature, tokens), jnp.nan",
        f"{DECODING_TEST} -k temperature",
    ),
    Fault(
        "families that take each other's name",
        "nashalign/policies/families/registry.py",
        "if known != family:",
        "if False:",
        "tests/policies/families_test.py -k taken",
    ),
    Fault(
        "a shape that is written as another family's",
        "nashalign/policies/families/registry.py",
        "if type(config) is family.config:",
        "if isinstance(config, family.config):",
        "tests/policies/families_test.py -k own_names",
    ),
    Fault(
        "swapped mixture weights",
        LOGITS,
        '{"policy": 1 - mix, "reference": mix}',
        '{"policy": mix, "reference": 1 - mix}',
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
    # Policies.
    Fault(
        "mask off by one",
        SCORING,
        "found = _in_chunks(policy, chosen, params, hidden, responses.tokens)\n"
        "    return jnp.where(responses.mask, found, 0.0)",
        "found = _in_chunks(policy, chosen, params, hidden, responses.tokens)\n"
        "    mask = jnp.pad(responses.mask[..., 1:], ((0, 0), (0, 0), (0, 1)))\n"
        "    return jnp.where(mask, found, 0.0)",
        expected("online_ipo"),
    ),
    Fault(
        "padding in the sum",
        SCORING,
        "found = _in_chunks(policy, chosen, params, hidden, responses.tokens)\n"
        "    return jnp.where(responses.mask, found, 0.0)",
        "return _in_chunks(policy, chosen, params, hidden, responses.tokens)",
        expected("online_ipo"),
    ),
    Fault(
        "token predicted from itself",
        SCORING,
        "inputs = responses.tokens[..., :-1]",
        "inputs = responses.tokens[..., 1:]",
        f"{POLICY_TEST} -k full_forward_pass",
    ),
    Fault(
        "the last prompt token is taken for the first token of every family",
        "nashalign/policies/policy.py",
        "take_rows(first, rows)",
        "take_rows(prompts.tokens[:, -1], rows)",
        "tests/policies/contract_test.py -k scored",
    ),
    Fault(
        "a row that is put goes on from the place of the one it replaces",
        RING,
        '{"keys": 1, "values": 1, "mask": 0, "count": 0, "positions": 0}',
        '{"keys": 1, "values": 1, "mask": 0, "positions": 0}',
        "tests/policies/contract_test.py -k refilled",
    ),
    Fault(
        "a row that is put keeps the positions of the one it replaces",
        RING,
        '{"keys": 1, "values": 1, "mask": 0, "count": 0, "positions": 0}',
        '{"keys": 1, "values": 1, "mask": 0, "count": 0}',
        "tests/policies/contract_test.py -k refilled",
    ),
    Fault(
        "rows of a cache are repeated in turn",
        "nashalign/policies/rows.py",
        "return jnp.repeat(array, times, axis)",
        "return jnp.concatenate([array] * times, axis)",
        f"{POLICY_TEST} -k side_by_side",
    ),
    Fault(
        "attention to the next token",
        DECODER,
        "jnp.tril(jnp.ones((1, size, size), bool))",
        "jnp.tril(jnp.ones((1, size, size), bool), 1)",
        f"{POLICY_TEST} -k later_tokens",
    ),
    Fault(
        "attention to padding",
        DECODER,
        "causal & mask[:, None]",
        "causal & jnp.ones_like(mask[:, None])",
        f"{POLICY_TEST} -k padding",
    ),
    Fault(
        "positions from slots instead of the mask",
        DECODER,
        "jnp.cumsum(mask, -1) - 1",
        "jnp.cumsum(jnp.ones_like(mask), -1) - 1",
        "tests/policies/positions_test.py",
    ),
    Fault(
        "wrong base of the rotary positions",
        ROTARY,
        "own.theta ** (-jnp",
        "1_000.0 ** (-jnp",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "rotation the wrong way round",
        LAYERS,
        "[a * cosine - b * sine, b * cosine + a * sine]",
        "[a * cosine - b * sine, b * cosine - a * sine]",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "a window that is off by one",
        DECODER,
        "visible & (distance < window)",
        "visible & (distance <= window)",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "a window in every layer",
        DECODER,
        "[window or whole for window in options.windows]",
        "[max(w or 0 for w in options.windows) for window in options.windows]",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "heads are normalised after they turn",
        LAYERS,
        "q, k = _normed(self.q_norm, q), _normed(self.k_norm, k)",
        "q, k = (_rotate(_heads(own, head), rotation) for own in (q, k))\n"
        "            q, k = (own.reshape(*x.shape[:2], -1) for own in (q, k))\n"
        "            q, k = _normed(self.q_norm, q), _normed(self.k_norm, k)\n"
        "            rotation = None",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "the norms of queries and keys are exchanged",
        LAYERS,
        "_normed(self.q_norm, q), _normed(self.k_norm, k)",
        "_normed(self.k_norm, q), _normed(self.q_norm, k)",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "frequencies between low and high are blended the other way",
        ROTARY,
        "kept * frequencies + (1 - kept) * frequencies / self.factor",
        "(1 - kept) * frequencies + kept * frequencies / self.factor",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "the magnitude of YaRN is left out",
        ROTARY,
        "magnitude = own.scaling.magnitude",
        "magnitude = 1.0",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "places of YaRN are not rounded outwards",
        ROTARY,
        "np.floor(first), np.ceil(last)",
        "np.ceil(first), np.floor(last)",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "windows begin one layer late",
        "nashalign/policies/families/windows.py",
        "layer >= begin",
        "layer > begin",
        "tests/policies/pretrained_test.py -k named_or_counted",
    ),
    Fault(
        "norms after a block stand before it",
        LAYERS,
        "after = x + self._norm(place.after_attention, attended)",
        "after = self._norm(place.after_attention, x + attended)",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "the offset of a norm is left out",
        "nashalign/policies/norms.py",
        "scale = 1.0 + self.scale[...]",
        "scale = self.scale[...]",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "scores are not capped",
        LAYERS,
        "capped(scores, self.options.attention_cap)",
        "capped(scores, None)",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "logits are not capped",
        DECODER,
        "layers.capped(found, options.logit_cap)",
        "layers.capped(found, None)",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "scores are divided by the root of a head's width",
        LAYERS,
        "width = self.options.query_width or head",
        "width = head",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "embeddings are not scaled",
        DECODER,
        "if options.scaled_embedding:",
        "if not options:",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "an exact gelu",
        "nashalign/policies/families/gemma.py",
        "activation=nnx.gelu,",
        "activation=lambda x: nnx.gelu(x, approximate=False),",
        "tests/policies/pretrained_test.py -k equal_those_of_transformers",
    ),
    Fault(
        "windows in the other layers",
        "nashalign/policies/families/gemma.py",
        "FULL if layer % 2 else SLIDING",
        "SLIDING if layer % 2 else FULL",
        "tests/policies/pretrained_test.py -k every_other_layer",
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
        "eta=schedules.convert(paper_eta, _inverse))\n\n\ndef dno",
        "eta=paper_eta)\n\n\ndef dno",
        step("inpo"),
    ),
    Fault(
        "DNO's step taken for its inverse",
        MIRROR,
        "tau=0.0, eta=schedules.convert(paper_eta, _inverse)",
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
        "measures.wins(state.average, preference)",
        "measures.wins(jnp.exp(state.log_policy), preference)",
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
        "state._replace(log_policy=respond(second, ahead))",
        "state._replace(log_policy=ahead)",
        step("extragradient"),
    ),
    Fault(
        "one vote table for both halves of a step",
        DYNAMICS,
        "cast(jax.random.fold_in(drawn, q), preference)",
        "cast(jax.random.fold_in(drawn, 0 * q), preference)",
        f"{DYNAMICS_TEST} -k ask_twice",
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
        PATH,
        "jacobian -= jacobian.sum(axis=-1)",
        "jacobian -= 0 * jacobian.sum(axis=-1)",
        "tests/games/equilibria_test.py -k few_steps",
    ),
    Fault(
        "derivatives that leave out that the opponent moves too",
        REGULARIZED,
        "policy[..., None, :]  # A S",
        "0 * policy[..., None, :]  # A S",
        "tests/games/regularized_test.py -k derivatives",
    ),
    Fault(
        "derivatives that forget that probabilities add up to one",
        REGULARIZED,
        "pull = (game - advantages[..., None])",
        "pull = (game - 0 * advantages[..., None])",
        "tests/games/regularized_test.py -k derivatives",
    ),
    Fault(
        "the taus of a batch dealt out in another order than its games",
        REGULARIZED,
        "np.broadcast_to(np.arange(len(flat)).reshape(own), shape).ravel()",
        "np.arange(math.prod(shape)) % len(flat)",
        "tests/games/regularized_test.py -k one_by_one",
    ),
    Fault(
        "a cycle that comes to rest because its last change is small",
        f"{GAMES}/convergence.py",
        "_width(policies[-1 - quarter :])",
        "_width(policies[-2:])",
        "tests/games/convergence_test.py -k cycle",
    ),
    Fault(
        "a drift that is at rest because it is slow",
        f"{GAMES}/convergence.py",
        "tolerance * (1 - trend)",
        "tolerance",
        "tests/games/convergence_test.py -k drift",
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
        "difference = u[:, y] + u_behind[:, y_after] - u[:, z] - u_behind[:, z_after]",
        "difference = 2 * (u[:, y] - u_behind[:, z_after])",
        "tests/preferences/models_test.py -k complements",
    ),
    Fault(
        "a response is read behind itself in the place of the other",
        SCORING,
        "[:, None] * number + before).reshape(-1)",
        "[:, None] * number + behind).reshape(-1)",
        "tests/policies/contract_test.py -k behind",
    ),
    Fault(
        "a response is compared with a reading behind the wrong other",
        "nashalign/preferences/models.py",
        "for own in ((z, y), (y, z))",
        "for own in ((y, z), (z, y))",
        "tests/preferences/models_test.py -k each_response_alone",
    ),
    Fault(
        "pairs that share readings are those of their place, not of their responses",
        "nashalign/preferences/models.py",
        "[turns.index(turn) for turn in zip(*own, strict=True)]",
        "[place for place, _ in enumerate(zip(*own, strict=True))]",
        "tests/preferences/models_test.py -k alone",
    ),
    Fault(
        "an ensemble with one member on the host is asked on the device",
        ENSEMBLES,
        "any(annotators.on_host(member)",
        "all(annotators.on_host(member)",
        "tests/preferences/annotators_test.py -k host_where",
    ),
    Fault(
        "prompts outside the manifest are used",
        "experiments/docstrings/frozen.py",
        "[by_hash[digest] for digest in hashes if digest in by_hash]",
        "list(by_hash.values())",
        "tests/experiments/docstrings/frozen_test.py -k nothing_outside",
    ),
    Fault(
        "missing prompts change the data set's fingerprint",
        "experiments/docstrings/frozen.py",
        "named[split] = len(hashes)",
        "named[split], hashes = len(hashes), map(content_hash, found[split])",
        "tests/experiments/docstrings/frozen_test.py -k what_is_named",
    ),
    Fault(
        "copies of test functions are learned from",
        "experiments/docstrings/frozen.py",
        "unique = harvest.deduplicate(splits)",
        "unique = dict(pairs)",
        "tests/experiments/docstrings/frozen_test.py -k no_copy_of_them",
    ),
    Fault(
        "copies of test functions are in the pre-training's corpus",
        "experiments/docstrings/pretrain/corpus.py",
        "kept = docstrings.without_test_texts(learned, test)",
        "kept = dict(learned)",
        "tests/experiments/docstrings/pretrain_test.py -k no_copy_of_one",
    ),
    Fault(
        "this project's own functions are trained on",
        "experiments/docstrings/harvest.py",
        "if package.casefold() in OWN_PACKAGES:",
        "if package.casefold() in ():",
        "tests/experiments/docstrings/frozen_test.py -k held_out",
    ),
    Fault(
        "pages show other people's functions",
        "experiments/docstrings/task.py",
        "function.half != frozen.THIS_PROJECT:",
        "function.half == frozen.OTHERS:",
        "tests/experiments/docstrings/task_test.py -k only_functions_of_this_project",
    ),
    Fault(
        "responses are kept with prompts that are not to be shown",
        "nashalign/alignment/evidence.py",
        "show = pages.sample or task.show",
        "show = task.show",
        "tests/alignment/evidence_test.py -k every_response",
    ),
    Fault(
        "a brief answer may be cut off",
        "experiments/instruct/reviewers.py",
        "ended = _END.search(answer) is not None",
        "ended = True",
        "tests/experiments/instruct/reviewers_test.py -k named_for",
    ),
    Fault(
        "every word of an instruction is what it asks for",
        "experiments/instruct/reviewers.py",
        "dropped = lexicon.FUNCTION_WORDS | _ASKING | _PRONOUNS",
        "dropped = lexicon.FUNCTION_WORDS",
        "tests/experiments/instruct/reviewers_test.py -k covering",
    ),
    Fault(
        "to repeat the instruction is new",
        "experiments/instruct/reviewers.py",
        "new = len(set(said) - wanted(instruction))",
        "new = len(set(said))",
        "tests/experiments/instruct/reviewers_test.py -k fresh",
    ),
    Fault(
        "lists of words are answers",
        "experiments/instruct/reviewers.py",
        "<= _LONGEST_RUN",
        "> 0",
        "tests/experiments/instruct/reviewers_test.py -k lists_of_words",
    ),
    Fault(
        "what is trained on is tested on",
        "experiments/instruct/task.py",
        'if records[index].others["split"] == split',
        "if records[index].others",
        "tests/experiments/instruct/job_test.py -k chat_template",
    ),
    Fault(
        "whole policies are trained at the rate of adapters",
        "experiments/instruct/config.py",
        "settings=settings(_WHOLE_RATE)",
        "settings=settings()",
        "tests/experiments/instruct/job_test.py -k whole_policies",
    ),
    Fault(
        "judges calibrated from the side that comes first",
        "nashalign/evaluation/calibration.py",
        "confidence = np.maximum(p, 1 - p)",
        "confidence = p",
        "tests/evaluation/calibration_test.py -k means_nothing",
    ),
    Fault(
        "ties of a judge counted as right",
        "nashalign/evaluation/calibration.py",
        "right[p == 0.5] = 0.5",
        "right[p == 0.5] = 1.0",
        "tests/evaluation/calibration_test.py -k loop_over",
    ),
    Fault(
        "a calibration error whose bins cancel out",
        "nashalign/evaluation/calibration.py",
        "error=float(np.abs(gaps.mean(0)).sum())",
        "error=float(np.abs(gaps.mean(0).sum()))",
        "tests/evaluation/calibration_test.py -k loop_over",
    ),
    Fault(
        "a judge with adapters whose whole policy is trained",
        "nashalign/alignment/fitting.py",
        "own = policies.lora.trained(model.params",
        "own = dict(model.params",
        "tests/cli/train_judge_test.py -k adapters_alone",
    ),
    Fault(
        "an ensemble of rewards that passes for a preference",
        "nashalign/preferences/ensembles.py",
        'if question == "prefer" and self.combine is not mean:',
        "if False:",
        "tests/cli/train_judge_test.py -k asked_as_one",
    ),
    Fault(
        "an audit that asks in one order twice",
        "nashalign/alignment/text_asking.py",
        "turned = [(prompt, z, y) for prompt, y, z in questions]",
        "turned = [(prompt, y, z) for prompt, y, z in questions]",
        "tests/cli/audit_test.py -k one_order",
    ),
    Fault(
        "an audit that counts a verdict for the second as one for itself",
        "nashalign/evaluation/audit.py",
        "one, other = verdicts(orders.y_first), 1 - verdicts(orders.z_first)",
        "one, other = verdicts(orders.y_first), verdicts(orders.z_first)",
        "tests/evaluation/audit_test.py -k places",
    ),
    Fault(
        "votes that agree with themselves",
        "nashalign/evaluation/audit.py",
        "first, second = np.triu_indices(len(votes), 1)",
        "first, second = np.triu_indices(len(votes), 0)",
        "tests/evaluation/audit_test.py -k voters_agree",
    ),
    Fault(
        "an instruction in front of the padding",
        "experiments/oaif/judge.py",
        "tokens=jnp.concatenate([prompts.tokens, more], 1)",
        "tokens=jnp.concatenate([more, prompts.tokens], 1)",
        "tests/experiments/oaif_test.py -k told_behind",
    ),
    Fault(
        "a judge's bits are not in the fingerprint",
        "nashalign/alignment/evidence.py",
        ".encode() + array.tobytes())",
        ".encode())",
        "tests/alignment/evidence_test.py -k any_other_bit",
    ),
    Fault(
        "preferences with both orders alike",
        "nashalign/alignment/asking.py",
        "= answers, 1 - answers",
        "= answers, answers",
        "tests/alignment/asking_test.py -k both_orders",
    ),
    Fault(
        "every part of the test prompts has the win rate of all",
        "nashalign/alignment/results.py",
        "own = runs.parts == part",
        "own = runs.parts != None",
        "tests/alignment/results_test.py -k prompts_alone",
    ),
    Fault(
        "a prompt of no token is taken",
        "nashalign/data/prompts.py",
        "if not begin and not behind and [] in whole:",
        "if not begin and not behind and [] in begin:",
        "tests/data/prompts_test.py -k no_token_at_all",
    ),
    Fault(
        "a cut text without the suffix that asks",
        "nashalign/data/prompts.py",
        "None if kept is None else kept + end",
        "None if kept is None else kept",
        "tests/data/prompts_test.py -k keeps_its_suffix",
    ),
    Fault(
        "voters are shown the prompt of another place",
        "nashalign/preferences/population.py",
        "np.repeat(ids, shape[1])",
        "np.repeat(np.arange(len(ids)), shape[1])",
        "tests/preferences/population_test.py -k each_id",
    ),
    Fault(
        "published win rates of the other order",
        "nashalign/evaluation/tables.py",
        "return published.win_rate(names[i], names[j])",
        "return published.win_rate(names[j], names[i])",
        "tests/evaluation/tables_test.py -k row_and_column",
    ),
    Fault(
        "prompts padded on the right",
        "nashalign/data/padding.py",
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
        "nashalign/data/padding.py",
        "[*ids, tokenizer.closing_id] if end is None else ids[:end]",
        "ids if end is None else ids[:end]",
        "tests/data/prompts_test.py -k end_with_the_end_token",
    ),
    Fault(
        "a response that fits is called cut",
        "nashalign/data/padding.py",
        "truncated=lengths > length",
        "truncated=lengths >= length",
        "tests/data/prompts_test.py -k end_with_the_end_token",
    ),
    Fault(
        "degrees of freedom of all clusters, however unequal",
        "nashalign/evaluation/intervals.py",
        "1 / np.sum(share**2) - 1,",
        "len(sizes) - 1.0,",
        "tests/evaluation/win_rates_test.py -k jackknife",
    ),
    Fault(
        "the variance of one seed in the place of their mean's",
        "nashalign/evaluation/seeds.py",
        "0.0 if m in fixed else 1 / n for",
        "0.0 if m in fixed else 1.0 for",
        "tests/evaluation/seeds_test.py -k both_methods",
    ),
    Fault(
        "win rates at equal lengths by the likelihood ratio alone",
        "nashalign/evaluation/profile.py",
        "return np.minimum(rao, ratio) <= allowed",
        "return ratio <= allowed",
        "tests/evaluation/length_control_test.py -k unanimous",
    ),
    Fault(
        "win rates at equal lengths by the score test at a slope that is known",
        "nashalign/evaluation/profile.py",
        "rao = _ratio(score**2, fit.information, np.inf)",
        "rao = _ratio(score**2, fit.naive_information, np.inf)",
        "tests/evaluation/profile_test.py -k costs_no_more_than_it_must",
    ),
    Fault(
        "an interval about the fit in the place of its middle",
        "nashalign/evaluation/length_control.py",
        "middle = Interval(float(low + high) / 2,",
        "middle = Interval(float(scipy.special.expit(theta)),",
        "tests/evaluation/length_control_test.py -k interval_of_the_profile",
    ),
    Fault(
        "a dispersion that takes a cluster's votes for independent",
        "nashalign/evaluation/profile.py",
        "return scatter * _ratio(_left_out(fit, index), apart, 1.0)",
        "return scatter",
        "tests/evaluation/length_control_test.py -k 'one_cluster'",
    ),
    Fault(
        "a dispersion of clusters that were there when the curve was fitted",
        "nashalign/evaluation/profile.py",
        "leverage = power + _ratio(shared**2, power, 0.0)",
        "leverage = 0.0 * power",
        "tests/evaluation/profile_test.py -k few_clusters",
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
        "nashalign/evaluation/kl.py",
        "log_ratio.sum(axis=2).mean(axis=1)",
        "log_ratio.mean(axis=2).mean(axis=1)",
        "tests/evaluation/kl_test.py -k summed_log_ratios",
    ),
    Fault(
        "mean over devices instead of the sum",
        "nashalign/training/mesh.py",
        "functools.partial(jax.lax.psum, axis_name=DATA)",
        "functools.partial(jax.lax.pmean, axis_name=DATA)",
        "tests/training/mesh_test.py -k same_steps_as_one",
    ),
    Fault(
        "as many processes as policies are left",
        "nashalign/alignment/at_once.py",
        "training.num_processes(processes, len(places))",
        "training.num_processes(processes, 2)",
        "tests/alignment/several_test.py -k share_that_it_had",
    ),
    Fault(
        "processes on the same cores",
        "nashalign/training/processes.py",
        "own[place % len(own)]",
        "own[place % size]",
        "tests/training/processes_test.py -k shares_are_equal",
    ),
    Fault(
        "two at work in one folder of checkpoints",
        "nashalign/training/checkpoints.py",
        "self._held.enter_context(files.held(self.folder))",
        "self._held.callback(files.held, self.folder)",
        "tests/training/checkpoints_test.py -k one_at_a_time",
    ),
    Fault(
        "a room that looks upstairs",
        "nashalign/losses/pairwise.py",
        "import chex\nimport jax\n",
        "import chex\nimport jax\n\nfrom nashalign import algorithms as _  # noqa\n",
        "tests/architecture_test.py -k keeps_to_the_floor_plan",
    ),
    # Operators, the tabular policy and the tree search.
    Fault(
        "ensemble's variance divided by k - 1",
        ENSEMBLES,
        "jnp.var(rewards, 0)",
        "jnp.var(rewards, 0, ddof=1)",
        f"{ENSEMBLES_TEST} -k 'by_hand or populations'",
    ),
    Fault(
        "uncertainty rewarded",
        ENSEMBLES,
        "mean(rewards) - weight",
        "mean(rewards) + weight",
        f"{ENSEMBLES_TEST} -k by_hand",
    ),
    Fault(
        "no weight on uncertainty taken for one",
        ENSEMBLES,
        "- weight * jnp.var",
        "- (weight or 1) * jnp.var",
        f"{ENSEMBLES_TEST} -k exactly_the_mean",
    ),
    Fault(
        "best case instead of the worst",
        ENSEMBLES,
        "jnp.min(rewards, 0)",
        "jnp.max(rewards, 0)",
        f"{ENSEMBLES_TEST} -k at_most",
    ),
    Fault(
        "members that share a key",
        ENSEMBLES,
        "jax.random.split(key, num_members)",
        "[key] * num_members",
        f"{ENSEMBLES_TEST} -k key_of_its_own",
    ),
    Fault(
        "ensemble that combines preferences by anything",
        ENSEMBLES,
        "if self.combine is not mean:",
        "if self.combine is None:",
        f"{ENSEMBLES_TEST} -k complements_and_refused",
    ),
    Fault(
        "a new function for each equal weight",
        ENSEMBLES,
        "@functools.cache\n",
        "",
        f"{ENSEMBLES_TEST} -k one_program",
    ),
    Fault(
        "averaged weights that are a sum",
        ENSEMBLES,
        "jnp.mean(jnp.stack(leaves), 0)",
        "jnp.sum(jnp.stack(leaves), 0)",
        f"{ENSEMBLES_TEST} -k linear_heads",
    ),
    Fault(
        "weights averaged whatever their shapes",
        ENSEMBLES,
        "[jnp.shape(leaf) for leaf in jax.tree.leaves(model)]",
        "[]",
        f"{ENSEMBLES_TEST} -k another_structure",
    ),
    Fault(
        "penalty on padding too",
        LENGTHS,
        "jnp.sum(responses.mask, -1)",
        "responses.mask.shape[-1]",
        f"{LENGTHS_TEST} -k with_its_end",
    ),
    Fault(
        "length penalty with the wrong sign",
        LENGTHS,
        "rewards - penalty * lengths",
        "rewards + penalty * lengths",
        f"{LENGTHS_TEST} -k finds_the_slope",
    ),
    Fault(
        "signed length gap",
        LENGTHS,
        "jnp.abs(jnp.mean(best - worst))",
        "jnp.mean(best - worst)",
        f"{LENGTHS_TEST} -k finds_the_slope",
    ),
    Fault(
        "mean of the sizes of length gaps",
        LENGTHS,
        "jnp.abs(jnp.mean(best - worst))",
        "jnp.mean(jnp.abs(best - worst))",
        f"{LENGTHS_TEST} -k opposite_sign",
    ),
    Fault(
        "last of equal penalties",
        LENGTHS,
        "grid[jnp.argmin(jax.lax.map(gap, grid))]",
        "grid[::-1][jnp.argmin(jax.lax.map(gap, grid[::-1]))]",
        f"{LENGTHS_TEST} -k first_of_equal",
    ),
    Fault(
        "a length that is not known is the best one's",
        LENGTHS,
        "jnp.where(where, scores, -jnp.inf)",
        "scores",
        f"{LENGTHS_TEST} -k left_out",
    ),
    Fault(
        "extrapolation from the start",
        EXTRAPOLATION,
        "new + alpha * (new - old)",
        "old + alpha * (new - old)",
        f"{EXTRAPOLATION_TEST} -k zero_is",
    ),
    Fault(
        "extrapolation backwards",
        EXTRAPOLATION,
        "new + alpha * (new - old)",
        "new + alpha * (old - new)",
        f"{EXTRAPOLATION_TEST} -k weaker",
    ),
    Fault(
        "histories share rows",
        TABULAR,
        "vocabulary * row + 1 + token",
        "vocabulary * row + token",
        TABULAR_TEST,
    ),
    Fault(
        "the cache is forgotten",
        TABULAR,
        "longer, start, columns",
        "longer, root, columns",
        TABULAR_TEST,
    ),
    Fault(
        "the state is detached",
        TABULAR,
        '            params["logits"], rows.T,',
        '            jax.lax.stop_gradient(params["logits"]), rows.T,',
        TABULAR_TEST,
    ),
    Fault(
        "masked tokens take a position",
        TABULAR,
        "            real, jnp.where(known,",
        "            True, jnp.where(known,",
        TABULAR_TEST,
    ),
    Fault(
        "out of the table is clipped",
        TABULAR,
        'mode="fill", fill_value=jnp.nan',
        'mode="clip"',
        TABULAR_TEST,
    ),
    Fault(
        "too long a history overflows into a row",
        TABULAR,
        "known = (row < num_inner) &",
        "known = (row < num_rows) &",
        TABULAR_TEST,
    ),
    Fault(
        "unvisited children have no weight",
        SEARCH,
        "weights = [max(1, child.visits) for",
        "weights = [child.visits + 1e-9 for",
        SEARCH_TEST,
    ),
    Fault(
        "a step's reward is the value itself",
        SEARCH,
        "reward = worth - parent.value",
        "reward = worth",
        SEARCH_TEST,
    ),
    Fault(
        "the discount is dropped",
        SEARCH,
        "node.reward + discount * state_value",
        "node.reward + state_value",
        SEARCH_TEST,
    ),
    Fault(
        "a step is worth its first continuation",
        STEPS,
        "math.fsum(values) / len(values)",
        "values[0]",
        SEARCH_TEST,
    ),
    Fault(
        "the visit under way does not count",
        SEARCH,
        "math.sqrt(node.visits + 1)",
        "math.sqrt(node.visits)",
        SEARCH_TEST,
    ),
    Fault(
        "an ended response is opened",
        SEARCH,
        "if depth and not node.terminal:",
        "if depth:",
        SEARCH_TEST,
    ),
    Fault(
        "confidence upside down",
        PAIRS,
        "worst.visits / max(1, best.visits)",
        "best.visits / max(1, worst.visits)",
        SEARCH_TEST,
    ),
    Fault(
        "path by Q instead of visits",
        PAIRS,
        "key=lambda child: child.visits",
        "key=_action_value",
        SEARCH_TEST,
    ),
    Fault(
        "shared tokens are compared",
        PAIRS,
        "    shared = sum(1 for _ in",
        "    shared = 0 * sum(1 for _ in",
        SEARCH_TEST,
    ),
    Fault(
        "padding between a prompt and its response is read",
        "nashalign/policies/continuing.py",
        "np.arange(length) >= length - size",
        "np.arange(length) >= 0",
        SEARCH_TEST,
    ),
    Fault(
        "the catalogue shows where other rows rest",
        CATALOGUE,
        "if own.row != name:",
        "if own.row == name:",
        DOCS_TEST,
    ),
    Fault(
        "the catalogue shows one term of a sum of losses",
        CATALOGUE,
        '("pair_loss", "loss", "terms")',
        '("pair_loss", "loss")',
        DOCS_TEST,
    ),
    Fault(
        "the catalogue leaves out departures",
        CATALOGUE,
        "map(_plain, row.departures)",
        "map(_plain, row.departures[1:])",
        DOCS_TEST,
    ),
    Fault(
        "markup of the users' becomes special tokens",
        CHAT,
        'if not tokenizer.spelt([own["content"] for own in messages]):',
        "if True:",
        f"{CHAT_TEST} -k spells",
    ),
    Fault(
        "conversations cut without their first token",
        CHAT,
        "first = ids[:1] if ids[:1] == [tokenizer.bos_id] else []",
        "first = []",
        f"{CHAT_TEST} -k too_long",
    ),
    Fault(
        "blocks of a template that leave their line breaks",
        TEMPLATES,
        "trim_blocks=True",
        "trim_blocks=False",
        CHAT_TEST,
    ),
    Fault(
        "templates that may change what they are given",
        TEMPLATES,
        "jinja2.sandbox.ImmutableSandboxedEnvironment",
        "jinja2.sandbox.SandboxedEnvironment",
        f"{CHAT_TEST} -k must_not",
    ),
    Fault(
        "templates that are told today's date",
        TEMPLATES,
        "_DAY = datetime.datetime(2024, 7, 26)",
        "_DAY = datetime.datetime.now()",
        f"{CHAT_TEST} -k date",
    ),
    Fault(
        "conversations without what asks for the answer",
        TEMPLATES,
        "add_generation_prompt=not answered",
        "add_generation_prompt=False",
        CHAT_TEST,
    ),
    Fault(
        "stop texts that are begun anew where a token does not go on",
        STOPS,
        "ends = (text[cut:] for cut in range(len(text) + 1))",
        "ends = (text, text[-1:], text[:0])",
        STOPS_TEST,
    ),
    Fault(
        "stop texts of which one counts alone",
        STOPS,
        "if not text.endswith(tuple(texts)):",
        "if not text.endswith(texts[0]):",
        STOPS_TEST,
    ),
    Fault(
        "special tokens that complete a stop text",
        STOPS,
        "None if token in special else backend.id_to_token(token)",
        "backend.id_to_token(token)",
        STOPS_TEST,
    ),
    Fault(
        "tokens of a byte that are read by their names",
        STOPS,
        "    if is_byte:",
        "    if is_byte and not fallback:",
        STOPS_TEST,
    ),
    Fault(
        "given texts that have an end token behind their stop",
        "nashalign/data/padding.py",
        "[*ids, tokenizer.closing_id] if end is None else ids[:end]",
        "[*ids[:end], tokenizer.closing_id]",
        STOPS_TEST,
    ),
    Fault(
        "rows that are refilled with part of a stop text",
        ROWS,
        "matched=rows.matched.at[place].set(0),",
        "matched=rows.matched,",
        STOPPED_TEST,
    ),
    Fault(
        "responses that a text ends counted as cut",
        DECODING,
        "cut = going_on & (loop.position + 1 == decoding.max_length)",
        "cut = (going_on | stopped) & (loop.position + 1 == decoding.max_length)",
        STOPPED_TEST,
    ),
    Fault(
        "a length that cuts the header of an answer",
        CHAT,
        "if room <= header:",
        "if room < 1:",
        f"{CHAT_TEST} -k without_room",
    ),
    *ALGORITHMS,
    *DATA,
    *CLI,
    *COMPARING,
    *POLICIES,
    *ENCODER_DECODERS,
    *DECODERS,
    *LLM,
]


def main(words: list[str]) -> int:
    """Applies faults whose name has one of the words; returns how many survive."""
    chosen = [f for f in FAULTS if not words or any(word in f.name for word in words)]
    if not chosen:
        print("no fault has one of these words in its name")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".*", "runs", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for tests in sorted({fault.tests for fault in chosen}):
            if _pytest(copy, tests) != 0:
                print(f"without any fault {tests} do not pass: no verdict")
                return 1
        verdicts = [_verdict(copy, fault) for fault in chosen]
    survived = [verdict != "caught" for verdict in verdicts]
    print(f"{len(chosen) - sum(survived)} of {len(chosen)} faults are caught")
    return sum(survived)


def _verdict(copy, fault):
    """Applies one fault, runs its tests, prints and returns what came of it."""
    path = copy / fault.path
    right = path.read_text()
    path.write_text(fault.seed(right))
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
    # What catches a fault may be in the full lane.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--full"]
    done = subprocess.run(
        [*command, *shlex.split(tests)], cwd=copy, capture_output=True, check=False
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
