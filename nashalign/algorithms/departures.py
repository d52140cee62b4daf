"""What each paper does that its row does not, one line each.

Said of the row as it is by default, for language models; what a setting can bring back
is said so. A row without a line follows its paper's algorithm as far as that is known
here: learning rates, batches and data sets are nobody's.
"""

_ONE_PROMPT_SET = "prompts come from one set; the paper takes new ones each iteration"
_TWO_SOFT = (
    "trains on two random draws with soft labels; the paper on the best and the worst "
    "of K with hard ones"
)
_OWN_EXAMPLE = (
    "the KL is along one response to each pair's own prompt; the paper samples other "
    "prompts now and then"
)
_PARTIAL_KL = "the gradient of the KL leaves out that of the prefixes"
_GUO = (
    "the annotator is whoever is given; the paper's is an LLM, asked in both orders",
    "responses are drawn at the run's temperature, not at .9",
)
_SAIL = (
    "every step takes a share of each loss; the paper draws one for each example",
    "labels of its own are taken in expectation; the paper draws them",
    "the score-function term has the sign that is derived; the released code has "
    "another sign and scale",
)
_SECOND_HAND = "written from descriptions of the paper, whose formula is not public"

DEPARTURES: dict[str, tuple[str, ...]] = {
    "rl": ("two responses are each other's baseline; the paper's is not known here",),
    "rloo": (),
    "ppo": (
        "the critic is a linear head on the policy's states, behind a stop-gradient; "
        "the paper's is a network of its own",
        "advantages are not whitened",
        "an epoch is one step on the whole batch, without minibatches",
        "no pretraining gradients are mixed in",
    ),
    "bonbon": (
        "the pair loss is IPO's, as in the paper; its released code has the logistic",
        "responses of the reference are drawn during training, not once before it",
    ),
    "bond": (
        "the weight of the additional KL, tau, is ours",
        "the backward reward has no baseline",
    ),
    "sft": (),
    "dpo": ("labels may be soft",),
    "cdpo": ("labels may be soft",),
    "rdpo": ("labels may be soft",),
    "ipo": ("labels may be soft", "tau is that of public implementations"),
    "slic_hf": (
        "pairs are a data set's; the paper also ranks samples of the SFT policy",
        "the likelihood is the winner's; the paper also takes the data set's target",
        "the weight of the likelihood is ours",
    ),
    "soft_po": (_OWN_EXAMPLE, _PARTIAL_KL, "the weight of the KL is ours"),
    "soft_po_weighted": (
        "the paper's form of the weight is not public: a power of the pair's "
        "likelihood, over its geometric mean in the batch",
        _OWN_EXAMPLE,
        _PARTIAL_KL,
        "the weight of the KL is ours",
    ),
    "soft_po_ranked": (
        "the annotator's choice among K is that of Bradley-Terry's model of rewards",
        _OWN_EXAMPLE,
        _PARTIAL_KL,
        "the weight of the KL is ours",
    ),
    "tdpo1": ("labels may be soft",),
    "tdpo2": ("labels may be soft",),
    "filtered": (
        "keeps the best of each prompt; the paper also filters by a threshold",
    ),
    "rwr": (
        "rewards are not normalised over the data set, and weights not clipped, but "
        "divided by the largest of the batch",
    ),
    "conditional": (
        "rewards are told by one of a few levels; the paper prints two decimals",
        "rewards are not normalised over the data set",
    ),
    "reward_augmented": (
        "scores are told by one of a few levels, behind the prompt; the paper's are in "
        "a system message, from 1 to 10",
        "labels are not smoothed; a recipe of the paper's smooths them by 0.3",
    ),
    "preference_degree": (
        _SECOND_HAND,
        "key content is taken as the rarest tokens; the paper's extractor finds key "
        "phrases",
        "a response has one degree, by its example's number; the paper makes several "
        "of one response",
        "number of degrees and the weight of telling them apart are ours",
    ),
    "sequential_po": (
        _SECOND_HAND,
        "the order of the dimensions is ours",
        "one `retain` for all dimensions",
        "what the dimensions before have taught counts together, iterate over "
        "reference; the paper weighs each",
    ),
    "spin": (
        "the iterate writes anew at every step; the paper writes once an iteration",
    ),
    "alpha_spin": (
        "the opponent is the last iterate alone; the paper also mixes older ones",
        "the iterate writes anew at every step; the paper writes once an iteration",
        "the value of `follow` is ours",
    ),
    "online_dpo": (),
    "online_slic": (),
    "online_ipo": (),
    "ipo_md": (),
    "oaif_dpo": _GUO,
    "oaif_ipo": _GUO,
    "oaif_slic": _GUO,
    "osp": (
        "the judge is whoever is given; in the paper it is the policy itself, prompted",
        "the strength of a pair follows Bradley-Terry's model; the paper's is not "
        "public",
        "number of responses and tau are ours",
    ),
    "self_prompting": (
        _SECOND_HAND,
        "conditions are token strings behind the prompt; the paper prompts in words",
        "the schedule of the gap is ours",
    ),
    "bpo": (
        "one policy; the paper trains an ensemble of adapters and merges it",
        "two responses a prompt; the paper draws 12 and takes 2 of them",
        "the length of a phase is ours",
    ),
    "optune": (
        "regeneration is between rounds (`recipes.regenerate`), not in the row",
        "the weight's form and sharpness are ours: the paper's are not public",
    ),
    "sail_ddp": _SAIL,
    "sail_dpp": _SAIL,
    "sail_dpr": (_SAIL[0], _SAIL[2]),
    "selm": (
        "no epoch of DPO comes first",
        "labels are the annotator's verdicts; the paper ranks three with PairRM",
    ),
    "xpo": (),
    "iterative_dpo": (
        "no uncertainty bonus and no second agent: the paper's practical recipe alone",
        _ONE_PROMPT_SET,
    ),
    "rebel": ("no KL penalty in the reward; code of the paper's subtracts one",),
    "dice": (
        "the penalty is a token's; the paper's is a character's",
        "every step replays a share of the pairs, to the same prompts; the paper mixes "
        "two disjoint sets of prompts",
        "a prompt is left out with fewer than two finished responses, not eight; the "
        "shortest and longest are kept",
    ),
    "mcts_dpo": (
        "the update is DPO's: the search is between rounds (`recipes.searched`), not "
        "in the row",
        "values and pairs are those of this search; the paper's judge evaluates itself "
        "and adds an outcome",
    ),
    "nash_md_pg": (),
    "self_play_pg": (),
    "best_response_pg": (),
    "nash_ema_pg": (
        "a running mean of parameters; the paper's recursion, as it is printed, would "
        "stay where it starts",
    ),
    "spo": (
        "the policy step is a plain policy gradient; the paper leaves it to any RL",
        "number of responses and tau are ours: the paper's runs are not on language",
    ),
    "sppo": (
        "trains on every response, algorithm 1; the paper's runs keep the best and the "
        "worst",
        "the iterate writes anew at every step; the paper writes once an iteration",
        _ONE_PROMPT_SET,
    ),
    "dno": (
        "win rates are over four more responses, not expectations",
        "the last policy is kept; the paper takes the mixture of all or the best",
    ),
    "dno_prct": (
        "no replay of earlier iterations' pairs",
        "the margin is of win rates; the paper's is on a rubric of six points",
        "the last policy is kept; the paper takes the best on validation",
    ),
    "inpo": (_TWO_SOFT, _ONE_PROMPT_SET),
    "rspo": (
        "trains on every response; the paper's runs keep the best and the worst",
        "the weights of both divergences are ours",
    ),
    "comal": (_TWO_SOFT, "the length of an iteration is INPO's: the paper's is open"),
    "onpo": (
        "a third and a fourth response stand for win rates; the paper's pairwise loss "
        "is not public",
        "eta and period are ours",
    ),
    "egpo": (
        "both halves see the same prompts, with fresh responses and fresh answers",
        "pairs are the policy's own; the theory takes uniform ones",
        "y and z are drawn at the run's temperature, not at 2",
    ),
    "nash_mirror_prox": (
        "a proximal step is so many steps of regression; the paper takes a few of "
        "policy gradient with a slowly moving target",
        "eta and the length of a step are ours",
    ),
    "mpo": (
        "no proximal KL(policy, iterate): the magnet alone holds the policy",
        "advantages are a response's; the paper's are a token's",
        "tau and period are ours",
    ),
    "mnpo": (
        _TWO_SOFT,
        "the opponent is the last iterate alone, as in the paper's practical loss",
    ),
}
"""Row -> lines; the table puts them into the rows."""
