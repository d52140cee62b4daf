"""Learned judges as folders: Hugging Face's of a model with a score for its head.

A reward model's folder is nothing but that, whoever wrote it. One of a pairwise model
says so in its `config.json`: its head is read after the other response as well. Several
judges that are asked as one are a folder of such folders, and `ensemble.json`.
"""

import json
import pathlib
from collections.abc import Sequence

from nashalign import conventions, data, json_file, policies, writing
from nashalign.preferences import ensembles
from nashalign.preferences.models import PairwiseModel, RewardModel

JUDGES = {"preference": PairwiseModel, "reward": RewardModel}
"""The kinds of judges, by what methods read."""

COMBINATIONS = {"mean": ensembles.mean, "worst_case": ensembles.worst_case}
"""What becomes of several judges' rewards, by the name that a folder has for it."""

_ENSEMBLE = "ensemble.json"
# Hugging Face's readers pass over names like this one, as ours do.
_CONFIG, _KIND = "config.json", "_judge"


def save_judge(
    folder: pathlib.Path,
    judge: PairwiseModel | RewardModel,
    config: policies.Config,
    tokenizer_folder: pathlib.Path,
) -> None:
    """Writes a judge as a Hugging Face folder, of a model with a score for its head.

    `AutoModelForSequenceClassification` of transformers reads a reward model with equal
    scores, of texts that end as ours do, with an end token. That token must not be its
    padding, which it does not see: a folder whose tokenizer has one for both says that
    there is no padding, and transformers then scores one text at a time.

    Args:
      folder: made if need be.
      judge: the model.
      config: shape of its language model.
      tokenizer_folder: of the tokenizer whose tokens it reads, which goes along.
    """
    tokenizer = data.load_tokenizer(tokenizer_folder)
    pad_id = judge.pad_id if isinstance(judge, RewardModel) else None
    if pad_id is None and tokenizer.pad_id not in tokenizer.eos_id:
        pad_id = tokenizer.pad_id
    kind = next(name for name, own in JUDGES.items() if isinstance(judge, own))
    options = {"pad_token_id": pad_id, _KIND: kind}
    policies.save_scorer(
        folder, judge.params, config, tokenizer_folder, options=options
    )


def save_ensemble(
    folder: pathlib.Path,
    judges: Sequence[PairwiseModel | RewardModel],
    combine: str,
    config: policies.Config,
    tokenizer_folder: pathlib.Path,
) -> None:
    """Writes several judges of one kind as a folder that is asked as one.

    Args:
      folder: made if need be; the judges are in folders of it, `1`, `2` and so on.
      judges: at least one.
      combine: what becomes of their rewards, a name in `COMBINATIONS`; pairwise models
        have none, and are asked for their mean.
      config: see `save_judge`.
      tokenizer_folder: see `save_judge`.

    Raises:
      ValueError: there is no judge, or no such way to combine what they say.
    """
    kinds = {type(judge) for judge in judges}
    if len(kinds) != 1:
        raise ValueError(f"an ensemble is of one kind of judge, and {len(kinds)} came")
    _combination(combine, kinds.pop() is RewardModel, folder)
    members = [str(number) for number in range(1, len(judges) + 1)]
    for name, judge in zip(members, judges, strict=True):
        save_judge(folder / name, judge, config, tokenizer_folder)
    written = {"members": members, "combine": combine}
    with writing.replacing(folder / _ENSEMBLE) as partial:
        partial.write_text(json.dumps(written, indent=2) + "\n")


def is_judge(folder: pathlib.Path) -> bool:
    """Returns whether a folder holds a judge, or several."""
    return (folder / _ENSEMBLE).is_file() or policies.is_scorer(folder)


