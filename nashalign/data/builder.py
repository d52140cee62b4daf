"""The TensorFlow Datasets builder of every format. Imported where it is used.

It downloads nothing and needs no TensorFlow: it reads a local copy of what was
published, and writes array records.
"""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

import tensorflow_datasets as tfds

from nashalign import checks
from nashalign.data import formats, reading, stored
from nashalign.data.records import Record


class Preferences(tfds.core.GeneratorBasedBuilder):
    """Prompts, responses to them, and what people said of these."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put the files of the data set, as they were published, into `manual_dir`."
    )
    # Nothing is downloaded; looking for checksums would import importlib_resources,
    # which TFDS does not require.
    url_infos = None
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=own.name, description=own.about)
        for own in formats.FORMATS.values()
    ]

    def __init__(
        self,
        *,
        splits: Mapping[str, pathlib.PurePath | str] | None = None,
        skip_malformed: bool = False,
        **kwargs,
    ):
        """Makes the builder.

        Args:
          splits: name -> file or folder in `manual_dir`; None takes `find_splits`.
          skip_malformed: whether a line that is not of the format is left out.
          **kwargs: those of `tfds.core.GeneratorBasedBuilder`: `config`, the name of a
            format, and `data_dir`.
        """
        self._splits, self._skip_malformed = splits, skip_malformed
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the features; records stay in the order of their files."""
        text = tfds.features.Text
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            disable_shuffling=True,
            features=tfds.features.FeaturesDict(
                {
                    "prompt": text(),
                    "messages": tfds.features.Sequence(
                        {"role": text(), "content": text()}
                    ),
                    "responses": tfds.features.Sequence(text()),
                    # As text, since numbers would be stored in 32 bits.
                    "scores": tfds.features.Sequence(text()),
                    "votes": tfds.features.Sequence(text()),
                    "authors": tfds.features.Sequence(text()),
                    "others": text(),
                }
            ),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, download_manager) -> dict[str, Iterator]:
        """Reads every split, notes what was met and returns the examples."""
        config = checks.present(self.builder_config, "builder_config")
        folder = pathlib.Path(download_manager.manual_dir)
        paths = find_splits(folder, self._splits)
        found = {
            split: reading.read(path, config.name, skip_malformed=self._skip_malformed)
            for split, path in paths.items()
        }
        metadata = checks.present(self.info.metadata, "metadata")
        metadata["read"] = {split: str(own) for split, own in found.items()}
        metadata["made_of"] = made_of(paths, self._skip_malformed)
        return {
            split: self._generate_examples(own.records) for split, own in found.items()
        }

    def _log_download_bytes(self) -> None:
        """Says nothing: there is no download."""

    def _log_download_done(self) -> None:
        """Says nothing either."""

    def _generate_examples(self, records: Sequence[Record]) -> Iterator:
        """Yields the examples of a split."""
        for index, record in enumerate(records):
            yield index, stored.as_example(record)


def find_splits(
    folder: pathlib.Path, named: Mapping[str, pathlib.PurePath | str] | None = None
) -> dict[str, pathlib.Path]:
    """Returns the file or folder of each split.

    Args:
      folder: with what was published.
      named: split -> path within the folder; None makes a split of each file and of
        each folder with files that can be read, with its name up to the first dot.

    Raises:
      ValueError: there are none, one is not there, or two have one name.
    """
    if named is not None:
        found = {split: folder / path for split, path in named.items()}
        for split, path in found.items():
            if not path.exists():
                raise ValueError(f"split {split!r}: {path} is not there.")
        return found
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    found = {}
    for path in (*reading.listed(folder), *filter(reading.listed, folders)):
        split = path.name.split(".")[0]
        if split in found:
            raise ValueError(
                f"{path} and {found[split]} would both be split {split!r}; name files "
                "by `splits`."
            )
        found[split] = path
    if not found:
        raise ValueError(f"{folder} has no file of JSON, nor a folder with one.")
    return found


def made_of(paths: Mapping[str, pathlib.Path], skip_malformed: bool) -> dict[str, str]:
    """Returns what decides the content of a data set: what is read, and how."""
    known = {split: reading.fingerprint(path) for split, path in paths.items()}
    return known | {"skip_malformed": str(skip_malformed)}
