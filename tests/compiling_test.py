"""Options of the compiler: given where they are known, and as asked for."""

import jax
import jax.numpy as jnp
import pytest

from nashalign import compiling


@pytest.fixture(autouse=True)
def optimised():
    """The tests' own choice, to compile nothing well, is left out."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def test_options_are_for_programs_on_a_cpu():
    options = compiling.compiler_options()
    assert options == compiling.compiler_options("cpu")
    assert compiling.compiler_options("gpu") is None
    double = jax.jit(lambda x: 2 * x, compiler_options=options)
    assert double(jnp.asarray(1.5)) == 3


def test_who_wants_no_optimisation_gets_none():
    if compiling.compiler_options() is None:
        pytest.skip("this compiler has none of the options")
    jax.config.update("jax_disable_most_optimizations", True)
    options = compiling.compiler_options()
    assert "xla_backend_optimization_level" not in (options or {})


def test_an_option_that_the_compiler_does_not_know_is_not_given(monkeypatch):
    monkeypatch.setattr(compiling, "_ON_CPU", {"xla_cpu_no_such_option": True})
    compiling._are_known.cache_clear()
    try:
        assert compiling.compiler_options() is None
    finally:
        compiling._are_known.cache_clear()
