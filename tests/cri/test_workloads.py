"""The images that learners deploy, with the real programs."""

import pytest

from labkit.cri import api_pb2 as api
from tests.cri.conftest import Container, Node, eventually, running_node, tomcat_home

pytestmark = pytest.mark.programs

needs_tomcat = pytest.mark.skipif(not tomcat_home(), reason="labkit components fetch has not been run")


def fetch(container: Container, url: str) -> str:
    """Return a page as a program in the pod sees it."""
    script = f"echo file_get_contents('{url}');"
    result = container.exec("php", "-d", "display_errors=stderr", "-r", script)
    return result.stdout.decode() if result.exit_code == 0 else ""


@needs_tomcat
def test_tomcat_serves_its_own_page_and_says_where_it_runs(node: Node) -> None:
    pod = node.pod("tomcat-1", network=api.POD)
    tomcat = pod.run("tomcat:8", name="tomcat")
    client = pod.run("php", command=["sleep", "60"], name="client")
    page = eventually(lambda: fetch(client, "http://127.0.0.1:8080/"), 60)
    assert "Apache Tomcat" in page
    assert f"Served by pod tomcat-1, address {pod.status().network.ip}, node node-01" in page
    assert tomcat.exec("ls", "/usr/local/tomcat/webapps").stdout == b"ROOT\n"
    tomcat.stop(20)
    assert tomcat.status().exit_code == 143
    pod.remove()


def test_php_and_mysql_talk_to_each_other_in_one_pod(node: Node) -> None:
    pod = node.pod("blog", network=api.POD)
    values = {
        "MYSQL_ROOT_PASSWORD": "r'o\\ot",
        "MYSQL_DATABASE": "my_blog",
        "MYSQL_USER": "bob",
        "MYSQL_PASSWORD": "b`ob",
    }
    (node.root / "var/mysql").mkdir()
    data = api.Mount(container_path="/var/lib/mysql", host_path="/var/mysql")
    envs = [api.KeyValue(key=key, value=value) for key, value in values.items()]
    database = pod.run("mysql:8", name="mysql", envs=envs, mounts=[data])
    site = node.root / "var/site"
    site.mkdir()
    (site / "index.php").write_text(
        "<?php $db = new mysqli('127.0.0.1', 'bob', 'b`ob', 'my_blog');"
        "$db->query('create table if not exists post (text varchar(20))');"
        "$db->query(\"insert into post values ('hello')\");"
        "echo 'posts: ' . $db->query('select count(*) from post')->fetch_row()[0];"
    )
    mount = api.Mount(container_path="/var/www/html", host_path="/var/site", readonly=True)
    php = pod.run("php:8-apache", name="php", mounts=[mount])
    assert eventually(lambda: fetch(php, "http://127.0.0.1/"), 60) == "posts: 1"
    script = "$db = new mysqli('127.0.0.1', 'root', 'r\\'o\\\\ot'); echo $db->host_info;"
    assert php.exec("php", "-r", script).stdout == b"127.0.0.1 via TCP/IP"
    assert php.exec("php", "-r", "new mysqli('127.0.0.1', 'root', '');").exit_code != 0

    database.stop(20)
    assert database.status().exit_code == 0
    pod.run("mariadb", name="again", mounts=[data])
    assert eventually(lambda: fetch(php, "http://127.0.0.1/"), 60) == "posts: 2"
    pod.remove()


def test_a_database_without_a_password_says_what_it_needs(node: Node) -> None:
    pod = node.pod()
    container = pod.run("mysql")
    assert container.wait().exit_code == 1
    assert "MYSQL_ROOT_PASSWORD" in container.output("stderr")
    pod.remove()


def test_nginx_serves_a_page_and_logs_to_its_output(node: Node) -> None:
    pod = node.pod(network=api.POD)
    nginx = pod.run("nginx", name="nginx")
    client = pod.run("php", command=["sleep", "60"], name="client")
    assert "Welcome to nginx" in eventually(lambda: fetch(client, "http://127.0.0.1/"))
    eventually(lambda: '"GET / HTTP/1' in nginx.output())
    nginx.stop(10)
    assert nginx.status().exit_code == 0
    pod.remove()


def test_the_network_image_has_the_labs_python(node: Node) -> None:
    import sys

    pod = node.pod()
    command = [sys.executable, "-c", "import labkit.cri; print(labkit.cri.__doc__ is not None)"]
    envs = [api.KeyValue(key="PYTHONPATH", value=node.settings["readonly_binds"][-1])]
    container = pod.run("labkit/network:0.1", command=command, envs=envs)
    container.wait()
    assert container.output() == "True\n"
    pod.remove()


def test_a_users_own_image_runs() -> None:
    text = """
[[image]]
name = "mine"
about = "mine"
repositories = ["docker.io/library/mine"]
programs = ["/usr/bin/env"]
command = ["env"]
env = { WHERE = "{namespace}/{pod} on {node}" }
"""
    with running_node(files={"etc/labkit/mine.toml": text}, catalogue="/etc/labkit/mine.toml") as node:
        pod = node.pod("one")
        container = pod.run("mine")
        container.wait()
        assert "WHERE=default/one on node-01\n" in container.output()
        pod.remove()


def test_where_no_new_proc_can_be_mounted_containers_still_run() -> None:
    with running_node(masked_proc=True) as node:
        pod = node.pod()
        container = pod.shell("echo $$; ps | grep -c labkit.cri; sleep 60")
        eventually(lambda: len(container.output().splitlines()) == 2)
        pid, seen = container.output().splitlines()
        assert (pid, int(seen) > 0) == ("2", True)
        assert container.exec("sh", "-c", "exit 5").exit_code == 5
        container.stop(1)
        assert container.status().exit_code == 143
        pod.remove()
