"""Exact theory of finite preference games: the oracle of everything that is trained.

Knows no models: policies are vectors, preferences are matrices.
"""

from nashalign.games.convergence import Settling, settling
from nashalign.games.dynamics import Solver, State, make_solver, run, voting
from nashalign.games.equilibria import nash, nash_vertices
from nashalign.games.families import (
    block_cyclic,
    dice,
    low_rank,
    planted,
    random_preference,
    rock_paper_scissors,
    three_cycle,
)
from nashalign.games.gradient_flows import (
    ipo_md,
    nash_md_pg,
    online_dpo,
    online_ipo,
    online_slic,
    self_play_pg,
)
from nashalign.games.measures import (
    best_response,
    duality_gap,
    exploitability,
    kl,
    nash_conv,
    total_variation,
    win_rates,
)
from nashalign.games.mirror import (
    dno,
    fictitious_play,
    inpo,
    mirror_descent,
    nash_ema,
    nash_md,
)
from nashalign.games.optimistic import (
    extragradient,
    nash_mirror_prox,
    omwu,
    onpo,
)
from nashalign.games.preferences import (
    check,
    check_policy,
    from_rewards,
    from_votes,
    population,
)
from nashalign.games.proximal import (
    chi_squared,
    comal,
    forward_kl,
    magnetic_descent,
    multiplayer,
    reverse_kl,
    rspo,
)
from nashalign.games.regressions import rebel, sppo
from nashalign.games.regularized import regularized_nash
from nashalign.games.structure import (
    BradleyTerryFit,
    acyclic,
    condorcet_winner,
    fit_bradley_terry,
    intransitive_share,
    top_cycle,
)
from nashalign.games.sweeps import average_gap, last_gap, sweep
from nashalign.games.token_games import (
    TokenGame,
    TokenTree,
    token_game,
    token_mixture_fixed_point,
    token_tree,
)

__all__ = [
    "BradleyTerryFit",
    "Settling",
    "Solver",
    "State",
    "TokenGame",
    "TokenTree",
    "acyclic",
    "average_gap",
    "best_response",
    "block_cyclic",
    "check",
    "check_policy",
    "chi_squared",
    "comal",
    "condorcet_winner",
    "dice",
    "dno",
    "duality_gap",
    "exploitability",
    "extragradient",
    "fictitious_play",
    "fit_bradley_terry",
    "forward_kl",
    "from_rewards",
    "from_votes",
    "inpo",
    "intransitive_share",
    "ipo_md",
    "kl",
    "last_gap",
    "low_rank",
    "magnetic_descent",
    "make_solver",
    "mirror_descent",
    "multiplayer",
    "nash",
    "nash_conv",
    "nash_ema",
    "nash_md",
    "nash_md_pg",
    "nash_mirror_prox",
    "nash_vertices",
    "omwu",
    "online_dpo",
    "online_ipo",
    "online_slic",
    "onpo",
    "planted",
    "population",
    "random_preference",
    "rebel",
    "regularized_nash",
    "reverse_kl",
    "rock_paper_scissors",
    "rspo",
    "run",
    "self_play_pg",
    "settling",
    "sppo",
    "sweep",
    "three_cycle",
    "token_game",
    "token_mixture_fixed_point",
    "token_tree",
    "top_cycle",
    "total_variation",
    "voting",
    "win_rates",
]
