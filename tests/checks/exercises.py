"""The notebooks' exercises, and which test sees each one's solution right and a wrong answer explained."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jupytext

from tests.notebooks import FOLDER

CHECKS = "labkit.checks"

#: A file of this folder and a test in it for each exercise of a notebook, in the notebook's order.
TESTS: dict[str, tuple[tuple[str, str], ...]] = {
    "00_start_here": (
        ("test_start", "test_who_asked_for_what"),
        ("test_start", "test_which_nodes_got_no_points"),
        ("test_start", "test_a_deployment_that_is_served"),
    ),
    "01_architecture": (
        ("test_architecture", "test_which_are_static_pods"),
        ("test_architecture", "test_who_speaks_to_etcd"),
        ("test_architecture", "test_as_whom_a_component_is_known"),
        ("test_architecture", "test_what_stops_when_the_scheduler_stops"),
    ),
    "02_pods": (
        ("test_pods", "test_what_the_containers_share"),
        ("test_pods", "test_how_the_neighbour_is_reached"),
        ("test_pods", "test_a_pod_of_ones_own"),
    ),
    "03_deploy_tomcat": (
        ("test_steps", "test_the_order_of_what_happens"),
        ("test_steps", "test_what_was_inferred"),
        ("test_steps", "test_a_cluster_held_between_two_steps"),
    ),
    "04_scheduler": (
        ("test_scheduling", "test_who_turned_a_node_down"),
        ("test_scheduling", "test_who_turned_down_a_node_without_the_label"),
        ("test_scheduling", "test_pods_sent_to_a_node"),
    ),
    "05_controllers": (
        ("test_controllers", "test_who_heals"),
        ("test_controllers", "test_a_pod_is_taken_out"),
        ("test_controllers", "test_an_update_within_limits"),
        ("test_controllers", "test_pods_with_a_new_owner"),
    ),
    "06_kube_proxy": (
        ("test_kube_proxy", "test_the_share_of_a_rule"),
        ("test_kube_proxy", "test_which_pod_a_packet_reached"),
        ("test_kube_proxy", "test_whose_rules_they_are"),
        ("test_kube_proxy", "test_why_a_service_refuses"),
    ),
    "06_kube_proxy_measured": (
        ("test_kube_proxy_measured", "test_from_which_request_rules_follow"),
        ("test_kube_proxy_measured", "test_which_rules_outlived_a_pod"),
        ("test_kube_proxy_measured", "test_what_one_more_service_costs"),
    ),
    "07_birth": (
        ("test_nodes", "test_what_a_check_protects"),
        ("test_init", "test_who_noticed_a_mistake"),
        ("test_init", "test_in_which_phase_it_was_made"),
    ),
    "07_birth_after": (
        ("test_certificates", "test_who_signed_a_certificate"),
        ("test_certificates", "test_an_annotation_reached_the_pod"),
        ("test_nodes", "test_who_refused_an_eviction"),
        ("test_nodes", "test_how_a_node_is_registered_again"),
    ),
    "07_birth_join": (
        ("test_join", "test_which_token_lives_longest"),
        ("test_join", "test_who_said_yes"),
        ("test_nodes", "test_a_node_is_repaired"),
    ),
    "08_drills": (
        ("test_drills", "test_what_a_request_needs"),
        ("test_drills", "test_who_starts_a_killed_component_again"),
        ("test_drills", "test_a_component_that_is_broken_is_found"),
    ),
    "09_inside_etcd": (
        ("test_etcd", "test_where_an_object_is_kept"),
        ("test_etcd", "test_which_revision_set_a_field"),
        ("test_etcd", "test_what_was_removed_is_brought_back"),
        ("test_etcd", "test_how_far_back_etcd_tells"),
    ),
    "10_exam": (
        ("test_exam", "test_the_shop_is_repaired"),
        ("test_exam", "test_the_service_leads_to_its_pods"),
        ("test_exam", "test_which_pod_the_packet_reached"),
        ("test_exam", "test_the_order_of_the_steps"),
        ("test_exam", "test_what_twins_share"),
        ("test_exam", "test_as_whom_kube_proxy_is_known"),
        ("test_exam", "test_the_archive_is_on_its_node"),
        ("test_exam", "test_who_stands_still"),
    ),
}


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook: a cell tagged ``exercise``."""

    notebook: str
    number: int
    #: The functions of `labkit.checks` that its cell calls, as ``("scheduling", "sent_to")``.
    checks: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.notebook}, exercise {self.number}"

    @property
    def test(self) -> tuple[str, str] | None:
        tests = TESTS.get(self.notebook, ())
        return tests[self.number - 1] if self.number <= len(tests) else None


def notebooks() -> list[str]:
    """Return the notebooks' names, in their order."""
    return sorted(path.stem for path in (FOLDER / "src").glob("*.py"))


@functools.cache
def exercises(notebook: str) -> tuple[Exercise, ...]:
    """Return a notebook's exercises, in its order."""
    cells = jupytext.read(FOLDER / "src" / f"{notebook}.py").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    names = dict(_modules("\n".join(cell.source for cell in code)))
    tagged = [cell.source for cell in code if "exercise" in cell.metadata.get("tags", [])]
    return tuple(Exercise(notebook, number, _called(source, names)) for number, source in enumerate(tagged, 1))


def of_test(file: str, name: str) -> list[Exercise]:
    """Return the exercises for which a test answers."""
    return [each for notebook in notebooks() for each in exercises(notebook) if each.test == (file, name)]


def function(check: tuple[str, str]) -> Callable[..., object] | None:
    """Return a function of a module of `labkit.checks`; None for what is no check."""
    found = getattr(importlib.import_module(f"{CHECKS}.{check[0]}"), check[1], None)
    return found if inspect.isfunction(found) and found.__annotations__.get("return") == "Verdict" else None


def _modules(source: str) -> Iterator[tuple[str, str]]:
    """Yield by which name a notebook knows which module of `labkit.checks`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == CHECKS:
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)


def _called(source: str, names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = [
        (names[each.value.id], each.attr)
        for each in called
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id in names
    ]
    return tuple(check for check in found if function(check))
