"""Exact theory of finite preference games: the oracle of everything that is trained.

Knows no models: policies are vectors, preferences are matrices.
"""

from nashalign.games.dynamics import (
    Solver,
    State,
    extragradient,
    mirror_descent,
    nash_md,
)
from nashalign.games.equilibria import nash, regularized_nash
from nashalign.games.measures import (
    best_response,
    duality_gap,
    exploitability,
    kl,
    total_variation,
    win_rates,
)
from nashalign.games.preferences import (
    check,
    dice,
    from_rewards,
    intransitive_share,
    population,
    random_preference,
    rock_paper_scissors,
)
from nashalign.games.token_games import (
    TokenTree,
    token_mixture_fixed_point,
    token_tree,
)

__all__ = [
    "Solver",
    "State",
    "TokenTree",
    "best_response",
    "check",
    "dice",
    "duality_gap",
    "exploitability",
    "extragradient",
    "from_rewards",
    "intransitive_share",
    "kl",
    "mirror_descent",
    "nash",
    "nash_md",
    "population",
    "random_preference",
    "regularized_nash",
    "rock_paper_scissors",
    "token_mixture_fixed_point",
    "token_tree",
    "total_variation",
    "win_rates",
]
