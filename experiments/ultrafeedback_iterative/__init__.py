"""Iterations over parts of UltraFeedback: SPPO, INPO, DNO-Prct and COMAL."""
