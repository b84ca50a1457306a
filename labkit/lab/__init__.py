"""What notebooks and the command line use: a lab and everything one does with it."""

from labkit.lab.lab import Lab
from labkit.lab.lifecycle import attach, doctor, down, lab_names, up

__all__ = ["Lab", "attach", "doctor", "down", "lab_names", "up"]
