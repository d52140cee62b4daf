"""Seeded faults of the algorithms, which `python -m tests.faults` runs too."""

from tests.fault import Fault, expected

METHOD = "nashalign/algorithms/method.py"
AUTHORS = "nashalign/algorithms/authors.py"
GROUPS = "nashalign/algorithms/readings.py"
OBJECTIVES = "nashalign/algorithms/objectives/pairs.py"
COMPOSED = "nashalign/algorithms/objectives/composed.py"
REGRESSIONS = "nashalign/algorithms/objectives/regressions.py"
GRADIENTS = "nashalign/algorithms/objectives/policy_gradients.py"
SELECTION = "nashalign/algorithms/objectives/selection.py"
LOGITS = "nashalign/policies/logits.py"
LABELS = "nashalign/algorithms/objectives/labels.py"
PROMPTING = "nashalign/algorithms/objectives/prompting.py"
STATISTICS = "nashalign/algorithms/objectives/statistics.py"
SURROGATES = "nashalign/algorithms/objectives/surrogates.py"
UNPAIRED = "nashalign/algorithms/objectives/unpaired.py"
ROBUST = "nashalign/algorithms/rows/robust.py"
SCORE = "nashalign/losses/policy_gradient.py"
GIVEN = "nashalign/algorithms/given.py"
COURSE = "nashalign/alignment/course.py"
LOG_PROBS = "nashalign/alignment/log_probs.py"
EASY_FIRST = "nashalign/algorithms/rounds/easy_first.py"
REGENERATION = "nashalign/algorithms/rounds/regeneration.py"
SELF_REWARDS = "nashalign/algorithms/rounds/self_rewards.py"
OWN_JUDGEMENT = "nashalign/algorithms/rounds/own_judgement.py"
OWN_JUDGE, RUNS = "nashalign/alignment/own_judge.py", "nashalign/alignment/runs.py"
OWN_JUDGEMENT_TEST = "tests/algorithms/own_judgement_test.py"
OWN_JUDGE_TEST = "tests/alignment/own_judge_test.py"
RATIOS = "nashalign/algorithms/ratios.py"
COLUMNS = "nashalign/algorithms/columns.py"
CUSTOMARY = "nashalign/algorithms/rows/customary.py"
ROLLOUTS = "nashalign/algorithms/rollouts.py"
SETTINGS = "nashalign/algorithms/settings.py"
STATE = "nashalign/algorithms/state.py"
TABLE = "nashalign/algorithms/rows/table.py"
MEMORY_TEST = "tests/algorithms/memory_test.py"
UPDATE = "nashalign/algorithms/update.py"
WEIGHING = "nashalign/algorithms/weighing.py"
NASH = "nashalign/algorithms/rows/nash.py"
SELF_PLAY = "nashalign/algorithms/rows/self_play.py"
REFERENCE_FREE = "nashalign/algorithms/rows/reference_free.py"
MOVING_REFERENCE = "nashalign/algorithms/rows/moving_reference.py"
ITERATED = "nashalign/algorithms/rows/iterated.py"
ONLINE = "nashalign/algorithms/rows/online.py"
PAIRWISE = "nashalign/losses/pairwise.py"
CLIPPED = "nashalign/losses/clipped.py"
SCORING = "nashalign/policies/scoring.py"
DECODING = "nashalign/sampling/decoding.py"
ENUMERATION = "nashalign/sampling/enumeration.py"

FIXED_POINTS_TEST = "tests/algorithms/fixed_points_test.py"
GIVEN_TEST = "tests/algorithms/given_test.py"
LOG_PROBS_TEST = "tests/alignment/log_probs_test.py"
UPDATE_TEST = "tests/algorithms/update_test.py"
WEIGHING_TEST = "tests/algorithms/weighing_test.py"
DEVICES_TEST = "tests/algorithms/devices_test.py"
PROMPTING_TEST = "tests/algorithms/prompting_test.py"
ROUNDS_TEST = "tests/algorithms/rounds_test.py"
TABLE_TEST = "tests/algorithms/table_test.py"
GROUP_GRADIENTS_TEST = "tests/algorithms/group_gradients_test.py"
IDENTITY_TEST = "tests/algorithms/identity_test.py"


def sampled(row):
    """The test of a row's sampled gradient against the expected one."""
    return f"tests/algorithms/gradients_test.py -k 'sampled_gradients and {row}'"


