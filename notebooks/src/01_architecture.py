# %% [markdown]
# # The architecture: who is there, and who speaks to whom
#
# **Goals.** You find each component of Kubernetes on its node: its process, what started it, where it listens, whom
# it calls, and under which name. You learn what stops when one of them stops, and what goes on.
#
# **Time.** 30 minutes. **Needs.** Linux; no Docker, no root. Do *Start here* first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Two kinds of nodes
#
# A cluster has **masters** (Kubernetes now calls them *control plane nodes*), which decide, and **workers**, which do
# the work. The textbook names these components:
#
# | where | component | its one job |
# | --- | --- | --- |
# | master | **etcd** | keeps the whole state of the cluster, and nothing else does |
# | master | **kube-apiserver** | the one door: checks every request, stores it, tells those who watch |
# | master | **kube-scheduler** | gives each new pod a node |
# | master | **kube-controller-manager** | compares what is with what was asked for, and acts on the difference |
# | every node | **kubelet** | has the pods of its node run, and reports how they are |
# | every node | **kube-proxy** | writes rules into the node's kernel, so that a Service's address leads to its pods |
# | every node | **container runtime** | starts and ends containers when the kubelet says so |
#
# *Predict*, and draw it on paper before you run the next cell: which components run on which node, and who calls
# whom? An arrow goes from the one who calls to the one who is called.

# %% tags=["nbval-ignore-output"]
components = lab.components()
components

# %% [markdown]
# Compare it with your drawing. Most people draw an arrow from the scheduler to a kubelet; there is none.
#
# Nothing in this picture and table was known beforehand except the programs' names. The rest was read from each node:
# its process table, its sockets, the certificates that the command lines name, and the pods that the API server has.
#
# The master runs a kubelet and a kube-proxy, too: a master is a node like the others, with more on it. Two more
# components are there that the textbook does not name here: **CoreDNS** answers the names of Services, and
# **labkit-network** is this lab's network add-on.

# %% [markdown]
# ## 2. A component is an ordinary process
#
# Kubernetes is not magic: each component is a program with a command line. This is how the API server was started:

# %% tags=["nbval-ignore-output"]
(server,) = components.named("kube-apiserver")
print(f"process {server.pid} on {server.node}\n")
print("\n    ".join(server.command))

# %% [markdown]
# Find these in the command line:
#
# - `--etcd-servers`: where it keeps everything;
# - `--service-cluster-ip-range=10.96.0.0/16`: the range from which Services get their addresses;
# - `--advertise-address`: the address under which the nodes reach it;
# - `--client-ca-file` and `--tls-cert-file`: how it knows others, and how others know it.

# %% tags=["nbval-check-output"]
print("Services get their addresses from:", next(word for word in server.command if "service-cluster-ip-range" in word))
print("on every worker:", sorted({each.name for each in components.found if each.node == "node-02"} - {"coredns"}))

# %% [markdown]
# ## 3. Who starts the starters?
#
# The kubelet starts pods that the API server tells it of. But the API server runs in a pod itself. Which was first?
#
# *Predict:* who starts the API server?

# %% tags=["nbval-check-output"]
print(lab.nodes["master"].exec("ls /etc/kubernetes/manifests"))

# %% tags=["nbval-ignore-output"]
print(lab.nodes["master"].exec("head -20 /etc/kubernetes/manifests/kube-scheduler.yaml"))

# %% [markdown]
# The kubelet of the master also reads a folder, `/etc/kubernetes/manifests`, and starts what it finds there, with no
# API server. Such pods are called **static pods**; `kubeadm init` wrote the files. Once the API server answers, the
# kubelet tells it of them, so that they can be *seen* there: as *mirror pods*.
#
# ### Exercise 1
# Which components are static pods? Give their names as a set, for example `{"kubelet", "kube-proxy"}`.

# %% tags=["exercise"]
from labkit.checks import architecture

answer = None
architecture.static_pods(lab, answer)

