"""Colours that stay apart for people with any colour vision, and visible on white."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from labkit.flow import actor
from labkit.flow.actors import ETCD
from labkit.views.palette import ACTORS, DARK, LIGHT, paint
from tests.views.flows import on

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1.0, for linear sRGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # IEC 61966-2-1


def linear(color_: str) -> np.ndarray:
    channels = np.array([int(color_[index : index + 2], 16) / 255 for index in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(color_: str) -> float:
    return float(TO_XYZ[1] @ linear(color_))


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def lab(color_: str, vision: str) -> tuple[float, float, float]:
    seen = np.clip(np.array(VISION[vision]) @ linear(color_), 0, 1)
    x, y, z = np.cbrt(TO_XYZ @ seen / np.array([0.9505, 1.0, 1.089]))
    return float(116 * y - 16), float(500 * (x - y)), float(200 * (y - z))


PALETTES = {"light": LIGHT, "dark": DARK}


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("page", PALETTES)
def test_no_two_actors_look_the_same(page: str, vision: str) -> None:
    paints = [PALETTES[page][key] for key in ACTORS]
    for first, second in itertools.combinations(paints, 2):
        assert math.dist(lab(first, vision), lab(second, vision)) > 10, (first, second)


@pytest.mark.parametrize("page", PALETTES)
def test_lines_and_text_are_visible(page: str) -> None:
    palette = PALETTES[page]
    for ground in (palette["paper"], palette["ground"]):
        assert contrast(palette["ink"], ground) >= 7
        assert contrast(palette["quiet"], ground) >= 4.5
        assert min(contrast(palette[key], ground) for key in ACTORS) >= 4
    assert min(contrast(palette[key], palette["paper"]) for key in ACTORS) >= 4.5  # a number on its actor's colour


def test_both_pages_have_the_same_colours() -> None:
    assert list(LIGHT) == list(DARK)


def test_each_actor_has_its_own() -> None:
    users = ["system:kube-scheduler", "system:node:node-01", "system:apiserver"]
    users += [f"system:serviceaccount:kube-system:{name}-controller" for name in ("deployment", "replicaset", "job")]
    found = [
        actor("admin", "kubectl/v1"),
        *map(actor, users),
        ETCD,
        on("runtime", "node-01"),
        on("kube-proxy", "node-01"),
    ]
    assert sorted(map(paint, found)) == sorted(ACTORS)
