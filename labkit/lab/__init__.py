"""What notebooks and the command line use: a lab and everything one does with it; a recording in its place."""

from labkit.lab.lab import Lab
from labkit.lab.lifecycle import attach, doctor, down, lab_names, preflight, up
from labkit.lab.recorded import replay

__all__ = ["Lab", "attach", "doctor", "down", "lab_names", "preflight", "replay", "up"]
