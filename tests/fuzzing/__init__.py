"""Mutated inputs for every entry point of the library; run by `tests/fuzz_test.py`.

For each a function takes a seeded generator and yields trials: inputs that somebody
could give by mistake, or that a disk could leave, with what may come of them.
"""
