"""Checks of the notebooks' exercises: each says why an answer is wrong, with evidence from the cluster."""
