"""One thread that looks for something new a few times a second and paints it."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)
SETTLED = 2.0  # seconds without news


class Painter:
    """Calls `paint` at a steady rate, in a thread of its own, until it is stopped or Python ends.

    What comes faster than the rate is painted together: `paint` takes the latest. If painting takes long, the thread
    rests as long as it painted, so it never takes more than half of one processor.

    Parameters
    ----------
    paint : callable
        Paints what is new and returns whether there was anything.
    settle : callable
        Called when nothing was new for 2 s after something was, and at the end.
    hertz : float
        How many times a second to look.
    fail : callable
        Called with the error that `paint` raised; the thread then ends.
    end : callable
        Called last, however the thread ends.
    """

    def __init__(
        self,
        paint: Callable[[], bool],
        settle: Callable[[], None],
        *,
        hertz: float = 8.0,
        fail: Callable[[Exception], None],
        end: Callable[[], None],
    ) -> None:
        self._paint, self._settle, self._fail, self._end = paint, settle, fail, end
        self._interval = 1 / hertz
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labkit-painter", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def ending(self) -> bool:
        """Whether it was told to stop: what is painted now is the last."""
        return self._ended.is_set()

    def start(self) -> None:
        """Start the thread, if it was never started."""
        if self._thread.ident is None:
            atexit.register(self.stop)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after a last look; when this returns, nothing is painted any more."""
        self._ended.set()
        atexit.unregister(self.stop)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        changed = 0.0  # when something was new that has not settled yet
        rest = 0.0
        try:
            while True:
                last = self._ended.wait(rest)
                began = time.monotonic()
                if self._paint():
                    changed = time.monotonic()
                elif changed and began - changed > SETTLED:
                    changed = 0.0
                    self._settle()
                if last:
                    break
                took = time.monotonic() - began
                rest = max(self._interval - took, took)
            self._settle()
        except Exception as error:
            _log.warning("the flow is not followed any more", exc_info=True)
            self._fail(error)
        finally:
            self._end()
