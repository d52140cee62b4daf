"""Online preference optimisation of language models, seen as a two-player game."""
