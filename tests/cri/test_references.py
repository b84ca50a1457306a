import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cri.errors import ArgumentError
from labkit.cri.references import Reference

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("tomcat", "docker.io/library/tomcat:latest"),
        ("tomcat:8", "docker.io/library/tomcat:8"),
        ("docker.io/tomcat", "docker.io/library/tomcat:latest"),
        ("index.docker.io/tomcat", "docker.io/library/tomcat:latest"),
        ("labkit/network:1", "docker.io/labkit/network:1"),
        ("registry.k8s.io/coredns/coredns:v1.12.1", "registry.k8s.io/coredns/coredns:v1.12.1"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ("[::1]:5000/app:2", "[::1]:5000/app:2"),
        (f"tomcat@{DIGEST}", f"docker.io/library/tomcat@{DIGEST}"),
        (f"tomcat:9@{DIGEST}", f"docker.io/library/tomcat:9@{DIGEST}"),
    ],
)
def test_a_reference_is_completed_as_docker_completes_it(text: str, complete: str) -> None:
    assert str(Reference.parse(text)) == complete


@pytest.mark.parametrize(
    "text", ["", "Tomcat", "a//b", "tomcat:", "tomcat@", "tomcat:a b", "tomcat@sha256:12", "-a/b:c", "a/../b"]
)
def test_what_is_no_reference_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ArgumentError, match="not an image reference") as caught:
        Reference.parse(text)
    assert "name in lower case" in caught.value.why


@given(st.text(max_size=80))
def test_any_text_is_a_reference_that_parses_to_itself_or_an_argument_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except ArgumentError:
        return
    assert Reference.parse(str(reference)) == reference
