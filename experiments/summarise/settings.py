"""The values of every row's settings that are chosen for this task.

Responses here have at most 24 tokens, a run has 60 updates, and the learned preference
is mostly in [.2, .8]. Win rates in the comments are of one run each, on 128 validation
prompts (+-.05) that another data set had: reasons for a choice, which rank nothing.
"""

from nashalign import algorithms, alignment


def chosen_settings() -> dict[str, alignment.Settings]:
    """Returns settings of all rows: the chosen ones, and the table's elsewhere."""
    return {
        name: alignment.settings_type(name)(**_CHOSEN.get(name, {}))
        for name in algorithms.TABLE
    }


MEASURED = ("rl", "online_dpo", "online_slic", "online_ipo", "nash_md_pg", "ipo_md")
"""Rows whose tau had the highest mean win rate in the sweep; the others follow them.

It is the exact population's, on validation prompts: the choice has seen what a user of
learned judges would not have. The interval of its lead on the tau beside it holds zero.
"""


def _each(names: str, **values: float) -> dict[str, dict[str, float]]:
    """The same values for several rows."""
    return {name: values for name in names.split()}


_CHOSEN: dict[str, dict[str, float]] = {
    # From the sweep; other policy gradients have RL's tau, where papers have 0 to .05,
    # and online pairs with the reference as anchor online DPO's.
    **_each("rl rloo ppo spo self_play_pg best_response_pg", tau=0.01),
    **_each("reinforce_plus_plus", tau=0.01),
    **_each("online_dpo oaif_dpo osp", tau=0.02),
    **_each("online_slic", tau=0.05),
    **_each("online_ipo egpo", tau=0.005),  # Targets of 1 / (2 tau) nats at most.
    **_each("nash_md_pg", tau=0.01, mix=0.125),
    **_each("ipo_md", tau=0.005, mix=0.125),
    **_each("nash_ema_pg", tau=0.01, decay=0.9),  # These move within 60 updates.
    **_each("mpo", tau=0.02, period=20),
    **_each("bond", decay=0.95),
    # Four responses, for time. GRPO's advantages are about as large as rewards, which
    # are in standard deviations; at Dr. GRPO's own tau, 0, nothing ends a run.
    **_each("grpo dr_grpo", tau=0.01, num_responses=4),
    **_each("bonbon", num_responses=4),
    # Pairs of the data set, logistic: nobody answers for what the policy does beyond
    # the data, hence a larger tau than online DPO's; log-odds of 1 are 20 nats. KTO:
    # half of the responses are above the mean reward, which is 0.
    **_each("dpo cdpo rdpo tdpo1 tdpo2 preference_degree mcts_dpo sail_ddp", tau=0.05),
    # Own pairs, of a score that the start policy has not been taught to give.
    **_each("self_rewarding", tau=0.05),
    **_each("chi_po wpo kto", tau=0.05),
    **_each("sequential_po", tau=0.05, period=20),
    **_each("ipo", tau=0.02),
    **_each("mixed_po", dpo_tau=0.05, tau=0.01),
    # Raw log-probabilities of two responses differ by ten nats and more, by length
    # above all. Where the margin is not larger, or the softness times them not smaller
    # than the log-odds of a vote, these rows first make long responses as likely as
    # short ones: at margin 10, or alpha .1, they lose to the start policy (.41, .38),
    # and soft PO wins little at this alpha (.51; weighted, .50).
    **_each("slic_hf", margin=40.0),
    **_each("soft_po soft_po_ranked", alpha=0.02),
    **_each("soft_po_weighted", alpha=0.02, power=0.01),
    **_each("tr_dpo tr_dpo_hard", tau=0.1, period=20),  # Margins add up twice.
    # From no reference, and not swept. SimPO's log-odds of 1 are half a nat a token;
    # CPO has soft PO's softness, and a likelihood of weight 1 would be all that is
    # learnt. ORPO's has been learnt already.
    **_each("simpo", tau=2.0, gamma=0.6),
    **_each("cpo", tau=0.02, likelihood=0.005),
    **_each("orpo", odds=1.0),
    # Likelihood alone: the start policy has been trained by it already, and at the
    # others' rate takes steps that are mostly noise. SFT stays at it (.1 nats, .50).
    **_each("sft rwr", learning_rate=1e-4),
    # The levels at the ends hold a fifth of the responses each. By likelihood, sixty
    # updates do not teach the policy to read them: told the lowest or the highest, it
    # writes what the reward model finds equally good (.12 and .15), and does not win
    # (.50). By pairs it learns to read (-1.29 and .59).
    **_each("conditional", lowest=-1.5, highest=1.5),
    **_each("reward_augmented", tau=0.05, lowest=-1.5, highest=1.5),
    # SPIN loses to the start policy (.47; at tau 1, .45): reviewers prefer the authors'
    # summaries (.59), but what is learnt first about how the two differ is not why.
    **_each("spin alpha_spin", period=20),
    # Hard labels are further from 1/2 than what the tuned rows see, and where margins
    # add up over rounds, or one response is always the reference's, nothing else stops
    # a run. With the tau of the rows that have soft labels these went 12 to 30 nats
    # away, and lost: OAIF (SLiC) .20, DNO-Prct .34, SELM .37, XPO .43.
    **_each("oaif_ipo", tau=0.03),
    **_each("oaif_slic", tau=0.3),
    **_each("xpo", tau=0.1),
    **_each("optune", tau=0.2),
    **_each("selm", tau=0.5, period=20),
    **_each("dno_prct", tau=0.5, margin=0.2, period=20, num_responses=4),
    # DICE's rounds only take DPO's way further: at the others' rate too far (.43).
    **_each("dice", tau=0.3, period=20, num_responses=4, learning_rate=2e-4),
    # Own pairs that the policy labels itself teach what it believes already (SAIL-DPP
    # .52); SAIL-DPR has verdicts on them (.54).
    **_each("sail_dpp sail_dpr", tau=0.05),
    # The anchor moves with the policy, so that margins add up over rounds; by the token
    # a likelihood of weight 1 would outweigh pairs of short responses.
    **_each("iterative_dpo", tau=0.05, period=10, num_responses=4),
    **_each("iterative_rpo", tau=0.05, likelihood=0.1, period=10, num_responses=4),
    **_each("raft", period=10, num_responses=4),
    **_each("bpo", tau=0.05, period=10),
    **_each("rebel", eta=5.0, period=5),
    # The gap closes within the run. Learnt is the policy's own idea of an answer (.50).
    **_each("self_prompting", half_life=30.0),
    # Mirror-descent steps: eta (p - 1/2) is 5 to 30 nats in a round of ten updates,
    # between online IPO's target of 60 and what ten updates can reach; eta tau is the
    # papers' third, or quarter.
    **_each("sppo rspo", eta=50.0, period=10, num_responses=4),
    **_each("dno onpo", eta=50.0, period=10),
    **_each("inpo", tau=0.003, eta=100.0, period=10),
    **_each("comal", tau=0.003, eta=100.0, period=10, num_inner=2),
    **_each("mnpo", tau=0.003, eta=100.0, recent=0.7, period=10),
    **_each("nash_mirror_prox", tau=0.005, eta=50.0, period=10),
}
