"""What tests of games share: programs that are compiled more often than they run."""

import jax
import pytest


@pytest.fixture
def compiled_quickly():
    """Leaves out the compiler's optimisations, which cost more than they bring here."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
