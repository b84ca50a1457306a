"""The player's payload and its page as text: plain JSON, the same every time, nothing of it can become markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from labkit.flow import Flow
from labkit.views import player
from tests.views import played

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028&"'


class _Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_payload_is_json_with_every_hop_and_the_same_every_time() -> None:
    flow = played.tomcat()
    data = player.payload(flow, played.story(), played.details())
    assert json.loads(json.dumps(data)) == data
    assert data == player.payload(flow, played.story(), played.details())
    assert [hop["number"] for hop in data["hops"]] == list(range(1, 13))
    binding = data["hops"][7]
    assert data["actors"][binding["from"]]["name"] == "scheduler"
    assert (binding["start"], binding["end"], binding["code"]) == (24.0, 29.0, 201)
    assert data["summary"] == "12 hops: 9 observed, 3 inferred · 1.33 s"


def test_a_hop_is_filtered_by_who_is_not_the_api_server() -> None:
    data = player.payload(played.tomcat())
    assert [data["actors"][hop["party"]]["name"] for hop in data["hops"][:3]] == [
        "kubectl",
        "etcd",
        "deployment-controller",
    ]


def test_noise_is_what_moves_nothing() -> None:
    hops = player.payload(played.tomcat())["hops"]
    assert [hop["number"] for hop in hops if hop["noise"]] == [6, 12]


def test_the_axis_folds_long_idle_stretches_and_keeps_the_order() -> None:
    data = player.payload(played.tomcat())
    axis, hops = data["axis"], data["hops"]
    assert [fold["ms"] for fold in axis["folds"]] == [32.0, 1229.0, 41.0]
    by_time = [hop["x"] for hop in sorted(hops, key=lambda hop: hop["start"])]
    assert by_time == sorted(by_time)
    assert (by_time[0], by_time[-1]) == (0, 1)
    assert by_time[8] > 0.25, "nine hops in the first 29 ms of 1331 have room"
    places = [label["x"] for label in axis["labels"]]
    assert min(after - before for before, after in pairwise(places)) >= 0.08


def test_a_flow_without_hops_is_a_page_too() -> None:
    flow = Flow(played.tomcat().subject, ())
    assert player.payload(flow)["hops"] == []
    assert "No hops yet" in player.to_html(flow)


def test_names_with_markup_stay_text() -> None:
    flow = played.tomcat(HOSTILE)
    page = player.to_html(flow, played.story(), played.details(HOSTILE), pictures=played.pictures(flow))
    names = _Elements(page).names
    assert names.count("script") == 2
    assert "alert(1)" not in "".join(re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    data = re.search(r'<script type="application/json" id="flow">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert not set(data[1]) & set("<>&\u2028\u2029")
    assert json.loads(data[1])["hops"][3]["what"] == f"creates pod {HOSTILE}"


def test_the_page_loads_nothing_and_lets_no_other_script_run() -> None:
    page = player.to_html(played.tomcat())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]+"', page)
    assert "import " not in re.sub(r"//.*|/\*.*?\*/", "", player.script())


def test_without_scripts_there_is_the_picture_and_the_table() -> None:
    flow = played.tomcat()
    still = player.still(flow, pictures=played.pictures(flow))
    assert still.count("<img") == 2
    assert still.count("<tr") == len(flow.hops) + 1
    assert "script" not in _Elements(still).names


def test_save(tmp_path: Path) -> None:
    file = player.save_html(played.tomcat(), tmp_path / "tomcat.html")
    assert file.read_text(encoding="utf-8") == player.to_html(played.tomcat())
