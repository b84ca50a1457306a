# %% [markdown]
# # When things break: drills
#
# **Goals.** You stop the components one at a time, on a real cluster: scheduler, controller-manager, kubelet, etcd, API
# server. You know what still works and why, what waits, and what is lost; who heals what, and what nobody heals. You
# find a broken component by what is missing.
#
# **Time.** 35 minutes. **Needs.** Linux; no Docker, no root. Do *The architecture* and *Deploy Tomcat* first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Something that serves
#
# A shop: two pods, and a Service in front of them. Its address is a *cluster IP*, which no machine has. Each node's
# kernel turns it into the address of one of the pods; kube-proxy wrote the rules for that.

# %% tags=["nbval-ignore-output"]
lab.deploy("shop", image="nginx", replicas=2)
print(lab.kubectl("get pods --selector app=shop --output wide"))
print(lab.kubectl("get service shop"))

# %% [markdown]
# ## 2. What a drill does
#
# A drill holds one component still for four seconds: its real process is stopped (by the signal `SIGSTOP`), as if it
# hung. Meanwhile eight things are tried:

# %% tags=["nbval-check-output"]
from labkit.checks import drills

print(drills.TRIED)

# %% [markdown]
# - **A**: the Service `shop` is asked 20 times a second, by its cluster IP, and the answers are counted.
# - **B**: the container of a pod of its own is killed.
# - **C**: `kubectl get nodes`.
# - **D to H**: `kubectl create deployment`, and all that should follow from it.
#
# Then the component goes on, and the drill looks at what is done *later*, and by whom: it reads that in the API
# server's audit log and in the logs of the container runtimes.
#
# Before each drill you make a **prediction**: write the letters of what still works, for example `"ABC"`, in place of
# `None`.

# %% [markdown]
# ## 3. The scheduler
#
# *Predict:* what still works while nobody chooses nodes?

# %% tags=["nbval-ignore-output"]
prediction = None
scheduler = drills.drill(lab, "kube-scheduler", prediction, service="shop")
scheduler

# %% tags=["nbval-check-output"]
print("worked without the scheduler:", drills.worked(scheduler))

# %% [markdown]
# **Why.** The deployment, its replica set and its pod are objects, and the pod was stored without a node: it is
# *Pending*. That is no error: it is a task that waits, and it is written down. As soon as the scheduler goes on, it
# finds the pod and gives it a node. Look at the line *the pod gets a node*: how long did that take, and who did it?
#
# No one told the scheduler what it had missed. It *watches* the API server, where the work is.

# %% [markdown]
# ## 4. The controller-manager
#
# *Predict:* it makes replica sets from deployments and pods from replica sets. What else stops with it?

# %% tags=["nbval-ignore-output"]
prediction = None
manager = drills.drill(lab, "kube-controller-manager", prediction, service="shop")
manager

# %% tags=["nbval-check-output"]
print("worked without the controller-manager:", drills.worked(manager))

# %% [markdown]
# **Why.** The deployment is stored, and nothing comes of it: the wish is there, and nobody compares it with what is.
# All controllers are in this one process, so scaling, rolling updates and the replacement of a deleted pod stop, too.
#
# But look at **B**: a container that ends is started again. No controller does that. Who, then?

# %% [markdown]
# ## 5. The kubelets
#
# Now the kubelets of *both* workers stand still at once.
#
# *Predict:* the shop's pods run on these nodes. Do they still answer?

# %% tags=["nbval-ignore-output"]
prediction = None
kubelet = drills.drill(lab, "kubelet", prediction, service="shop")
kubelet

# %% tags=["nbval-check-output"]
print("worked without the workers' kubelets:", drills.worked(kubelet))

# %% [markdown]
# **Why.** A container is an ordinary process. The kubelet had it started, and it does not need the kubelet to run. But
# nobody starts a new container, and nobody sees that one has ended: *B* and *H* are the kubelet's work.
#
# The pod has a node (**G**), although nobody on that node is listening: the scheduler does not know that. A node whose
# kubelet is silent is found out later, in part 9.

# %% [markdown]
# ## 6. etcd
#
# *Predict:* etcd keeps the whole state of the cluster. What is left without it?

# %% tags=["nbval-ignore-output"]
prediction = None
etcd = drills.drill(lab, "etcd", prediction, service="shop")
etcd

# %% tags=["nbval-check-output"]
print("worked without etcd:", drills.worked(etcd))

# %% [markdown]
# **Why.** The API server runs, but it has no memory of its own: it stores each write in etcd before it says yes, and it
# makes sure that what it answers to a read is not out of date. So kubectl waited, and gave up after two seconds.
#
# Compare the lines *the deployment is stored* here and in part 3. There, a task waited in the store. Here, the request
# itself was refused. Who repeats it? Not Kubernetes: **what was not stored, nobody remembers.** After such an error,
# you look whether the object is there, and ask again. (`kubectl apply` may be repeated without harm.)

# %% [markdown]
# ## 7. The API server
#
# *Predict:* all components speak to the API server, and to nobody else. What is left when it stands still?

# %% tags=["nbval-ignore-output"]
prediction = None
server = drills.drill(lab, "kube-apiserver", prediction, service="shop")
server

# %% tags=["nbval-check-output"]
print("worked without the API server:", drills.worked(server))

# %% [markdown]
# **Why.** The packets of a request go from the client to the node's kernel, and from there to a pod. No component of
# the control plane is on that way, and not even kube-proxy, which only wrote the rules. And the kubelet keeps a copy of
# what its node has to run: so it started the container again, and told the API server later.
#
# A cluster without a control plane is frozen, not dead: everything runs on as it was last decided, and nothing new is
# decided.

