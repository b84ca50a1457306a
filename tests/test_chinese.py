"""What a learner reads where LABKIT_LANG names Chinese: a verdict, a story, a table, pictures, panels; from "
"recordings."""

# ruff: noqa: RUF001 - Chinese punctuation

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

import labkit
from labkit.checks import kube_proxy, start, steps
from labkit.checks.verdict import Verdict
from labkit.cluster import preflight
from labkit.cluster.preflight import Level, Report
from labkit.errors import PreflightError, UsageError
from labkit.lab import replay
from labkit.lab.happenings import Explanation
from labkit.lab.recorded import Replay
from labkit.language import columns
from labkit.proxy import mode as kube_proxy_mode
from labkit.views import architecture, player, score, story, table, why
from labkit.widgets.exercise import ExercisePanel
from labkit.widgets.flow import FlowPanel

CHINESE = re.compile("[\N{CJK UNIFIED IDEOGRAPH-4E00}-\N{CJK UNIFIED IDEOGRAPH-9FFF}]")
#: Words of English sentences, which no name of Kubernetes has.
ENGLISH = re.compile(r"\b(?:the|of|is|was|hears?|hop|observed|inferred)\b")


@pytest.fixture(autouse=True, scope="module")
def _chinese() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_LANG", "zh_CN.UTF-8")
        yield


@pytest.fixture(scope="module")
def recording(_chinese: None) -> Replay:
    return replay("deploy-tomcat")


@pytest.fixture(scope="module")
def explained(recording: Replay) -> Explanation:
    return recording.explain("tomcat")


def test_a_verdict_with_its_evidence(explained: Explanation) -> None:
    answer = dict.fromkeys(start.THINGS, "kubectl")
    verdict = start.asked_for(explained.flow, answer)
    assert verdict.right is False
    assert repr(verdict).startswith("✘ 还不对。你给出的 4 个中，有 3 个请求的不是那个。")
    assert verdict.evidence[0].startswith("kubectl 发送了 第 1 跳：创建 Deployment tomcat，期望 1 个 Pod")
    assert "<p>证据：</p>" in verdict._repr_html_()
    assert str(steps.HAPPENINGS).splitlines()[0] == "A: Pod 被绑定到一个节点"
    assert steps.order(explained.flow, "DEBAC").right
    assert repr(steps.order(explained.flow, None)).startswith("… 还没有答案。请用你的答案替换 None：")


def test_the_story_of_the_fourteen_steps(explained: Explanation) -> None:
    assert len(explained.story.steps) == 14
    text = story.to_text(explained.story)
    for step in explained.story.steps:
        assert CHINESE.search(step.title), step.title
        assert not ENGLISH.search(step.title + step.note), step
    assert re.search(r"^  8  观测到的  调度器得知它们，并计算出最合适的节点 \(第 .* 跳\)$", text, re.MULTILINE)
    assert "实际比教科书多出的部分" in text


def test_tables_stay_in_line_though_chinese_characters_are_twice_as_wide(
    recording: Replay, explained: Explanation
) -> None:
    lines = table.to_text(explained.flow, table.NARROW).splitlines()
    assert lines[0].split()[-3:] == ["如何得知", "谁", "内容"]
    place = columns(lines[0].partition("如何得知")[0])
    assert {columns(re.split("观测到的|推断的", line)[0]) for line in lines[2:]} == {place}
    decision = recording.why(next(iter(explained.flow.pods)))
    assert "第 1 次尝试" in why.to_html(decision)
    assert "可行" in decision.to_text()
    done = score.Task("Exercise", right=True, attempts=2)
    assert score.to_text([done]).splitlines()[0] == "1 题中有 1 题正确"


def test_a_picture_says_the_same_in_words(explained: Explanation) -> None:
    drawn = architecture.to_svg(explained.flow)
    assert "实线：观测到的。虚线：按规则推断的。" in drawn
    assert "个请求 · " in drawn


def test_panels_send_their_pages_texts_along(explained: Explanation, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ExercisePanel("练习", "为什么？", lambda _answer: Verdict(None, ""), choices=kube_proxy.REASONS)
    assert asked.words["Check"] == "检查"
    sent, shown = asked.state["choices"][0]
    assert (sent, shown) == (kube_proxy.NO_POD, "没有 Pod 带有 Service 所要求的标签")
    assert shown in asked.still_html()
    assert "还没有答案。" in asked.still_html()
    asked.close()
    panel = FlowPanel(explained.flow, explained.story)
    assert panel.flow["words"]["Play"] == "播放"
    assert "个观测到" in panel.flow["summary"]
    panel.close()
    monkeypatch.setenv("LABKIT_LANG", "en")
    assert player.payload(explained.flow)["words"] == {}


def test_all_texts_that_pages_mark_are_found() -> None:
    folder = Path(labkit.__file__).parent
    pages = [page.read_text("utf-8") for page in folder.glob("*/static/*.js")]
    assert len(pages) > 15
    for page in pages:
        assert page.count("gettext(") == len(re.findall(r'gettext\("|function gettext\(', page))
        assert set(re.findall(r'gettext\("((?:[^"\\]|\\.)*)"', page)) == set(player.translations(page))


@pytest.mark.parametrize(
    ("wrong", "what", "why", "fix"),
    [
        (lambda: labkit.up(workers=99), "一个实验环境不能有 99 个工作节点", "它可以有 0 到 50 个", "例如 --workers 2"),
        (
            lambda: kube_proxy_mode.check("userspace"),
            "kube-proxy 没有模式 'userspace'",
            "它的模式有 iptables, nftables, ipvs",
            "请选择一个",
        ),
        (lambda: labkit.up(provider="cloud"), "没有名为 'cloud' 的 provider", "", "请从 auto, rootless, kind, "),
    ],
)
def test_a_wrong_command_is_answered(wrong: Callable[[], object], what: str, why: str, fix: str) -> None:
    with pytest.raises(UsageError) as refused:
        wrong()
    error = refused.value
    assert error.what == what
    assert error.why == why
    assert error.fix.startswith(fix)
    assert str(error).endswith(f"怎么办：{error.fix}")


def test_what_this_machine_has_and_lacks(tmp_path: Path) -> None:
    found = Report(tuple(preflight.checks(path=str(tmp_path))))
    for check in found.checks:
        assert CHINESE.search(check.why), check
        assert not ENGLISH.search(f"{check.why} {check.found} {check.fix}"), check
    shown = found._repr_html_()
    assert "回环接口上的端口" in shown
    assert ">必需<" in shown
    assert {check.level for check in found.checks} <= set(get_args(Level))
    with pytest.raises(PreflightError, match="这台机器还不能运行实验环境：") as refused:
        preflight.require(found.checks)
    assert "在 PATH 和 sbin 文件夹中都没有找到（需要它是因为：" in refused.value.why