def load_judge(
    folder: pathlib.Path, tokenizer_folder: pathlib.Path
) -> PairwiseModel | RewardModel | ensembles.Ensemble:
    """Returns the judge of a folder, or the several that are asked as one.

    Args:
      folder: what `save_judge` or `save_ensemble` has written, or a reward model of
        Hugging Face's: a `...ForSequenceClassification` with one label.
      tokenizer_folder: of the policy that is judged, whose tokens the judge reads.

    Raises:
      ValueError: it holds no judge, is damaged, or reads the tokens of another
        tokenizer.
    """
    if not is_judge(folder):
        raise ValueError(
            f"{folder} holds no judge: there is no {_CONFIG} in it that names a class "
            "...ForSequenceClassification of a known family."
        )
    if (folder / _ENSEMBLE).is_file():
        return _load_ensemble(folder, tokenizer_folder)
    path = folder / _CONFIG
    options = json_file.read_object(path)
    kind, pad_id = options.get(_KIND, "reward"), options.get("pad_token_id")
    if not isinstance(kind, str) or kind not in JUDGES:
        raise ValueError(f"{path}: {_KIND} names no kind of judge of {list(JUDGES)}.")
    whole = isinstance(pad_id, int) and not isinstance(pad_id, bool)
    if pad_id is not None and not (whole and -(2**31) <= pad_id < 2**31):
        raise ValueError(f"{path}: pad_token_id is {pad_id!r:.60}, not a token's id.")
    _require_same_tokens(folder, tokenizer_folder)
    closing = data.load_tokenizer(tokenizer_folder).closing_id
    start = policies.load_scorer(folder)
    padding = {"pad_id": pad_id} if kind == "reward" else {}
    return JUDGES[kind](
        params=start.params, policy=start.policy, eos_id=closing, **padding
    )


def _load_ensemble(folder, tokenizer_folder) -> ensembles.Ensemble:
    """The judges of a folder, and what becomes of their answers."""
    path = folder / _ENSEMBLE
    found = json_file.read_object(path)
    names, combine = found.get("members"), found.get("combine")
    listed = isinstance(names, list) and all(isinstance(own, str) for own in names)
    if not listed or not names:
        raise ValueError(f"{path}: members is {names!r:.60}; it must be folders' names")
    # A name that leads elsewhere would read what nobody has given.
    if wrong := [own for own in names if pathlib.PurePath(own).name != own]:
        raise ValueError(
            f"{path}: members has {wrong[0]!r:.60}, not a folder beside it"
        )
    judges = []
    for name in names:
        if (folder / name / _ENSEMBLE).is_file():
            raise ValueError(f"{path}: {name} is an ensemble itself; name its members")
        judges.append(load_judge(folder / name, tokenizer_folder))
    scored = [isinstance(judge, RewardModel) for judge in judges]
    if len(set(scored)) > 1:
        raise ValueError(f"{path}: some members are reward models and some are not")
    return ensembles.Ensemble(
        members=tuple(judges), combine=_combination(combine, scored[0], path)
    )


def _combination(combine, scored, path) -> ensembles.Combine:
    """What becomes of judges' answers, of those that they have."""
    known = list(COMBINATIONS) if scored else ["mean"]
    if combine not in known:
        raise ValueError(
            f"{path}: combine is {combine!r:.60}; for judges of this kind it is one of "
            f"{', '.join(known)}"
        )
    return COMBINATIONS[combine]


def _require_same_tokens(folder, tokenizer_folder):
    """Requires that a judge knows every token of a policy by the same id."""
    own, other = (
        conventions.read_tokenizer(place)[0].get_vocab(with_added_tokens=True)
        for place in (folder, tokenizer_folder)
    )
    wrong = sorted((i, text) for text, i in other.items() if own.get(text) != i)
    if wrong:
        i, text = wrong[0]
        raise ValueError(
            f"the judge in {folder} reads other tokens than {tokenizer_folder} writes: "
            f"{text!r:.60} is {i} there, and {own.get(text, 'none')} to the judge. "
            "Train a judge that begins with this policy."
        )
