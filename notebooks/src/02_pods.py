# %% [markdown]
# # Pods: more than a container
#
# **Goals.** You run the textbook's example, a blog of two containers in one Pod, and see in the kernel what the two
# share and what each has alone. You kill one of them and see what stays. You write a Pod of your own.
#
# **Time.** 30 minutes. **Needs.** Linux; no Docker, no root. Do *Start here* first.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. One unit, several containers
#
# A **Pod** is the smallest thing that Kubernetes runs. It is one or more containers that belong together: they are
# placed on the same node, have one address, and come and go as one. The textbook's example is a blog: a container
# with PHP, which makes the pages, and one with MySQL, which keeps the posts. (The image `mysql` is MariaDB here.)
#
# Read the manifest. Where does PHP look for the database?

# %% tags=["nbval-ignore-output"]
blog = """
apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data:
  index.php: |
    <?php
    $blog = new PDO('mysql:host=127.0.0.1;dbname=blog', 'writer', getenv('PASSWORD'));
    $blog->exec('CREATE TABLE IF NOT EXISTS post (title VARCHAR(80))');
    if (isset($_GET['title'])) $blog->prepare('INSERT INTO post VALUES (?)')->execute([$_GET['title']]);
    foreach ($blog->query('SELECT title FROM post') as $post) echo htmlspecialchars($post['title']), "\\n";
---
apiVersion: v1
kind: Pod
metadata: {name: blog, labels: {app: blog}}
spec:
  volumes:
  - {name: pages, configMap: {name: pages}}
  - {name: notes, emptyDir: {}}
  initContainers:
  - name: first
    image: busybox
    command: [sh, -c, "echo written before anybody else ran > /notes/first"]
    volumeMounts: [{name: notes, mountPath: /notes}]
  containers:
  - name: php
    image: php
    env: [{name: PASSWORD, value: quill}]
    volumeMounts:
    - {name: pages, mountPath: /var/www/html}
    - {name: notes, mountPath: /notes}
  - name: mysql
    image: mysql:8
    env:
    - {name: MYSQL_DATABASE, value: blog}
    - {name: MYSQL_USER, value: writer}
    - {name: MYSQL_PASSWORD, value: quill}
    - {name: MYSQL_ROOT_PASSWORD, value: quill}
    volumeMounts: [{name: notes, mountPath: /notes}]
    readinessProbe: {tcpSocket: {port: 3306}, periodSeconds: 1}
"""
print(lab.kubectl("apply --filename -", stdin=blog))
print(lab.kubectl("wait --for=condition=Ready pod/blog --timeout=60s"))
print(lab.kubectl("get pod blog --output wide"))

# %% [markdown]
# `READY 2/2`: two containers, one Pod, **one** address. Give it a Service, write a post, and read it:

# %% tags=["nbval-check-output"]
import urllib.request
from urllib.parse import quote

lab.kubectl("expose pod blog --port 80")
url = lab.open("svc/blog")


def read(title=""):
    with urllib.request.urlopen(f"{url}/?title={quote(title)}" if title else url, timeout=10) as page:
        return page.read().decode()


print(read("Pods share localhost"))

# %% [markdown]
# ## 2. What is shared, and what is not
#
# PHP speaks to `127.0.0.1`, and MySQL answers: for both, *this machine* is the Pod.
#
# *Predict:* which of these do the two containers share: the network, the host name, the list of processes, the files?

# %% tags=["nbval-ignore-output"]
lab.anatomy("blog")

# %% [markdown]
# A container is a process with **namespaces**: the kernel shows it a network, a list of processes, a tree of files of
# its own. Each has a number. Where two processes have the same number, they see the same thing. The numbers
# above were read from `/proc` on the node; a bar over several columns is one that they share.
#
# And who is *pause*? A process that sleeps. It was there first, it does nothing, and it holds the Pod's network: as
# long as it lives, the address stays, whatever happens to the containers.
#
# ### Exercise 1
# Which kinds of namespaces do the containers `php` and `mysql` share? Give a set of some of these: `net` (network),
# `ipc` (shared memory), `uts` (host name), `pid` (processes), `mnt` (files).

# %% tags=["exercise"]
from labkit.checks import pods

answer = None
pods.shared(lab, "blog", answer)