ALGORITHMS = [
    Fault(
        "reference left out of the margin",
        GROUPS,
        "own_log_probs(groups) - anchor, groups",
        "own_log_probs(groups) - 0 * anchor, groups",
        expected("online_ipo"),
    ),
    Fault(
        "mean over tokens instead of the sum",
        RATIOS,
        "del mask\n    return jnp.sum(log_ratios, -1)",
        "del mask\n    return jnp.mean(log_ratios, -1)",
        expected("online_ipo"),
    ),
    Fault(
        "a mean over padding too",
        RATIOS,
        "jnp.maximum(jnp.sum(mask, -1), 1)",
        "jnp.asarray(mask.shape[-1])",
        "tests/algorithms/ratios_test.py -k definition",
    ),
    Fault(
        "a ratio that overflows",
        RATIOS,
        "jnp.exp(jnp.minimum(total, largest))",
        "jnp.exp(total)",
        "tests/algorithms/ratios_test.py -k beyond",
    ),
    Fault(
        "odds of a certain response that are infinite",
        RATIOS,
        "jnp.minimum(mean, -jnp.finfo(mean.dtype).eps)",
        "mean",
        "tests/algorithms/ratios_test.py -k odds",
    ),
    Fault(
        "a reference held by rows that have none",
        METHOD,
        "names |= {*self.keeps, *self",
        'names |= {"reference", *self',
        "tests/algorithms/ratios_test.py -k without_a_reference",
    ),
    Fault(
        "a row's name that another row takes over",
        TABLE,
        "if known is not None and known != row:",
        "if False:",
        "tests/algorithms/rows_test.py -k taken",
    ),
    Fault(
        "a loss that is equal to itself alone",
        COMPOSED,
        "@dataclasses.dataclass(frozen=True)\nclass Contrastive",
        "@dataclasses.dataclass(frozen=True, eq=False)\nclass Contrastive",
        "tests/algorithms/rows_test.py -k made_twice",
    ),
    Fault(
        "margin of z over y",
        GROUPS,
        "ratios[..., 0] - ratios[..., 1]",
        "ratios[..., 1] - ratios[..., 0]",
        expected("online_slic"),
    ),
    Fault(
        "preference for z over y",
        GROUPS,
        "take_pairs(preference(groups), y, z)",
        "take_pairs(preference(groups), z, y)",
        expected("ipo_md"),
    ),
    Fault(
        "members and opponents swapped",
        GROUPS,
        "take_pairs(preference(groups), groups.members, groups.opponents)",
        "take_pairs(preference(groups), groups.opponents, groups.members)",
        expected("nash_md_pg"),
    ),
    Fault(
        "advantage 1/2 - P",
        GRADIENTS,
        "groups, jnp.mean(wins, -1) - 0.5, method.tau)",
        "groups, 0.5 - jnp.mean(wins, -1), method.tau)",
        expected("nash_md_pg"),
    ),
    Fault(
        "no baseline",
        GRADIENTS,
        "groups, jnp.mean(wins, -1) - 0.5, method.tau)",
        "groups, jnp.mean(wins, -1), method.tau)",
        "tests/algorithms/golden_test.py -k nash_md_pg",
    ),
    Fault(
        "a reward in its own baseline",
        GRADIENTS,
        "jnp.sum(values, -1, keepdims=True) - values",
        "jnp.sum(values, -1, keepdims=True)",
        expected("rl"),
    ),
    Fault(
        "the policy as Nash-MD-PG's opponent",
        SELF_PLAY,
        "_gradient(mixture)",
        "_gradient(policy)",
        expected("nash_md_pg"),
    ),
    Fault(
        "only one of IPO-MD's responses from the mixture",
        ONLINE,
        "members=draw(mixture, 2)",
        "members=draw(policy) + draw(mixture)",
        expected("ipo_md"),
    ),
    Fault(
        "policy that writes as the mixture does",
        AUTHORS,
        'policy = Alone("policy")',
        'policy = Alone("reference")',
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
        ONLINE,
        "_DPO = contrastive(losses.dpo)",
        "_DPO = contrastive(losses.ipo)",
        f"{FIXED_POINTS_TEST} -k 'stays and online_dpo'",
    ),
    Fault(
        "settings that are constants of the program",
        METHOD,
        "dataclasses.field(default_factory=dict)",
        "dataclasses.field(\n"
        '        default_factory=dict, metadata={"static": True}\n    )',
        "tests/algorithms/table_test.py -k leaves",
    ),
    Fault(
        "tau = 0 where it divides",
        CUSTOMARY,
        'meaning="strength of the regularisation, which the row divides by",\n'
        "        range=POSITIVE",
        'meaning="strength of the regularisation, which the row divides by",\n'
        "        range=NOT_NEGATIVE",
        "tests/algorithms/table_test.py -k wrong_setting",
    ),
    Fault(
        "mix that is not a number",
        SETTINGS,
        '"must be in [0, 1]", lambda value: 0 <= value <= 1',
        '"must be in [0, 1]", lambda value: not (value < 0 or value > 1)',
        "tests/algorithms/table_test.py -k wrong_setting",
    ),
    Fault(
        "reference not frozen",
        UPDATE,
        'frozen=_refreshed(method, step, state.frozen, players["policy"]),',
        'frozen=dict.fromkeys(state.frozen, players["policy"]),',
        f"{UPDATE_TEST} -k leaves_the_rest",
    ),
    Fault(
        "policy in the reference's place in a rollout",
        ROLLOUTS,
        "policies.log_probs(setup.policy, state.frozen[name], prompts, responses)",
        "policies.log_probs(setup.policy, state.params, prompts, responses)",
        f"{UPDATE_TEST} -k reference_thinks",
    ),
    Fault(
        "policy in the reference's place in the mixture",
        STATE,
        '{"policy": policies.lora.join(state.params, still), **state.frozen}',
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
        "microbatches whose gradient is of the first piece",
        "nashalign/algorithms/memory.py",
        "jax.tree.map(jnp.add, gradient, follow(own)[0]), None",
        "jax.tree.map(lambda a, b: b, gradient, follow(own)[0]), None",
        f"{MEMORY_TEST} -k whole_batch",
    ),
    Fault(
        "microbatches each with a loss of their own",
        "nashalign/algorithms/memory.py",
        "slopes = jax.tree.map(lambda leaf: _split(leaf, num_pieces), slope)",
        "slopes = jax.tree.map(lambda leaf: _split(leaf, num_pieces), slope)\n"
        "    slopes = jax.tree.map(lambda leaf: leaf[::-1], slopes)",
        f"{MEMORY_TEST} -k whole_batch",
    ),
    Fault(
        "neighbours torn apart",
        "nashalign/algorithms/memory.py",
        "block = 2 - size % 2\n    leaf = leaf.reshape",
        "block = 1\n    leaf = leaf.reshape",
        MEMORY_TEST,
    ),
    Fault(
        "policies that move kept in few digits",
        "nashalign/algorithms/state.py",
        "if name in apart else params",
        "if name else params",
        f"{MEMORY_TEST} -k stay_are_kept",
    ),
    Fault(
        "a first update at learning rate zero",
        "nashalign/alignment/optimizers.py",
        "share(count + 1)",
        "share(count)",
        "tests/alignment/optimizers_test.py",
    ),
    Fault(
        "probabilities that are trained through",
        UPDATE,
        "return jnp.sum(groups.probability * per_group), (log_probs, counted)",
        "ratio = jnp.sum(log_probs - jax.lax.stop_gradient(log_probs), -1)\n"
        "        ratio = jax.vmap(lambda r, i: r[i])(ratio, groups.members)\n"
        "        trained = groups.probability * jnp.exp(jnp.sum(ratio, -1))\n"
        "        return jnp.sum(trained * per_group), (log_probs, counted)",
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
        STATE,
        "jax.random.split(jax.random.fold_in(state.key, state.step))",
        "jax.random.split(state.key)",
        f"{UPDATE_TEST} -k draws_anew",
    ),
    Fault(
        "iterate that never moves",
        AUTHORS,
        'jnp.where(step % settings["period"] == 0, source, frozen)',
        "frozen",
        f"{UPDATE_TEST} -k every_stage",
    ),
    Fault(
        "reference that moves with the iterate",
        AUTHORS,
        'length = settings["period"] * settings["num_inner"]',
        'length = settings["period"]',
        f"{UPDATE_TEST} -k every_stage",
    ),
    Fault(
        "average that keeps the new instead of the old",
        AUTHORS,
        'frozen + (1 - settings["decay"])',
        'frozen + settings["decay"]',
        f"{UPDATE_TEST} -k running_mean",
    ),
    Fault(
        "anchor weights swapped in a mirror step",
        AUTHORS,
        '{"iterate": 1 - weight, "reference": weight}',
        '{"iterate": weight, "reference": 1 - weight}',
        expected("inpo"),
    ),
    Fault(
        "INPO's target with eta for its inverse",
        COMPOSED,
        'return 1 / settings["eta"]',
        'return settings["eta"]',
        expected("inpo"),
    ),
    Fault(
        "REBEL without its step",
        REGRESSIONS,
        'readings.margin(method, groups) - method.settings["eta"] * gap',
        "readings.margin(method, groups) - gap",
        expected("rebel"),
    ),
    Fault(
        "SPPO's win rate without the response itself",
        REGRESSIONS,
        'method.settings["eta"] * (jnp.mean(wins, -1) - 0.5)',
        'method.settings["eta"] * 5 / 4 * (jnp.mean(wins, -1) - 0.5)',
        expected("sppo"),
    ),
    Fault(
        "SPO's win rate with the response itself",
        GRADIENTS,
        "others / (wins.shape[-1] - 1) - 0.5",
        "jnp.mean(wins, -1) - 0.5",
        expected("spo"),
    ),
    Fault(
        "steps that are not counted",
        UPDATE,
        "state.players, own), state.step + 1\n",
        "state.players, own), state.step\n",
        f"{UPDATE_TEST} -k leaves_the_rest",
    ),
    Fault(
        "weights in the denominator",
        UPDATE,
        "loss, gradient, weight = reduce((loss, gradient, "
        "jnp.sum(groups.probability)))",
        "kept = 1.0 if groups.kept is None else groups.kept\n"
        "    loss, gradient, weight = reduce(\n"
        "        (loss, gradient, jnp.sum(groups.probability * kept))\n"
        "    )",
        expected("dno_prct"),
    ),
    Fault(
        "weights that are trained through",
        WEIGHING,
        'weight = jax.lax.stop_gradient(_of_each("weight", method, groups))',
        'weight = _of_each("weight", method, groups)',
        expected("soft_po_weighted"),
    ),
    Fault(
        "a regulariser that is weighed",
        WEIGHING,
        'return weight * _of_each("loss", method, groups) + held, weight',
        'return weight * (_of_each("loss", method, groups) + held), weight',
        expected("soft_po_weighted"),
    ),
    Fault(
        "statistics of the batch that are trained through",
        WEIGHING,
        "name: jax.lax.stop_gradient(statistic(method, _detached(groups), reduce))",
        "name: statistic(method, groups, reduce)",
        f"{WEIGHING_TEST} -k trains_nothing",
    ),
    Fault(
        "the mean weight of one device's pairs",
        SELECTION,
        "total, count = reduce((total, jnp.sum(groups.probability)))",
        "count = jnp.sum(groups.probability)",
        f"{DEVICES_TEST} -k pmap-soft_po_weighted",
    ),
    Fault(
        "effective sample size of one device",
        WEIGHING,
        "squares = reduce(jnp.sum(probability * jnp.square(share)))",
        "squares = jnp.sum(probability * jnp.square(share))",
        f"{DEVICES_TEST} -k pmap-rwr",
    ),
    Fault(
        "worst for best",
        SELECTION,
        "[jnp.argmax(found, -1), jnp.argmin(found, -1)]",
        "[jnp.argmin(found, -1), jnp.argmax(found, -1)]",
        expected("iterative_dpo"),
    ),
    Fault(
        "verdict that is a probability",
        LABELS,
        "hard = _sign(readings.preference(groups) - 0.5)",
        "hard = readings.preference(groups)",
        expected("oaif_ipo"),
    ),
    Fault(
        "win rates that leave the teacher out",
        SELECTION,
        "everyone = jnp.concatenate([groups.members, groups.opponents], -1)",
        "everyone = groups.members[..., :-1]",
        expected("dno_prct"),
    ),
    Fault(
        "implicit reward of the other round",
        LABELS,
        'log_probs["iterate"] - log_probs["previous"]',
        'log_probs["previous"] - log_probs["iterate"]',
        expected("dice"),
    ),
    Fault(
        "a response that was cut is the best",
        SELECTION,
        "jnp.where(cut, -jnp.inf, found)",
        "found",
        expected("dice"),
    ),
    Fault(
        "a gap without its size",
        SELECTION,
        "gap = jnp.abs(rewards[..., 0] - rewards[..., 1])",
        "gap = rewards[..., 0] - rewards[..., 1]",
        expected("optune"),
    ),
    Fault(
        "KL of TDPO the other way round",
        STATISTICS,
        'setup.policy, (params, players["policy"]), (other, hidden), groups.responses',
        'setup.policy, (players["policy"], params), (hidden, other), groups.responses',
        expected("tdpo1"),
    ),
    Fault(
        "TDPO2 that trains through the winner's KL",
        OBJECTIVES,
        "fixed = jax.lax.stop_gradient if self.detached else lambda x: x",
        "fixed = lambda x: x  # noqa: E731",
        expected("tdpo2"),
    ),
    Fault(
        "SAIL without the sampling's score",
        OBJECTIVES,
        "total -= rho * credit * _score(groups)",
        "total -= 0 * credit * _score(groups)",
        expected("sail_dpp"),
    ),
    Fault(
        "SAIL's score with the released sign",
        OBJECTIVES,
        'per_pair + method.settings["rho"] * credit * _score(groups)',
        'per_pair - method.settings["rho"] * credit * _score(groups)',
        expected("sail_dpr"),
    ),
    Fault(
        "pessimism in optimism's place",
        OBJECTIVES,
        "return readings.log_likelihoods(groups)[..., self.number]",
        "return -readings.log_likelihoods(groups)[..., self.number]",
        expected("xpo"),
    ),
    Fault(
        "an optimistic step that looks back once only",
        REGRESSIONS,
        "2 * gaps[..., 0] - gaps[..., 1]",
        "gaps[..., 0] - gaps[..., 1]",
        expected("onpo"),
    ),
    Fault(
        "RSPO's forward divergence the wrong way round",
        REGRESSIONS,
        "jnp.minimum(-_from_reference(groups), _LARGEST_LOG)",
        "jnp.minimum(_from_reference(groups), _LARGEST_LOG)",
        expected("rspo"),
    ),
    Fault(
        "win rates over the wrong axis of opponents",
        REGRESSIONS,
        "return wins[..., 0] - wins[..., 1]",
        "return wins[..., 1] - wins[..., 0]",
        expected("egpo"),
    ),
    Fault(
        "BoNBoN's beta with n for n - 1",
        COMPOSED,
        "jax.scipy.special.digamma(number)",
        "jax.scipy.special.digamma(number + 1)",
        expected("bonbon"),
    ),
    Fault(
        "a response that is worse than one sample only",
        GRADIENTS,
        "jnp.all(rewards[..., None] < found[..., None, :], -1)",
        "jnp.any(rewards[..., None] < found[..., None, :], -1)",
        expected("bond"),
    ),
    Fault(
        "BOND's backward divergence without its own KL",
        GRADIENTS,
        "backward * reward, backward + method.tau",
        "backward * reward, method.tau",
        expected("bond"),
    ),
    Fault(
        "PPO's advantage from values that move",
        SURROGATES,
        'rewards, old["old_values"], mask, trace=settings["trace"]',
        'rewards, 0 * old["old_values"], mask, trace=0 * settings["trace"]',
        expected("ppo"),
    ),
    Fault(
        "a critic that trains what it reads",
        STATISTICS,
        'jax.lax.stop_gradient(hidden) @ players["critic"]',
        'hidden @ players["critic"]',
        expected("ppo"),
    ),
    Fault(
        "one epoch where several are asked for",
        UPDATE,
        "1, method.num_epochs, lambda",
        "1, 1, lambda",
        f"{UPDATE_TEST} -k several_epochs",
    ),
    Fault(
        "an extragradient step from where it looked",
        UPDATE,
        'state = dataclasses.replace(state, frozen=state.frozen | {"ahead": ahead})',
        'state = dataclasses.replace(state, players=state.players | {"policy": ahead})',
        f"{UPDATE_TEST} -k extragradient",
    ),
    Fault(
        "a second half on the draws of the first",
        STATE,
        "key=jax.random.fold_in(state.key, _LOOKING),",
        "key=state.key,",
        "tests/algorithms/extragradient_test.py -k 'afresh or half'",
    ),
    Fault(
        "policies that move one after the other",
        UPDATE,
        "policies.lora.trained(sources[source]),",
        'policies.lora.trained(sources["policy"]),',
        f"{UPDATE_TEST} -k at_once",
    ),
    Fault(
        "responses of the data set behind all others",
        ROLLOUTS,
        "next(own if a is authors.data else others) for a in method.authors",
        "next(others) for a in method.authors",
        f"{UPDATE_TEST} -k authors_say",
    ),
    Fault(
        "every multiset counted once",
        ROLLOUTS,
        "(c, orders // math.prod(math.factorial(c.count(i)) for i in set(c)))",
        "(c, 1)",
        expected("sppo"),
    ),
    Fault(
        "greedy that is not",
        AUTHORS,
        "_GREEDY = 1e6",
        "_GREEDY = 1.0",
        expected("selm"),
    ),
    Fault(
        "weights of a mixture of one that are ignored",
        LOGITS,
        "return powers[0] if len(powers) == 1",
        "return precise(logits[next(iter(weights))]) if len(powers) == 1",
        expected("selm"),
    ),
    Fault(
        "a bad answer asked for where a good one is",
        STATE,
        '{"better": -1, "worse": 0}',
        '{"better": 0, "worse": -1}',
        expected("self_prompting"),
    ),
    Fault(
        "conditions that only the enumerator reads",
        DECODING,
        "read = {name: contexts.get(name, prompts) for name in params}",
        "read = {name: prompts for name in params}",
        "tests/sampling/decoding_test.py -k context_of_its_own",
    ),
    Fault(
        "pairs that are never turned round",
        PROMPTING,
        "gaps = distance[:, None, :] - distance[:, :, None]",
        "gaps = twice.rewards[:, :, None] - twice.rewards[:, None, :]",
        f"{PROMPTING_TEST} -k turned_round",
    ),
    Fault(
        "the end of a response taken out",
        PROMPTING,
        "inner = mask & (place < length - 1)",
        "inner = mask",
        f"{PROMPTING_TEST} -k end_of_a_response_stays",
    ),
    Fault(
        "degrees told of the first response, whoever has won",
        OBJECTIVES,
        "return preferred * error[..., 0] + (1 - preferred) * error[..., 1]",
        "return error[..., 0]",
        expected("preference_degree"),
    ),
    Fault(
        "corruption that is rounded down to nothing",
        PROMPTING,
        "rank * number < parts * (length - 1)",
        "(rank + 1) * number <= parts * (length - 1)",
        f"{PROMPTING_TEST} -k has_lost_something",
    ),
    Fault(
        "a head of four degrees, whatever there are",
        STATISTICS,
        "number=int(settings[self.setting])",
        "number=4",
        f"{PROMPTING_TEST} -k as_many_degrees",
    ),
    Fault(
        "an earlier dimension that is not retained",
        AUTHORS,
        '{"iterate": 1 + settings["retain"], "reference": -settings["retain"]}',
        '{"iterate": 1.0, "reference": 0.0}',
        "tests/experiments/fixed_points_test.py -k two_dimensions",
    ),
    Fault(
        "one dimension of preference for all periods",
        "nashalign/algorithms/rounds/dimensions.py",
        "context.dimensions[self.number % len(context.dimensions)]",
        "context.dimensions[0]",
        "tests/alignment/rounds_test.py -k each_period",
    ),
    Fault(
        "log-probabilities kept of a policy that moves",
        METHOD,
        "name for name in self.frozen if name not in moving",
        "name for name in self.frozen",
        f"{GIVEN_TEST} -k policies_that_stay",
    ),
    Fault(
        "log-probabilities kept of where an extragradient step looks",
        METHOD,
        'moving = {name for name, _, _ in self.refresh} | {"ahead"}',
        "moving = {name for name, _, _ in self.refresh}",
        f"{GIVEN_TEST} -k extragradient",
    ),
    Fault(
        "log-probabilities of other prompts than are shown",
        METHOD,
        "self.num_data == len(self.authors) and not self.remakes_examples",
        "self.num_data == len(self.authors)",
        f"{GIVEN_TEST} -k policies_that_stay",
    ),
    Fault(
        "log-probabilities of a part of the table for all of it",
        METHOD,
        "self.num_data == len(self.authors) and not self.remakes_examples",
        "self.num_data > 0 and not self.remakes_examples",
        f"{GIVEN_TEST} -k policies_that_stay",
    ),
    Fault(
        "log-probabilities of the last responses for the first",
        GIVEN,
        "[:, : method.num_data]\n for name in method.precomputed",
        "[:, -method.num_data :]\n for name in method.precomputed",
        f"{GIVEN_TEST} -k policies_that_stay",
    ),
    Fault(
        "log-probabilities of padding",
        GIVEN,
        "return jnp.where(mask, found, 0.0)",
        "return found",
        f"{GIVEN_TEST} -k policies_that_stay",
    ),
    Fault(
        "log-probabilities that stay with all responses",
        "nashalign/algorithms/rounds/round.py",
        "name: found[:, :number] for name",
        "name: found for name",
        f"{GIVEN_TEST} -k go_where",
    ),
    Fault(
        "a reference that reads at every step what it has read before",
        ROLLOUTS,
        "known = given.log_probs(method, batch)",
        "known = {}",
        "tests/algorithms/cost_test.py -k costs_no_pass",
    ),
    Fault(
        "log-probabilities of whatever policy is in the file",
        LOG_PROBS,
        "of_others = not np.array_equal(stored.pop(_HASH), own)",
        "of_others = stored.pop(_HASH) is None",
        f"{LOG_PROBS_TEST} -k refused",
    ),
    Fault(
        "a hash of the policies' names alone",
        LOG_PROBS,
        "texts = (dict(frozen), examples.prompts, examples.responses)",
        "texts = (list(frozen), examples.prompts, examples.responses)",
        f"{LOG_PROBS_TEST} -k refused",
    ),
    Fault(
        "a stage that is measured from the start policy",
        COURSE,
        "{name: state.frozen[name] for name in method.precomputed}",
        "{name: run.task.start.params for name in method.precomputed}",
        f"{LOG_PROBS_TEST} -k after_a_stage",
    ),
    Fault(
        "a round that reads the examples of the first one",
        COURSE,
        "range(done, done + own.num_steps)",
        "range(own.num_steps)",
        f"{LOG_PROBS_TEST} -k after_a_stage",
    ),
    Fault(
        "examples read again though the file has them",
        LOG_PROBS,
        "missing = wanted & ~_known(found, wanted)",
        "missing = wanted",
        f"{LOG_PROBS_TEST} -k read_once",
    ),
    Fault(
        "log-probabilities kept beside whatever is made of the examples",
        "nashalign/alignment/examples.py",
        "made = dataclasses.replace(make(), frozen_log_probs={})",
        "made = make()",
        f"{LOG_PROBS_TEST} -k kept_without",
    ),
    Fault(
        "epochs that are no steps of the optimizer",
        COURSE,
        "return int(method.num_epochs) * num_steps",
        "return num_steps",
        "tests/alignment/logs_test.py -k steps_of_the_optimizer",
    ),
    Fault(
        "contradictions taken for easy pairs",
        EASY_FIRST,
        "np.where(label > 0.5, gap, -gap)",
        "np.abs(gap)",
        f"{ROUNDS_TEST} -k contradicts",
    ),
    Fault(
        "the highest rewards answered again",
        REGENERATION,
        'np.argsort(means, kind="stable")',
        'np.argsort(-means, kind="stable")',
        f"{ROUNDS_TEST} -k lowest",
    ),
    Fault(
        "a stage that keeps the old reference",
        STATE,
        "    frozen = fresh.frozen | before",
        "    frozen = state.frozen",
        f"{ROUNDS_TEST} -k next_stage",
    ),
    Fault(
        "no reward left for the first round of DICE",
        STATE,
        'before = {"previous": state.reference}',
        'before = {"previous": state.params}',
        f"{ROUNDS_TEST} -k previous",
    ),
    Fault(
        "a penalty on top of the last one",
        SELF_REWARDS,
        'settings={**method.settings, "penalty": 0.0}',
        "settings={**method.settings}",
        f"{ROUNDS_TEST} -k penalty",
    ),
    Fault(
        "responses that the setting does not number",
        COLUMNS,
        "number=int(settings[self.setting])",
        "number=2",
        f"{TABLE_TEST} -k number_of_responses",
    ),
    Fault(
        "rDPO that is not debiased",
        PAIRWISE,
        "debiased = (preferred - flip) / (1 - 2 * flip)",
        "debiased = preferred - flip",
        expected("rdpo"),
    ),
    Fault(
        "the reward at every token",
        CLIPPED,
        "jnp.where(last, reward[..., None], 0.0)",
        "jnp.where(mask, reward[..., None], 0.0)",
        "tests/losses/clipped_test.py",
    ),
    Fault(
        "a clip on one side only",
        CLIPPED,
        "-jnp.minimum(ratio * advantage, bounded * advantage)",
        "-bounded * advantage",
        "tests/losses/clipped_test.py",
    ),
    Fault(
        "KL that forgets the first policy's weights",
        SCORING,
        "return jnp.sum(jnp.exp(log_p) * log_ratio, -1)",
        "return jnp.sum(jnp.exp(log_q) * log_ratio, -1)",
        "tests/policies/policy_test.py -k token_kl",
    ),
    Fault(
        "a baseline without the penalty of the others",
        GRADIENTS,
        "_less_others(readings.rewards(groups) - method.tau * ratios)",
        "_less_others(readings.rewards(groups)) - method.tau * ratios",
        f"{GROUP_GRADIENTS_TEST} -k rloo",
    ),
    Fault(
        "SPO without its baseline",
        GRADIENTS,
        "others / (wins.shape[-1] - 1) - 0.5\n",
        "others / (wins.shape[-1] - 1)\n",
        f"{GROUP_GRADIENTS_TEST} -k spo",
    ),
    Fault(
        "an extragradient step against the policy itself",
        NASH,
        "opponents=draw(ahead)",
        "opponents=draw(policy)",
        f"{GROUP_GRADIENTS_TEST} -k egpo",
    ),
    Fault(
        "COMAL that never moves its reference",
        NASH,
        'refresh=(*_FOLLOWING, ("reference", "policy", authors.every_stage)),',
        "refresh=_FOLLOWING,",
        f"{IDENTITY_TEST} -k 2-alike",
    ),
    Fault(
        "SimPO's margin asked of the loser",
        PAIRWISE,
        "jax.nn.log_sigmoid(x - gamma)",
        "jax.nn.log_sigmoid(x + gamma)",
        expected("simpo"),
    ),
    Fault(
        "likelihoods of whole responses in ORPO",
        OBJECTIVES,
        "ratios.averaged(groups.log_probs, groups.responses.mask)",
        "ratios.summed(groups.log_probs, groups.responses.mask)",
        f"{GROUP_GRADIENTS_TEST} -k orpo",
    ),
    Fault(
        "SimPO on whole responses",
        REFERENCE_FREE,
        '            contrastive(losses.simpo, gamma="gamma"),\n'
        "            ratio=ratios.averaged,",
        '            contrastive(losses.simpo, gamma="gamma"),',
        f"{GROUP_GRADIENTS_TEST} -k simpo",
    ),
    Fault(
        "a reference that CPO does not read",
        REFERENCE_FREE,
        "        keeps=(),\n",
        "",
        "tests/algorithms/ratios_test.py -k frozen_policy",
    ),
    Fault(
        "a reference that moves at every step",
        AUTHORS,
        'step % settings["period"] == 0, moved, frozen',
        "step % 1 == 0, moved, frozen",
        f"{UPDATE_TEST} -k moves_by_its_share",
    ),
    Fault(
        "a reference that keeps the share that it should give up",
        AUTHORS,
        "share * source + (1 - share) * frozen",
        "(1 - share) * source + share * frozen",
        f"{UPDATE_TEST} -k moves_by_its_share",
    ),
    Fault(
        "TR-DPO that is DPO",
        MOVING_REFERENCE,
        'refresh=(("reference", "policy", rule),)',
        'refresh=(("iterate", "policy", rule),)',
        f"{UPDATE_TEST} -k moves_by_its_share",
    ),
    Fault(
        "pairs of equally good responses",
        SELECTION,
        "kept = jnp.max(found, -1) > jnp.min(found, -1)",
        "kept = jnp.max(found, -1) >= jnp.min(found, -1)",
        expected("iterative_rpo"),
    ),
    Fault(
        "iterative RPO from the reference",
        ITERATED,
        "Method(loss=loss, anchor=iterate, refresh",
        "Method(loss=loss, refresh",
        f"{GROUP_GRADIENTS_TEST} -k iterative_rpo",
    ),
    Fault(
        "the whole likelihood in iterative RPO",
        ITERATED,
        '"likelihood", objectives.mean_likelihood',
        '"likelihood", objectives.likelihood',
        expected("iterative_rpo"),
    ),
    Fault(
        "best and worst where RAFT keeps the best",
        ITERATED,
        "select=best,",
        "select=lambda method, groups: groups,",
        expected("raft"),
    ),
    Fault(
        "RAFT on responses that the policy writes",
        ITERATED,
        'members=draw(iterate, "num_responses"),\n            annotation="reward",\n'
        "            loss=objectives.likelihood,",
        'members=draw(authors.policy, "num_responses"),\n'
        '            annotation="reward",\n'
        "            loss=objectives.likelihood,",
        f"{GROUP_GRADIENTS_TEST} -k raft",
    ),
    Fault(
        "GRPO's deviation of a population",
        SURROGATES,
        "jnp.std(rewards, -1, ddof=1, keepdims=True)",
        "jnp.std(rewards, -1, keepdims=True)",
        f"{GROUP_GRADIENTS_TEST} -k 'paper_says and grpo'",
    ),
    Fault(
        "GRPO's deviation without a floor",
        SURROGATES,
        "advantage = advantage / (deviation + _FLOOR)",
        "advantage = advantage / deviation",
        "tests/algorithms/degeneracy_test.py -k equally_good",
    ),
    Fault(
        "a mean over the longest response in GRPO",
        SURROGATES,
        "total / jnp.maximum(readings.lengths(groups), 1)",
        "total / mask.shape[-1]",
        f"{GROUP_GRADIENTS_TEST} -k 'paper_says and grpo'",
    ),
    Fault(
        "k3 of the policy's ratio",
        SCORE,
        "found = jax.lax.stop_gradient(reference_log_probs) - log_probs",
        "found = log_probs - jax.lax.stop_gradient(reference_log_probs)",
        "tests/losses/policy_gradient_test.py -k k3",
    ),
    Fault(
        "rewards in deviations in Dr. GRPO",
        "nashalign/algorithms/rows/clipped.py",
        "group_relative(in_deviations=False, per_token=False)",
        "group_relative(in_deviations=True, per_token=False)",
        "tests/algorithms/degeneracy_test.py -k dr_grpo",
    ),
    Fault(
        "returns of one device",
        SURROGATES,
        "total, count = reduce((jnp.sum(weight * found), jnp.sum(weight)))",
        "total, count = jnp.sum(weight * found), reduce(jnp.sum(weight))",
        f"{DEVICES_TEST} -k pmap-reinforce_plus_plus",
    ),
    Fault(
        "returns in deviations of a prompt's own",
        SURROGATES,
        "(_returns(method, groups) - mean) / (deviation + _FLOOR)",
        "_returns(method, groups) / (deviation + _FLOOR)",
        f"{GROUP_GRADIENTS_TEST} -k reinforce_plus_plus",
    ),
    Fault(
        "what mismatched responses have gained on one device",
        UNPAIRED,
        "total, count = reduce((jnp.sum(weight * found[..., 0]), jnp.sum(weight)))",
        "total, count = jnp.sum(weight * found[..., 0]), jnp.sum(weight)",
        f"{DEVICES_TEST} -k pmap-kto",
    ),
    Fault(
        "responses behind their own prompts in KTO",
        UNPAIRED,
        "others = np.arange(size) ^ 1",
        "others = np.arange(size)",
        "tests/algorithms/unpaired_test.py",
    ),
    Fault(
        "KTO's losses weighed as gains",
        UNPAIRED,
        'settings["undesirable"] * jax.nn.sigmoid(gain)',
        'settings["desirable"] * jax.nn.sigmoid(gain)',
        expected("kto"),
    ),
    Fault(
        "mismatched responses that have lost count",
        UNPAIRED,
        "jnp.maximum(total / count, 0.0)",
        "total / count",
        "tests/algorithms/unpaired_test.py -k lost",
    ),
    Fault(
        "chi-PO of log-ratios",
        ROBUST,
        "            ratio=ratios.chi,\n",
        "",
        f"{GROUP_GRADIENTS_TEST} -k 'paper_says and chi_po'",
    ),
    Fault(
        "implicit rewards that are clipped at once the bound",
        PAIRWISE,
        'largest = 2 * checks.setting(bound, "bound", above=0)',
        'largest = checks.setting(bound, "bound", above=0)',
        "tests/losses/pairwise_test.py -k bounded",
    ),
    Fault(
        "WPO's weight of whole responses",
        SELECTION,
        "means = ratios.averaged(relative, groups.responses.mask)",
        "means = ratios.summed(relative, groups.responses.mask)",
        f"{GROUP_GRADIENTS_TEST} -k 'paper_says and wpo'",
    ),
    Fault(
        "collisions without the square",
        SCORING,
        "jax.nn.logsumexp(2 * jax.nn.log_softmax(logits), -1)",
        "jax.nn.logsumexp(jax.nn.log_softmax(logits), -1)",
        "tests/policies/policy_test.py -k log_collision",
    ),
    Fault(
        "an own score that is one draw",
        OWN_JUDGEMENT,
        "shape = (num_draws, *np.shape(shares)[:-1])",
        "shape = (1, *np.shape(shares)[:-1])",
        OWN_JUDGEMENT_TEST,
    ),
    Fault(
        "an own score that is the likeliest answer",
        OWN_JUDGEMENT,
        "drawn = jax.random.categorical(key, jnp.log(shares), shape=shape)",
        "drawn = jnp.broadcast_to(jnp.argmax(jnp.asarray(shares), -1), shape)",
        OWN_JUDGEMENT_TEST,
    ),
    Fault(
        "pairs of own responses that tie",
        OWN_JUDGEMENT,
        "kept = scores.max(-1) > scores.min(-1)",
        "kept = scores.max(-1) >= scores.min(-1)",
        OWN_JUDGEMENT_TEST,
    ),
    Fault(
        "an own response set against the last",
        OWN_JUDGEMENT,
        "chosen = np.stack([scores.argmax(-1), scores.argmin(-1)], -1)[kept]",
        "chosen = np.stack([scores.argmax(-1), 0 * scores.argmin(-1) - 1], -1)[kept]",
        OWN_JUDGEMENT_TEST,
    ),
    Fault(
        "the same prompts in every round of own pairs",
        OWN_JUDGEMENT,
        "begin = self.number * self.num_prompts",
        "begin = 0 * self.num_prompts",
        OWN_JUDGEMENT_TEST,
    ),
    Fault(
        "own pairs that the reference writes",
        OWN_JUDGEMENT,
        "setup, params = context.setup, context.state.params",
        "setup, params = context.setup, context.state.reference",
        OWN_JUDGEMENT_TEST,
    ),
    Fault(
        "a policy that judges itself and is held to the start policy",
        OWN_JUDGEMENT,
        "begins_stage=True,",
        "begins_stage=False,",
        f"{OWN_JUDGE_TEST} -k held_to",
    ),
    Fault(
        "a policy that is judged by the start policy",
        RUNS,
        "answer=own_judge.answering(self.task, setup.policy, state.params),",
        "answer=own_judge.answering(self.task, setup.policy, self.task.start.params),",
        f"{OWN_JUDGE_TEST} -k held_to",
    ),
    Fault(
        "an own judge that is shown what the policy has not read",
        OWN_JUDGE,
        "text if length <= most else _cut(task, _read(task, *row), most)",
        "text if length <= most else _cut(task, text, most)",
        f"{OWN_JUDGE_TEST} -k too_long",
    ),
    Fault(
        "an own judge that is shown more letters than fit",
        OWN_JUDGE,
        "(prompt, _cut(task, text, task.decoding.max_length))",
        "(prompt, text)",
        f"{OWN_JUDGE_TEST} -k 'letters or allowed'",
    ),
    Fault(
        "a question to the policy itself that does not fit",
        OWN_JUDGE,
        "if len(alone) + prompt + response + _SEAMS > model.room:",
        "if len(alone) > model.room:",
        f"{OWN_JUDGE_TEST} -k refused",
    ),
]
