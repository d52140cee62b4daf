"""Mutated inputs for every door of the library; run by `tests/fuzz_test.py`.

A door is a function that takes a seeded generator and yields trials: inputs that
somebody could give by mistake, or that a disk could leave, with what may come of them.
"""
