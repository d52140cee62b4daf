"""The protocol of Munos et al. 2023 and Calandriello et al. 2024, on TL;DR and XSum."""