# %% [markdown]
# ## 8. The whole picture

# %% tags=["nbval-ignore-output"]
from labkit.checks.outage import Outages

drilled = Outages([scheduler, manager, kubelet, etcd, server])
drilled

# %% [markdown]
# Read it by rows: each component takes away its own work, and what comes after it. Read it by columns: which column
# is full everywhere?
#
# ### Exercise 1
# Which of the five components does a request to a running Service need? Give a set of names, for example
# `{"etcd", "kubelet"}`.

# %% tags=["exercise"]
answer = None
drills.needed(drilled.of, answer)

# %% [markdown]
# ### Killed, not frozen
#
# A component that hangs stays there. One that *ends* does not. Now the scheduler's process is killed, by `SIGKILL`.
#
# *Predict:* does it come back? Who starts it? The controller-manager, which replaces what is missing?

# %% tags=["nbval-ignore-output"]
killed = drills.kill(lab, "kube-scheduler")
print(f"another process of {killed.component} was there after {killed.seconds:.1f} s")

# %% [markdown]
# ### Exercise 2
# Who had the scheduler started again? Give a component's name. (`lab.components()` shows who started what, and who
# calls whom.)

# %% tags=["exercise"]
answer = None
drills.started_again_by(lab, killed, answer)

# %% [markdown]
# ## 9. Pull the plug
#
# So far, one process stood still. Now a whole node is switched off at once, as if somebody had pulled its plug: its
# kubelet, its kube-proxy and its pods are gone. One of the shop's two pods was there.
#
# *Predict:* how many of the requests to the shop are answered now: all, half, or none? What does `kubectl get nodes`
# say?

# %% tags=["nbval-ignore-output"]
from labkit.checks import experiment

lab.nodes["node-02"].stop()
counts = experiment.requests(lab, "shop", seconds=5)
print(f"{counts.asked - counts.failed} of {counts.asked} requests were answered")
print(lab.kubectl("get nodes"))

# %% tags=["nbval-check-output"]
print("some were answered:", counts.failed < counts.asked)
print("some were not:", counts.failed > 0)

# %% [markdown]
# This is the one drill in which requests fail, though the control plane works. The rules in the kernels still lead
# half of the requests to a pod that is not there, because nobody has noticed yet: *node-02* is still *Ready*.
#
# A kubelet reports every ten seconds. When the **node controller**, a part of the controller-manager, has heard nothing
# for 50 seconds, it marks the node *NotReady* and its pods as not ready; the **endpoint slice controller** takes these
# pods out of the Service; each **kube-proxy** removes them from its rules. Then all requests are answered again, by the
# pod that is left. After five more minutes the pods are deleted, and others are made on another node.
#
# If you have a minute, watch it: put these lines into a cell of their own, before you run the next one.
#
# ```python
# lab.kubectl("wait node/node-02 --for=condition=Ready=Unknown --timeout=90s")
# print(lab.kubectl("get nodes"))
# counts = experiment.requests(lab, "shop", seconds=5)
# print(f"{counts.asked - counts.failed} of {counts.asked} requests were answered")
# ```
#
# Switch it on again. *Predict:* who brings its pods back?

# %% tags=["nbval-ignore-output"]
lab.nodes["node-02"].start()
restarted = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
lab.kubectl(f"wait pods --selector app=shop --field-selector spec.nodeName=node-02 {restarted} --timeout=60s")
counts = experiment.requests(lab, "shop", seconds=3)
print(f"{counts.asked - counts.failed} of {counts.asked} requests were answered")
print(lab.kubectl("get pods --selector app=shop --output wide"))

# %% [markdown]
# The same pods, on the same nodes, with one restart: no scheduler and no controller had to decide anything. The node's
# own kubelet came up, asked the API server which pods are its own, and had their containers started.

# %% [markdown]
# ## 10. Find what is broken
#
# Something stands still now, and nobody tells you what. A deployment `riddle` was asked for, and it does not get ready.

# %% tags=["nbval-ignore-output"]
hidden = drills.hide(lab)
print(lab.kubectl("get deployments,replicasets,pods --selector app=riddle --output wide"))

# %% [markdown]
# Look for the first thing that is missing, and ask whose work it is. This may help:
# `lab.kubectl("describe pods --selector app=riddle")`. (`lab.frozen` tells the answer, and spoils the riddle.)
#
# ### Exercise 3
# Which component stands still? If you are right, it goes on.

# %% tags=["exercise"]
answer = None
drills.found(lab, hidden, answer)

# %% [markdown]
# Another one: `hidden.end()`, then `lab.kubectl("delete deployment riddle")`, and run the two cells again.

# %% [markdown]
# ## 11. Tear down

# %% tags=["nbval-ignore-output"]
hidden.end()
lab.down()

# %% [markdown]
# ## Summary
#
# - Pods and Services go on serving while the control plane is away: no component of it is on a request's way.
# - What is stored waits: when the component goes on, it finds its work at the API server. Nobody has to tell it.
# - What was refused is forgotten: without the API server or etcd nothing is stored, and you have to ask again.
# - A container that ends is started again by the kubelet of its node, with no API server; so are the components of the
#   control plane, which are static pods.
# - A node that is lost is noticed only after a while. Until then, requests to its pods fail.
# - To find what is broken, follow the chain: stored, replica set, pod, node, running. The first link that is missing
#   says who does not do its work.