# %% [markdown]
# ## 4. Who speaks to whom?
#
# Look at the column *calls* once more. It was read from the sockets: a connection that is open, and who opened it.
#
# *Predict:* the scheduler decides on which node a pod runs. Whom does it tell? The kubelet of that node?

# %% tags=["nbval-ignore-output"]
for name in ("kube-scheduler", "kube-controller-manager", "kubelet", "kube-proxy"):
    for component in components.named(name):
        print(f"{component.name} on {component.node} calls:")
        for peer in component.calls:
            print(f"    {peer}")

# %% [markdown]
# Nobody tells a kubelet anything. Every component calls **one** other, the API server; a kubelet also calls the
# container runtime of its own node. The scheduler writes its decision there, and the kubelet, which watches, finds it
# there. That is why a component can be restarted, or replaced by another, at any time: nobody else knows where it is.
#
# ### Exercise 2
# One component alone speaks to etcd. Which?

# %% tags=["exercise"]
answer = None
architecture.speaks_to_etcd(lab, answer)

# %% [markdown]
# ## 5. Names and certificates
#
# The API server lets nobody in without a name. Components show a certificate; the name in it (`CN`) is the user, and
# the organisation (`O`) is a group. What that user may do is written in roles.

# %% tags=["nbval-ignore-output"]
for component in components.found:
    if component.certificate or component.identity:
        print(f"{component.name} on {component.node}")
        print(f"    is known as:  {component.identity or '-'}")
        print(f"    proves itself by: {component.certificate or '-'}")

# %% [markdown]
# A kubelet is `system:node:` and its node's name, in the group `system:nodes`: it may read only the pods of its own
# node. Pods, such as kube-proxy, have no certificate: they show a token of their *service account*.
#
# ### Exercise 3
# As which user does the API server know the scheduler? Find the proof on the master, in
# `/etc/kubernetes/scheduler.conf`, or in the table.

# %% tags=["exercise"]
answer = None
architecture.known_as(lab, "kube-scheduler", answer)

# %% [markdown]
# ## 6. What stops when one of them stops?
#
# `lab.freeze` holds a component still: the real process is stopped, and goes on at the end of the block.
#
# ### Exercise 4
# *Predict* what still happens when somebody asks for a deployment while the **scheduler** stands still. Put `True` or
# `False` in place of each `None`; the check then does it, on this cluster, and takes four seconds.

# %% tags=["exercise"]
prediction = {
    "the deployment is stored": None,
    "a replica set is made": None,
    "a pod is made": None,
    "the pod gets a node": None,
    "the pod runs": None,
}
architecture.stopped(lab, "kube-scheduler", prediction)

# %% [markdown]
# Try it again with `"kube-controller-manager"`, and with a kubelet: `"kubelet/node-01"`. What is different each time?
#
# And what is already running? *Predict:* does a pod still answer while **all** of the master's components but the
# kubelet stand still?

# %% tags=["nbval-ignore-output"]
import contextlib
import urllib.request

lab.deploy("tomcat", image="tomcat8")
url = lab.open("svc/tomcat")

with contextlib.ExitStack() as stack:
    for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
        stack.enter_context(lab.freeze(name))
    with urllib.request.urlopen(url, timeout=10) as page:
        print("while the whole control plane stands still, Tomcat answers:", page.status)

# %% [markdown]
# The packets of a request to a Service never go through the API server: kube-proxy has written the rules into each
# node's kernel long before. The control plane decides; it is not on the way.

# %% [markdown]
# ## 7. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - Four components make the control plane: etcd, the API server, the scheduler, the controller-manager. Each node has
#   a kubelet, a kube-proxy and a container runtime.
# - All of them are ordinary processes; the kubelet starts the control plane from files.
# - All of them call the API server, and the API server alone calls etcd. No component calls another.
# - When a component stops, its job is left undone, and the rest goes on. What runs, runs on.
