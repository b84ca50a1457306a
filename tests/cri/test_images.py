from pathlib import Path

import pytest

from labkit.cri.errors import NotFoundError, StateError
from labkit.cri.images import Catalogue
from labkit.cri.references import Reference
from labkit.cri.store import ImageStore
from labkit.errors import UsageError

CATALOGUE = Catalogue("v1.34.3")
OWN = """
[[image]]
name = "mine"
about = "A program of mine"
repositories = ["docker.io/library/mine"]
programs = ["{program}"]
package = "the package of mine"
command = ["true"]
"""


def name_of(text: str) -> str:
    return CATALOGUE.find(Reference.parse(text)).name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("registry.k8s.io/kube-apiserver:v1.34.3", "kube-apiserver"),
        ("registry.cn-hangzhou.aliyuncs.com/google_containers/kube-proxy:v1.34.3", "kube-proxy"),
        ("localhost/any/kube-scheduler:v1.34.3", "kube-scheduler"),
        ("mirror/kube-controller-manager:v1.34.3", "kube-controller-manager"),
        ("registry.k8s.io/etcd:3.6.5-0", "etcd"),
        ("registry.k8s.io/pause:3.10.1", "pause"),
        ("mirror/pause:3.9", "pause"),
        ("registry.k8s.io/coredns/coredns:v1.12.1", "coredns"),
        ("mirror/google_containers/coredns:v1.12.1", "coredns"),
        ("tomcat", "tomcat"),
        ("tomcat:8", "tomcat"),
        ("tomcat8", "tomcat"),
        ("mariadb:11", "mysql"),
        ("mysql:5.7", "mysql"),
        ("php:8-apache", "php"),
        ("nginx:1.27", "nginx"),
        ("busybox", "busybox"),
        ("labkit/standin", "standin"),
        ("labkit/network:0.1", "network"),
    ],
)
def test_the_catalogue_knows_what_a_cluster_and_a_learner_need(text: str, name: str) -> None:
    assert name_of(text) == name


@pytest.mark.parametrize(
    "text", ["registry.k8s.io/kube-apiserver:v1.33.0", "etcd:2.0", "coredns:v1.0", "someone/tomcat", "httpd"]
)
def test_other_tags_and_images_are_not_found_and_the_message_lists_what_is(text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        name_of(text)
    for known in ("tomcat", "kube-apiserver:v1.34.3", "busybox", "mysql"):
        assert known in str(caught.value)


def test_an_id_is_stable_and_changes_with_the_entry() -> None:
    tomcat = CATALOGUE.find(Reference.parse("tomcat"))
    assert tomcat.id == Catalogue("v1.34.3").find(Reference.parse("tomcat:9")).id
    assert tomcat.id != CATALOGUE.find(Reference.parse("nginx")).id


def test_a_digest_means_exactly_that_image() -> None:
    busybox = CATALOGUE.find(Reference.parse("busybox"))
    assert name_of(f"busybox@{busybox.id}") == "busybox"
    with pytest.raises(NotFoundError):
        name_of("busybox@sha256:" + "0" * 64)


def test_a_user_adds_an_image(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"x" * 1234)
    file = tmp_path / "mine.toml"
    file.write_text(OWN.format(program=program))
    image = Catalogue("v1.34.3", file).pull(Reference.parse("mine"))
    assert (image.name, image.size()) == ("mine", 1234)


def test_a_missing_program_is_a_pull_error_that_names_the_package(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN.format(program=tmp_path / "absent"))
    with pytest.raises(StateError, match="absent") as caught:
        Catalogue("v1.34.3", file).pull(Reference.parse("mine"))
    assert "the package of mine" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[[image]\n", "TOML"),
        ("image = 3", "tables"),
        ("[other]", "tables"),
        ('[[image]]\nname = "x"', "missing key 'repositories'"),
        ('[[image]]\nname = "x"\nabout = ""\nrepositories = []\ncolour = 1', "unknown key 'colour'"),
        ('[[image]]\nname = "x"\nabout = ""\nrepositories = "x"', "'repositories' must be a list of strings"),
        ('[[image]]\nname = "x"\nabout = ""\nrepositories = []\nroot = "?"', "'root' must be one of host, busybox"),
        ('[[image]]\nname = "x"\nabout = ""\nrepositories = []\nenv = {a = 1}', "'env' must be a table of strings"),
        ('[[image]]\nname = "x"\nabout = ""\nrepositories = []\npython = "yes"', "'python' must be true or false"),
        ('[[image]]\nname = 3\nabout = ""\nrepositories = []', "'name' must be a string"),
    ],
)
def test_an_error_in_a_users_catalogue_is_clear(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        Catalogue("v1.34.3", file)
    assert word in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_missing_catalogue_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Catalogue("v1.34.3", tmp_path / "absent.toml")


def test_the_store_knows_only_what_was_pulled_and_remembers_it(tmp_path: Path) -> None:
    store = ImageStore(CATALOGUE, tmp_path)
    assert store.find("pause:3.10.1") is None
    image = store.pull("registry.k8s.io/pause:3.10.1")
    store.pull("registry.k8s.io/pause:3.9")
    again = ImageStore(CATALOGUE, tmp_path)
    assert again.find("registry.k8s.io/pause:3.10.1") == (
        image,
        ["registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.9"],
    )
    assert again.find(image.id) == again.find("registry.k8s.io/pause:3.9")
    assert len(again.all()) == 1
    again.remove(image.id)
    again.remove(image.id)
    assert ImageStore(CATALOGUE, tmp_path).all() == []


def test_an_image_whose_entry_has_changed_counts_as_not_pulled(tmp_path: Path) -> None:
    program, file = tmp_path / "program", tmp_path / "mine.toml"
    program.write_bytes(b"x")
    file.write_text(OWN.format(program=program))
    ImageStore(Catalogue("v1.34.3", file), tmp_path).pull("mine")
    file.write_text(OWN.format(program=program) + 'workdir = "/tmp"\n')
    assert ImageStore(Catalogue("v1.34.3", file), tmp_path).find("mine") is None
