"""Data sets of records as array records: built once, read by random access."""

import dataclasses
import importlib
import itertools
import operator
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, overload

from nashalign.data import formats, stored
from nashalign.data.records import Record

# What TFDS calls the builder here, its description of a data set, and its files.
_NAME, _INFO, _RECORDS = "preferences", "dataset_info.json", ".array_record-"


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
    builder = _opened(folder)
    _require_split(folder, split, list(builder.info.splits))
    return Dataset(source=builder.as_data_source(split), folder=folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where records lie that `build_dataset` has written.

    Attributes:
      folder: the data set's own.
      split: one of its splits; None for all.
    """

    folder: pathlib.Path
    split: str | None = None

    @property
    def title(self) -> str:
        """What tables call it: its format, and the split."""
        named = self.folder.parent.name
        return named if self.split is None else f"{named}, {self.split}"

    def files(self) -> list[pathlib.Path]:
        """Returns the array records, by name.

        Raises:
          ValueError: there is no such split, or the data set is damaged.
        """
        names = {own.split("[")[0] for own in self._splits()}
        found = (sorted(self.folder.glob(f"*-{own}{_RECORDS}*")) for own in names)
        return sorted(itertools.chain.from_iterable(found))

    def records(self, format: str) -> list[Record]:
        """Returns the records, split by split, in the order of the files.

        Args:
          format: by whose name they are asked for; `"records"` takes any.

        Raises:
          ValueError: they were of another format, there is no such split, or the data
            set is damaged.
        """
        made = _opened(self.folder).info.config_name
        if format not in (made, "records"):
            raise ValueError(
                f"the data set in {self.folder} was made of the format {made!r}, and "
                f"{format!r} is asked for; leave --format out."
            )
        return [
            own for split in self._splits() for own in read_dataset(self.folder, split)
        ]

    def _splits(self) -> list[str]:
        """The names of the splits that are read."""
        known = sorted(_opened(self.folder).info.splits)
        if self.split is None:
            return known
        _require_split(self.folder, self.split, known)
        return [self.split]


def find_place(path: pathlib.Path) -> Place | None:
    """Returns which data set a path names: its folder, or `FOLDER/SPLIT`.

    None where it names something else.
    """
    if _is_dataset(path):
        return Place(folder=path)
    if not path.exists() and _is_dataset(path.parent):
        return Place(folder=path.parent, split=path.name)
    return None


def _is_dataset(folder: pathlib.Path) -> bool:
    """Whether a folder holds a data set, of any library, or what is left of one."""
    return (folder / _INFO).is_file() or _has_records(folder)


def _has_records(folder: pathlib.Path) -> bool:
    """Whether a folder has array records."""
    return any(folder.glob(f"*{_RECORDS}*"))


def _require_split(folder: pathlib.Path, split: str, known: Sequence[str]) -> None:
    """Requires a split that there is."""
    if split.split("[")[0] not in known:
        raise ValueError(f"{folder} has no split {split!r}, only {', '.join(known)}.")


def _opened(folder: pathlib.Path) -> Any:
    """The builder of a data set that is there."""
    import tensorflow_datasets as tfds

    foreign = f"{folder} is no data set that data.build_dataset has made"
    if not (folder / _INFO).is_file() or not _has_records(folder):
        raise ValueError(f"{foreign}: it has no {_INFO} with array records beside it.")
    try:
        found = tfds.builder_from_directory(str(folder))
    # Readers of JSON and of its schema raise what they like.
    except Exception as error:
        raise _damaged(folder, error) from error
    if found.name != _NAME:
        raise ValueError(f"{foreign}: it is TFDS's {found.name!r:.60}.")
    return found


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
