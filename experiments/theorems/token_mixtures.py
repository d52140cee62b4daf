"""How far mixing tokens is from mixing responses: by length, mix and tau.

Methods that write from the token-level mixture come to rest where it is almost, but not
quite, the Nash policy of tau / (1 - mix). Here is by how much: mean total variation
over random games on all strings of three tokens up to a length. It vanishes for one
token, and is proportional to mix (1 - mix) / tau^2 while tau is large (rows of the
table). With length it grows where tau is small; where tau is large it is largest at two
or three tokens: the more strings there are, the more alike are their win rates against
a mixture of them all.
"""

import matplotlib.figure

from experiments.theorems.theorem import mixture, random_games, total_variation
from nashalign import games

LENGTHS, TAUS, MIXES = (1, 2, 3, 4), (0.02, 0.1, 0.5), (0.125, 0.5, 0.75)


def distances(
    length: int, tau: float, mix: float, num_games: int = 20
) -> tuple[float, float]:
    """Returns mean distances over random games: of mixtures, and of fixed points.

    The first is that of the token-level mixture at rest from the Nash policy of
    tau / (1 - mix); the second, of the policy from the one that has it as its mixture.
    """
    tree = games.token_game(3, length, lambda y, z: 0.5).tree
    preference, reference = random_games(16, num_games, tree.passes.shape[1])
    token = games.token_mixture_fixed_point(tree, preference, reference, tau, mix)
    mixed = games.regularized_nash(preference, reference, tau / (1 - mix))
    sequence = mixture(mixed, reference, -mix / (1 - mix))
    writer = tree.mixture(token, reference, mix)
    return (
        float(total_variation(writer, mixed).mean()),
        float(total_variation(token, sequence).mean()),
    )


def draw() -> matplotlib.figure.Figure:
    """Draws the distance of the mixture from its Nash policy, a panel a tau."""
    figure = matplotlib.figure.Figure(figsize=(10, 3.2), layout="constrained")
    for axes, tau in zip(figure.subplots(1, 3), TAUS, strict=True):
        for mix in MIXES:
            values = [distances(length, tau, mix)[0] for length in LENGTHS]
            axes.plot(LENGTHS, values, "o-", markersize=4, label=f"mix = {mix}")
        axes.set(xlabel="tokens", title=f"tau = {tau}", xticks=LENGTHS)
        axes.set_ylim(bottom=0)
        axes.grid(color="0.92")
    figure.axes[0].set_ylabel("total variation from Nash")
    figure.axes[0].legend(frameon=False)
    return figure
