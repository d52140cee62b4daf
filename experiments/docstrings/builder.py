"""The `docstrings` data set: code and its one-line summary, as array records.

A TensorFlow Datasets builder that downloads nothing and needs no TensorFlow: it reads
the Python sources that are installed, writes array records, and the data sources that
come back are random-access sequences of dictionaries of bytes.
"""

import contextlib
import dataclasses
import difflib
import fcntl
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import rich.console
import tensorflow_datasets as tfds

from experiments.docstrings import harvest, sources
from experiments.docstrings.sources import Source
from nashalign import checks, terminal

COUNTS = ("files", "unparsable", "duplicates")

_SOURCES = {
    "standard_library": sources.standard_library,
    "dependencies": lambda: sources.standard_library() + sources.dependencies(),
    "installed": lambda: sources.standard_library() + sources.installed(),
}


class Docstrings(tfds.core.GeneratorBasedBuilder):
    """Function code and docstring summaries of installed packages, split by package."""

    VERSION = tfds.core.Version("1.0.0")
    # Nothing is downloaded; looking for checksums would import importlib_resources,
    # which TFDS does not require.
    url_infos = None
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name="standard_library", description="The standard library alone."
        ),
        tfds.core.BuilderConfig(
            name="dependencies",
            description="The standard library and this project's dependencies.",
        ),
        tfds.core.BuilderConfig(
            name="installed",
            description="The standard library and every installed distribution.",
        ),
    ]

    def __init__(
        self,
        *,
        sources: Sequence[Source] | None = None,
        console=None,
        **kwargs,
    ):
        """Makes the builder.

        Args:
          sources: the files to read, instead of those that the configuration names.
          console: where the progress bar goes; a new one where it is left out.
          **kwargs: those of `tfds.core.GeneratorBasedBuilder`, such as `data_dir`.
        """
        self._sources = sources
        self._console = console or terminal.console()
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns the features; the counts are added by the harvest."""
        names = [field.name for field in dataclasses.fields(harvest.Pair)]
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {name: tfds.features.Text() for name in names}
            ),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, download_manager) -> dict[str, Iterator]:
        """Harvests, notes the counts and returns each split's examples."""
        del download_manager
        sources = self._sources
        if sources is None:
            config = checks.present(self.builder_config, "builder_config")
            sources = _SOURCES[config.name]()
        found = harvest.harvest(sources, self._console)
        if not any(found.pairs.values()):
            raise ValueError(
                f"There is no documented function in {found.files} files, of which "
                f"{found.unparsable} are not valid Python; name other packages."
            )
        metadata = checks.present(self.info.metadata, "metadata")
        metadata.update({name: getattr(found, name) for name in COUNTS})
        return {
            split: self._generate_examples(pairs)
            for split, pairs in found.pairs.items()
            if pairs
        }

    def _log_download_bytes(self) -> None:
        """Says nothing: there is no download, and the harvest has a progress bar."""

    def _log_download_done(self) -> None:
        """Says nothing either."""

    def _generate_examples(self, pairs: list[harvest.Pair]) -> Iterator:
        """Yields the examples of a split."""
        for index, pair in enumerate(pairs):
            yield index, dataclasses.asdict(pair)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    """The splits of a data set, and what its harvest met.

    Attributes:
      splits: split name -> random-access sequence of examples, dictionaries of bytes;
        splits without examples are absent.
      files: number of files read.
      unparsable: number of files that are not valid Python and were skipped.
      duplicates: number of pairs dropped because they occur elsewhere.
      folder: where the examples are kept.
    """

    splits: Mapping[str, Sequence[Mapping[str, bytes]]]
    files: int
    unparsable: int
    duplicates: int
    folder: pathlib.Path

    def pairs(self, split: str) -> list[harvest.Pair]:
        """Returns all examples of a split as text.

        Raises:
          ValueError: if there is no such split, or its records are damaged.
        """
        if split not in self.splits:
            raise ValueError(
                f"The data set has no split {split!r}, only {sorted(self.splits)}."
            )
        with _sound(self.folder):
            return [
                harvest.Pair(**{name: text.decode() for name, text in example.items()})
                for example in self.splits[split]
            ]


def docstrings(
    data_dir: pathlib.Path | str,
    packages: str = "dependencies",
    *,
    sources: Sequence[Source] | None = None,
    console: rich.console.Console | None = None,
) -> Corpus:
    """Returns the docstrings data set, harvested at the first call only.

    The data set is built in a folder of its own and then renamed: one that is there is
    whole, whenever an earlier build was killed. A second process waits for the first.

    Args:
      data_dir: where data sets are kept.
      packages: `dependencies` (the standard library and this project's run-time
        dependencies), `installed` (the standard library and all distributions) or
        `standard_library` (nothing else).
      sources: the files to read instead, at the first call.
      console: where the progress bar goes.

    Returns:
      The splits and the counts.

    Raises:
      ValueError: if `packages` is something else, if nothing was found, or if the
        project's dependencies are unknown because it is not installed; or if what was
        harvested before is damaged, naming the folder to delete.
    """
    if packages not in _SOURCES:
        near = difflib.get_close_matches(packages, _SOURCES, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"packages is {packages!r}, and must be one of {sorted(_SOURCES)}{hint}"
        )
    tfds.disable_progress_bar()
    data_dir = pathlib.Path(data_dir)
    folder = data_dir / Docstrings.name / packages / str(Docstrings.VERSION)
    with _alone_in(data_dir, packages):
        if not folder.exists():
            builder = Docstrings(
                config=packages,
                data_dir=str(data_dir),
                sources=sources,
                console=console,
            )
            builder.download_and_prepare()
    with _sound(folder):
        builder = Docstrings(config=packages, data_dir=str(data_dir))
        metadata = checks.present(builder.info.metadata, "metadata")
        read: Any = builder.as_data_source  # whose decorator hides what it takes
        return Corpus(
            splits={split: read(split) for split in builder.info.splits},
            **{name: int(metadata[name]) for name in COUNTS},
            folder=folder,
        )


@contextlib.contextmanager
def _sound(folder: pathlib.Path) -> Iterator[None]:
    """Makes every error of the block, which reads a data set, say what to delete."""
    try:
        yield
    # Readers of JSON, of its schema and of records raise what they like.
    except Exception as error:
        first = (str(error).splitlines() or [""])[0][:200]
        raise ValueError(
            f"The data set in {folder} is damaged ({type(error).__name__}: {first}). "
            f"Delete {folder} to have it harvested again."
        ) from error


@contextlib.contextmanager
def _alone_in(data_dir: pathlib.Path, packages: str) -> Iterator[None]:
    """Holds the folder of data sets, and clears away what killed builds have left."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with open(data_dir / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in data_dir.glob(f"{Docstrings.name}/{packages}/incomplete.*"):
            shutil.rmtree(left)
        yield
