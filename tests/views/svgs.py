"""What tests ask of a scene and of its SVG."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from labkit.views.metrics import width
from labkit.views.scene import Path, Rect, Scene, Text

SVG = "{http://www.w3.org/2000/svg}"
Extent = tuple[float, float, float, float]


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text


def words(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def hops(svg: str) -> list[ET.Element]:
    return [group for group in parsed(svg).iter(f"{SVG}g") if "hop" in group.get("class", "").split()]


def texts(scene: Scene) -> Iterator[tuple[str, Extent]]:
    """Return the texts that are seen, with left, top, right and bottom."""
    for group in scene.groups:
        for shape in group.visible(scene.step is not None):
            if isinstance(shape, Text):
                wide = width(shape.text, shape.size, bold=shape.bold)
                left = shape.x - {"start": 0, "middle": wide / 2, "end": wide}[shape.anchor]
                yield shape.text, (left, shape.y - 0.75 * shape.size, left + wide, shape.y + 0.2 * shape.size)


def shapes(scene: Scene, kind: str) -> Iterator[Extent]:
    """Return where the shapes of groups of a kind are, without texts."""
    for group in scene.groups:
        if group.kind == kind:
            for shape in group.shapes:
                if isinstance(shape, Rect):
                    yield shape.x, shape.y, shape.x + shape.width, shape.y + shape.height
                elif isinstance(shape, Path):
                    for piece in shape.pieces:
                        xs, ys = zip(*piece, strict=True)
                        yield min(xs), min(ys), max(xs), max(ys)


def overlap(first: Extent, second: Extent) -> bool:
    """Return whether two have more than an edge in common; a line without thickness can cross a box too."""
    return (
        first[0] < second[2] - 0.01
        and second[0] < first[2] - 0.01
        and first[1] < second[3] - 0.01
        and second[1] < first[3] - 0.01
    )


def inside(extent: Extent, scene: Scene) -> bool:
    return extent[0] >= 0 and extent[1] >= 0 and extent[2] <= scene.width and extent[3] <= scene.height