# %% [markdown]
# ### Exercise 2
# From the container `php`: at which `"HOST:PORT"` does the database answer? Try some: the container's name, the Pod's
# address, and others. The check tries your answer from inside the container.

# %% tags=["exercise"]
answer = None
pods.reaches(lab, answer)

# %% [markdown]
# ## 3. Init containers and volumes
#
# Before the two, a third container ran: `first`, an **init container**. Init containers run one after the other, to
# their end, before the others start. This one wrote a file into the volume `notes`, which an `emptyDir` is: an empty
# folder that lives as long as the Pod.
#
# *Predict:* which of the two containers sees the file?

# %% tags=["nbval-check-output"]
for container in ("php", "mysql"):
    print(container, "reads:", lab.kubectl(["exec", "blog", "-c", container, "--", "cat", "/notes/first"]))

# %% tags=["nbval-check-output"]
from labkit.errors import ClusterError

for container in ("php", "mysql"):
    try:
        lab.kubectl(["exec", "blog", "-c", container, "--", "ls", "/var/www/html/index.php"])
        print(container, "has the pages")
    except ClusterError:
        print(container, "has no such file")

# %% [markdown]
# Files are not shared, except for what a volume brings to both.
#
# ## 4. A container dies
#
# *Predict:* the process of PHP is killed. What becomes of the Pod's address, of MySQL, and of the post?

# %% tags=["nbval-ignore-output"]
import time

before = lab.anatomy("blog")
for path in ("/tmp/mark", "/notes/mark"):
    lab.kubectl(["exec", "blog", "-c", "php", "--", "touch", path])
kill = "(sleep 0.5; kill -INT $(pidof php php8.2)) > /dev/null 2>&1 &"
lab.kubectl(["exec", "blog", "-c", "php", "--", "sh", "-c", kill])
restarted = "jsonpath={.status.containerStatuses[?(@.name=='php')].restartCount}=1"
lab.kubectl(["wait", f"--for={restarted}", "pod/blog", "--timeout=30s"])
lab.kubectl("wait --for=condition=Ready pod/blog --timeout=30s")
print(lab.kubectl("get pod blog --output wide"))
after = lab.anatomy("blog")
after

# %% tags=["nbval-check-output"]
print("the same address:", before.address == after.address)
print("the same network:", before.inhabitants[0].namespaces["net"] == after.inhabitants[1].namespaces["net"])
print("in /notes:", lab.kubectl(["exec", "blog", "-c", "php", "--", "ls", "/notes"]).split())
print("in /tmp:", lab.kubectl(["exec", "blog", "-c", "php", "--", "ls", "/tmp"]).split())
print("the posts:", read())

# %% [markdown]
# The kubelet saw that the container had ended, and had it started again: **in the same Pod**. The network is pause's,
# so it stayed; MySQL was not touched, so the post is there. PHP's files are new: what it had written outside of
# volumes is gone.
#
# And if the whole Pod goes? *Predict:* you delete it. Who makes a new one?

# %% tags=["nbval-check-output"]
lab.kubectl("delete pod blog --grace-period=1")
time.sleep(2)
print(lab.kubectl("get pods") or "no pods")

# %% [markdown]
# Nobody. A Pod that you make by hand is mortal. That is what Deployments are for: notebook *Controllers at work*.
#
# ## 5. A Pod of your own
#
# ### Exercise 3
# In this Pod, `writer` writes the time into `/data/now` each second. Change the manifest so that `reader` can read
# that file, at the same path. The check makes the Pod, tries it, and removes it.

# %% tags=["exercise"]
manifest = """
apiVersion: v1
kind: Pod
metadata: {name: pair}
spec:
  containers:
  - name: writer
    image: busybox
    command: [sh, -c, "mkdir -p /data; while true; do date > /data/now; sleep 1; done"]
  - name: reader
    image: busybox
    command: [sleep, infinity]
"""
pods.shares_a_file(lab, manifest)

# %% [markdown]
# ## 6. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - A Pod is one unit of one or more containers, on one node, with one address.
# - Its containers share the network, the host name and shared memory. Files and processes are each one's own; a
#   volume is seen by those who mount it.
# - The pause process holds the network, so a container can die and come back without the address changing.
# - Init containers run before, in order, to their end.
# - Nobody brings back a Pod that was made by hand.
