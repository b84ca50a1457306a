"""The catalogue's images do what they are for; what is not in the catalogue says what is."""

from __future__ import annotations

import pytest

from labkit.lab import Lab
from labkit.progress import Progress
from tests import traces
from tests.pods.space import Space, config_map, container, fetch, pod, service

pytestmark = pytest.mark.cluster

TOMCATS = {"tomcat": "tomcat", "tomcat-8": "tomcat:8", "tomcat8": "tomcat8"}
PAGE = """<?php
$blog = new PDO('mysql:host=127.0.0.1;dbname=blog', 'writer', getenv('PASSWORD'));
$blog->exec('CREATE TABLE IF NOT EXISTS post (title VARCHAR(80))');
if (isset($_GET['title'])) $blog->prepare('INSERT INTO post VALUES (?)')->execute([$_GET['title']]);
foreach ($blog->query('SELECT title FROM post') as $post) echo "<h1>{$post['title']}</h1>\\n";
echo $blog->getAttribute(PDO::ATTR_SERVER_VERSION);
"""


@pytest.fixture(scope="module", autouse=True)
def _pods(space: Space) -> None:
    writer = [{"name": "MYSQL_DATABASE", "value": "blog"}, {"name": "MYSQL_USER", "value": "writer"}]
    passwords = [{"name": name, "value": "quill"} for name in ("MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD")]
    php = container("php", image="php", env=[{"name": "PASSWORD", "value": "quill"}],
                    volumeMounts=[{"name": "pages", "mountPath": "/var/www/html"}])  # fmt: skip
    mysql = container("mysql", image="mysql:8", env=[*writer, *passwords])
    mysql["readinessProbe"] = {"tcpSocket": {"port": 3306}, "periodSeconds": 1}
    pages = {"name": "pages", "configMap": {"name": "pages"}}
    unknown = {"image": "registry.example/nobody/nothing:1"}
    space.create(
        *(pod(name, container("main", image=image)) for name, image in TOMCATS.items()),
        config_map("pages", **{"index.php": PAGE}),
        pod("blog", php, mysql, volumes=[pages], labels={"app": "blog"}),
        service("blog", "blog", 80, 80),
        pod("nginx", container("main", image="nginx:1.25")),
        pod("client", container("main", "sleep 1000")),
        pod("unknown", container("main", **unknown)),
        pod("never", container("main", imagePullPolicy="Never", **unknown)),
        pod("wrong-name", container("main", image="Not An Image")),
    )
    space.until_ready("client")


def test_unknown_image_says_what_there_is(space: Space) -> None:
    waiting = space.until("unknown", lambda status: status.state.waiting.reason != "ContainerCreating").state.waiting
    assert waiting.reason in {"ErrImagePull", "ImagePullBackOff"}
    events = ["get", "events", "--field-selector=involvedObject.name=unknown,reason=Failed", "-o"]
    said = space.kubectl(*events, "jsonpath={..message}")
    assert "Error: ErrImagePull" in said
    for text in (waiting.message, said):
        assert "registry.example/nobody/nothing:1 is not in the lab's catalogue" in text
        for image in ("tomcat", "php", "mysql", "nginx", "busybox", "labkit/standin"):
            assert image in text


def test_unknown_image_that_must_not_be_pulled(space: Space) -> None:
    waiting = space.until("never", lambda status: status.state.waiting.reason != "ContainerCreating").state.waiting
    assert waiting.reason == "ErrImageNeverPull"


def test_name_that_is_no_reference(space: Space) -> None:
    waiting = space.until("wrong-name", lambda status: status.state.waiting.reason != "ContainerCreating").state.waiting
    assert waiting.reason == "InvalidImageName"


def test_nginx(space: Space) -> None:
    space.until_ready("nginx")
    address = space.pod("nginx").status.pod_ip
    assert "nginx" in space.exec("client", f"wget -qO- http://{address}")
    assert '"GET / HTTP/1.1" 200' in space.kubectl("logs", "nginx")


def test_blog_of_two_containers(space: Space) -> None:
    """PHP reads MariaDB over the pod's own 127.0.0.1; what one visitor writes, another reads, through a Service."""
    space.until_ready("blog")
    assert "<h1>" not in space.exec("client", "wget -qO- http://blog/")
    space.exec("client", "wget -qO- 'http://blog/?title=Pods+share+localhost'")
    page = space.exec("client", "wget -qO- http://blog/")
    assert "<h1>Pods share localhost</h1>" in page
    assert "MariaDB" in page
    tables = ["exec", "blog", "-c", "mysql", "--", "mariadb", "-uroot", "-pquill", "-h127.0.0.1", "-Ne"]
    assert space.kubectl(*tables, "SELECT title FROM blog.post") == "Pods share localhost"


@pytest.mark.parametrize("name", TOMCATS)
def test_tomcat_names_where_it_runs(space: Space, name: str) -> None:
    space.until_ready(name)
    found = space.pod(name)
    ask = f"wget -qO- http://{found.status.pod_ip}:8080"
    traces.eventually(lambda: space.run("exec", "client", "--", "sh", "-c", ask).returncode == 0, 60)
    page = space.exec("client", ask)
    assert "Apache Tomcat/10.1" in page
    assert "successfully installed Tomcat" in page
    assert f"Served by pod {name}, address {found.status.pod_ip}, node {found.spec.node_name}" in page


def test_tomcat_through_labkit_open(lab: Lab) -> None:
    lab.deploy("tomcat-open", image="tomcat:9", progress=Progress())
    try:
        assert "Served by pod tomcat-open-" in fetch(lab.open("svc/tomcat-open"))
    finally:
        lab.kubectl("delete deployment,service tomcat-open --wait=false")
