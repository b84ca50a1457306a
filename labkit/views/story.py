"""A story as text and as HTML: the textbook's steps, what was seen of each, where reality has more."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from labkit.flow import EvidenceId, Extra, Stop, Story
from labkit.language import columns, gettext, gettext_noop, ngettext
from labkit.views.grid import escape
from labkit.views.scene import plain

_MORE = gettext_noop("Where reality has more")
_EVIDENCE = gettext_noop("Evidence:")


def to_text(story: Story, *, width: int = 100) -> str:
    """Return a story as plain text.

    Parameters
    ----------
    story : Story
        What to tell.
    width : int
        In characters; no line is longer, unless a single word is.
    """
    lines = [plain(story.name), ""]
    for step in story.steps:
        seen = gettext(step.seen)
        seen += " " * (8 - columns(seen))
        lines += _block(f"{step.number:>3}  {seen}  ", step.title, _hops(step.hops), step.note, width)
    if story.extra:
        lines += ["", gettext(_MORE)]
        for extra in story.extra:
            lines += _block("  +  ", extra.title, _hops(extra.hops), extra.why, width)
    if story.stop:
        stop = story.stop
        lines += [
            "",
            *_block(
                "",
                f"{_stopped(stop)} {stop.why}",
                _hops(stop.hops),
                "",
                width,
            ),
        ]
        lines += _block("     ", f"{gettext(_EVIDENCE)} {_ids(stop.evidence)}", "", "", width)
    return "\n".join(lines)


def to_html(story: Story) -> str:
    """Return a story as HTML: a list with a ``<li data-step data-hops data-seen>`` for each step; all is escaped."""
    steps = "".join(
        f'<li value="{step.number}" data-step="{step.number}" data-hops="{_numbers(step.hops)}" '
        f'data-seen="{step.seen.replace(" ", "-")}">{_item(step.title, gettext(step.seen), step.hops, step.note)}</li>'
        for step in story.steps
    )
    parts = [f'<section class="labkit-story"><h3>{escape(story.name)}</h3><ol>{steps}</ol>']
    if story.stop:
        stop = story.stop
        stopped = _stopped(stop)
        said = f"<strong>{stopped}</strong> {escape(stop.why)}"
        shown = f"<small>{escape(_hops(stop.hops))} {gettext(_EVIDENCE)} {escape(_ids(stop.evidence))}</small>"
        parts.append(f'<p class="stop" data-hops="{_numbers(stop.hops)}">{said} {shown}</p>')
    if story.extra:
        more = "".join(_extra(extra) for extra in story.extra)
        parts.append(f"<h4>{gettext(_MORE)}</h4><ul>{more}</ul>")
    return "".join([*parts, "</section>"])


def _stopped(stop: Stop) -> str:
    return gettext("Stopped at step {step}:").format(step=stop.step)


def _extra(extra: Extra) -> str:
    return f'<li data-hops="{_numbers(extra.hops)}">{_item(extra.title, "", extra.hops, extra.why)}</li>'


def _item(title: str, seen: str, hops: Sequence[int], note: str) -> str:
    about = " · ".join(filter(None, (seen, _hops(hops))))
    said = f"{escape(title)} <small>({escape(about)})</small>" if about else escape(title)
    return f"{said}<div><small>{escape(note)}</small></div>" if note else said


def _block(head: str, title: str, hops: str, note: str, width: int) -> Iterator[str]:
    """Return a title behind a head, and beneath it a note, both as far right as the title begins."""
    blank = " " * columns(head)
    first = f"{plain(title)} ({hops})" if hops else plain(title)
    yield from _wrapped(first, head, blank, width)
    if note:
        yield from _wrapped(plain(note), blank, blank, width)


def _wrapped(words: str, first: str, others: str, width: int) -> list[str]:
    return textwrap.wrap(
        words,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _hops(hops: Sequence[int]) -> str:
    if not hops:
        return ""
    return ngettext("hop {numbers}", "hops {numbers}", len(hops)).format(numbers=ranges(hops))


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers in few words: ``"1, 5 to 9"``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        gettext("{first} to {last}").format(first=run[0], last=run[-1]) if len(run) > 2 else ", ".join(map(str, run))
        for run in runs
    )


def _numbers(hops: Sequence[int]) -> str:
    return " ".join(map(str, hops))


def _ids(evidence: Sequence[EvidenceId]) -> str:
    return ", ".join(map(str, evidence))
