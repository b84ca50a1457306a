"""Plain requests to a real API server."""

from __future__ import annotations

import http.client
import itertools
import sys
from types import FrameType
from typing import Any

import pytest

from labkit.cluster.rest import ApiServer
from labkit.lab import Lab

PATH = "/api/v1/namespaces/default"


class _InterruptAtLine:
    """Raises KeyboardInterrupt before a line of http.client's connection or response that is run, as Ctrl-C may."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if not isinstance(frame.f_locals.get("self"), http.client.HTTPConnection | http.client.HTTPResponse):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@pytest.mark.cluster
def test_no_interrupt_is_lost_and_the_request_after_it_is_answered(lab: Lab) -> None:
    api = ApiServer.from_kubeconfig(lab.kubeconfig)
    tracing = sys.gettrace()
    for line in itertools.count(1):
        assert api.get(PATH) is not None, f"interrupted at line {line - 1}"
        interrupt = _InterruptAtLine(line)
        sys.settrace(interrupt)
        try:
            api.get(PATH)
            assert interrupt.left > 0, f"the interrupt at line {line} was lost"
            break
        except KeyboardInterrupt:
            continue
        finally:
            sys.settrace(tracing)
    api.close()
    assert line > 50
