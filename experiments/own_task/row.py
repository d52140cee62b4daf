"""A row of one's own: IPO on one response of the policy and one of the reference.

nashalign align ... --method experiments/own_task/row.py:ROW --settings.tau 0.05
"""

from nashalign import algorithms, losses

ROW = algorithms.Row(
    name="ipo_against_reference",
    title="IPO against the reference",
    paper="an example of a row of one's own",
    settings=(
        algorithms.Setting(
            name="tau",
            meaning="strength of the regularisation",
            range=algorithms.settings.POSITIVE,
            default=0.1,
            source="ours",
        ),
    ),
    method=algorithms.Method(
        members=algorithms.draw(algorithms.authors.policy)
        + algorithms.draw(algorithms.authors.reference),
        annotation="preference",
        loss=algorithms.objectives.contrastive(losses.ipo),
    ),
)
