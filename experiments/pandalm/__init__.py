"""An empirical game among five models, from people's votes."""
