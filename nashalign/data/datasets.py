"""Data sets of records as array records: built once, read by random access."""

import dataclasses
import importlib
import operator
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, overload

from nashalign.data import formats, stored
from nashalign.data.records import Record


@dataclasses.dataclass(frozen=True)
class Dataset(Sequence[Record]):
    """The records of a split, each read from its file when it is asked for.

    Attributes:
      source: a TFDS data source, of examples.
      folder: where they are.
    """

    source: Sequence[Mapping[str, Any]]
    folder: pathlib.Path

    def __len__(self) -> int:
        """Counts the records."""
        return len(self.source)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place):
        """Returns the record of a place, or those of a slice, as a list."""
        if isinstance(place, slice):
            return [self[own] for own in range(len(self))[place]]
        place = range(len(self))[operator.index(place)]
        try:
            return stored.as_record(self.source[place])
        # Readers of records raise what they like.
        except Exception as error:
            raise _damaged(self.folder, error) from error


def build_dataset(
    folder: pathlib.Path | str,
    manual_dir: pathlib.Path | str,
    format: str,
    *,
    splits: Mapping[str, pathlib.PurePath | str] | None = None,
    skip_malformed: bool = False,
) -> pathlib.Path:
    """Makes a TFDS data set of what was published, unless it is there already.

    It is written beside its place and then renamed: one that is there is whole. One
    process builds it; others wait for that.

    Args:
      folder: where data sets are kept.
      manual_dir: folder with the files, as they were published.
      format: name of their format, which is that of the builder's configuration.
      splits: name -> file or folder in `manual_dir`; without them each is a split,
        named as its file is, up to the first dot.
      skip_malformed: whether a line that is not of the format is left out.

    Returns:
      The data set's folder, for `read_dataset`.

    Raises:
      ValueError: there is no such format or split, a file cannot be read, or the data
        set that is there was made of other files.
    """
    own = formats.find_format(format)
    import tensorflow_datasets as tfds

    builder = importlib.import_module("nashalign.data.builder")
    made = builder.Preferences
    place = pathlib.Path(folder, made.name, own.name, str(made.VERSION))
    wanted = builder.made_of(
        builder.find_splits(pathlib.Path(manual_dir), splits), skip_malformed
    )
    if place.exists():
        _require_same(place, wanted)
        return place
    known = {config.name for config in made.BUILDER_CONFIGS}
    config = tfds.core.BuilderConfig(name=own.name, description=own.about)
    tfds.disable_progress_bar()
    made(
        config=own.name if own.name in known else config,
        data_dir=str(folder),
        splits=splits,
        skip_malformed=skip_malformed,
    ).download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(manual_dir))
    )
    return place


def read_dataset(folder: pathlib.Path | str, split: str) -> Dataset:
    """Returns a split of a data set that `build_dataset` has made.

    Args:
      folder: the data set's own.
      split: its name, or a part of it, such as `"train[:10%]"`.

    Raises:
      ValueError: there is no such data set or split, or it is damaged.
    """
    folder = pathlib.Path(folder)
    if not (folder / "dataset_info.json").is_file():
        raise ValueError(f"{folder} is no data set that data.build_dataset has made.")
    builder = _opened(folder)
    known = list(builder.info.splits)
    if split.split("[")[0] not in known:
        raise ValueError(f"{folder} has no split {split!r}, only {', '.join(known)}.")
    return Dataset(source=builder.as_data_source(split), folder=folder)


def _opened(folder: pathlib.Path) -> Any:
    """The builder of a data set that is there."""
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(str(folder))
    # Readers of JSON and of its schema raise what they like.
    except Exception as error:
        raise _damaged(folder, error) from error


def _require_same(folder: pathlib.Path, wanted: Mapping[str, str]) -> None:
    """Requires that a data set that is there was made of these files, in this way."""
    found = dict((_opened(folder).info.metadata or {}).get("made_of", {}))
    if found != wanted:
        names = {*found, *wanted}
        other = sorted(own for own in names if found.get(own) != wanted.get(own))
        raise ValueError(
            f"the data set in {folder} was made of something else "
            f"({', '.join(other)}); delete it, or give another folder."
        )


def _damaged(folder: pathlib.Path, error: Exception) -> ValueError:
    """What there is to say of a data set that cannot be read."""
    first = (str(error).splitlines() or [""])[0][:200]
    return ValueError(
        f"the data set in {folder} is damaged ({type(error).__name__}: {first}); "
        "delete it and build it again."
    )
