# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
# ---

# %% [markdown]
# # Start here: a cluster, Tomcat, and what happened
#
# **Goals.** You bring up a real Kubernetes cluster of three nodes on this machine, deploy Apache Tomcat on it, and
# see which component asked which for what, in which order, and how we know. Then you do it again in slow motion.
#
# **Time.** 30 minutes. **Needs.** Linux; no Docker, no root.

# %% [markdown]
# ## 1. Can this machine do it?
#
# Kubernetes needs some things of its hosts. `doctor` looks at each of them, says why it is needed, and how to mend
# it.

# %%
import labkit

labkit.doctor()

# %% [markdown]
# ## 2. The cluster
#
# `labkit.up()` makes three nodes, called *master*, *node-01* and *node-02*, and runs the real `kubeadm init` and
# `kubeadm join` on them. Each node is a sandbox of ordinary processes with a network, a file system and a process
# table of its own, in which a real kubelet runs.

# %%
lab = labkit.up()
lab

# %% [markdown]
# All of Kubernetes' own tools work with it. Look at the nodes, and at the pods that Kubernetes itself is made of:

# %% tags=["nbval-check-output"]
lab.kubectl("get nodes")

# %% tags=["nbval-ignore-output"]
lab.kubectl("get pods --namespace kube-system -o wide")

# %% [markdown]
# ## 3. Before you deploy: predict
#
# You are about to ask for a *deployment* of Tomcat with one pod. Write down, before you run the next cell:
#
# 1. Who speaks to the API server first, and who second?
# 2. Who decides on which node the pod runs?
# 3. Does the API server ever tell a kubelet to start something, or is it the kubelet that asks?

# %% [markdown]
# ## 4. Deploy Tomcat

# %%
lab.deploy("tomcat", image="tomcat8")

# %% [markdown]
# Tomcat serves its page on port 8080, inside the cluster. `lab.open` makes its Service reachable from your browser;
# here Python reads the page. One line of it says which pod answered.

# %% tags=["nbval-ignore-output"]
import re
import urllib.request

url = lab.open("svc/tomcat")
with urllib.request.urlopen(url) as answer:
    page = answer.read().decode()
print(url)
print(re.search("<title>(.*?)</title>", page)[1])
print(re.search('<p id="labkit">(.*?)</p>', page)[1])

# %% [markdown]
# ## 5. What happened
#
# Kubernetes' components leave evidence: the API server writes an audit log, it and etcd and the kubelets send trace
# spans, etcd keeps every version of an object, the scheduler logs its scores, the container runtime its calls. Out of
# all this labkit computes what your deployment caused.
#
# In the panel below, the textbook's fourteen steps are on the left. Press *play*, or step with the arrow keys. Choose
# an arrow to read its evidence on the right. A **solid** arrow was observed; a **dashed** one was inferred, by a rule
# that it names.

# %% tags=["nbval-ignore-output"]
what = lab.explain("tomcat")
what

# %% [markdown]
# The same in words: what each of the fourteen steps was in reality, and where reality has more than the textbook.

# %% tags=["nbval-ignore-output"]
from labkit.views import story

print(story.to_text(what.story))

# %% [markdown]
# ### Exercise 1
# Who asked the API server for each of these? Write a name in place of each `None`, as it stands in the picture.
#
# The check never tells the answer. It says what is wrong with yours, and shows evidence.

# %% tags=["exercise"]
from labkit.checks import start

answer = {"the deployment": None, "the replica set": None, "the pod": None, "the pod's node": None}
start.asked_for(what.flow, answer)

# %% [markdown]
# Compare with your prediction:
#
# 1. `kubectl` creates the deployment. The **deployment controller** answers with a replica set, and the **replica set
#    controller** with a pod. Nobody told them to: each watches the API server for objects of its kind.
# 2. The **scheduler** binds the pod to a node, with one request: `create pods/…/binding`.
# 3. The kubelet of the chosen node hears of the binding, because it watches the API server for pods of its node; it
#    has its runtime start the containers, and reports the pod's state. The API server starts nothing.

# %% tags=["nbval-check-output"]
flow = what.flow
first = next(hop for hop in flow.hops if hop.verb == "create")
binding = next(hop for hop in flow.hops if hop.object.subresource == "binding")
print(first.source.name, "makes the", first.object.resource[:-1])
print(binding.source.name, "makes the", binding.object.subresource)
print("writes to etcd that were not observed:", sum(not hop.observed for hop in flow.hops if hop.kind == "persist"))

# %% [markdown]
# ## 6. Why this node?
#
# The scheduler first drops the nodes on which the pod cannot run, and says why. Then its plugins give points to each
# node that is left; a plugin's points are multiplied by its weight, and the node with the highest sum wins. If two
# have the same sum, it draws lots.

# %% tags=["nbval-ignore-output"]
from IPython.display import HTML

from labkit.views import why

pod = next(iter(flow.pods))
HTML(why.to_html(lab.why(pod)))

# %% [markdown]
# ### Exercise 2
# Which nodes were dropped before points were given? Give a set of names.

# %% tags=["exercise"]
answer = None
start.without_points(lab.why(pod), answer)

# %% [markdown]
# ## 7. The same in slow motion
#
# A second is too short to look around in. Here the controller-manager and the scheduler are **frozen**: the real
# processes are stopped, and go on when you say so. Nothing stays frozen: each goes on by itself after ten minutes, or
# when this notebook ends.
#
# *Predict:* you ask for a deployment while both are frozen. What will `kubectl get` show?

# %% tags=["nbval-check-output"]
steps = lab.slow_motion("web", image="nginx")
print(steps.next().title)
print(lab.kubectl("get deployments,replicasets,pods --selector app=web"))

# %% [markdown]
# A deployment, and nothing else: the API server stored what was asked for, and nobody has acted on it. Let the
# controller-manager go on, until the pod is made; then it is frozen again.

# %% tags=["nbval-check-output"]
print(steps.next().title)
print(lab.kubectl("get replicasets,pods --selector app=web -o wide"))

# %% [markdown]
# There is a pod, it is *Pending*, and it has no node. Now the scheduler:

# %% tags=["nbval-ignore-output"]
print(steps.next().title)
print(lab.kubectl("get pods --selector app=web -o wide"))

# %% [markdown]
# The pod has a node, and still nothing runs: the kubelets are held. Let them go on, then everything:

# %% tags=["nbval-check-output"]
print(steps.next().title)
steps.next()
print("still frozen:", lab.frozen)

# %% [markdown]
# ## 8. A deployment of your own
#
# ### Exercise 3
# Make a deployment `mine` of **two** pods that run nginx, and a Service `mine` that leads to both. Use `lab.deploy`, or
# `lab.kubectl` with *create deployment* and *expose*.

# %% tags=["exercise"]
# your commands
start.served(lab, "mine", replicas=2)

# %% [markdown]
# ## 9. Keep what you saw
#
# A recording holds the evidence in one file, without secrets. It can be looked at on any machine, with no cluster.
#
# *Predict:* you are about to scale Tomcat from one pod to two. Which of the fourteen steps will be there again?

# %% tags=["nbval-ignore-output"]
with lab.record("scale.labtrace", "Tomcat from one pod to two"):
    lab.kubectl("scale deployment tomcat --replicas 2")
    lab.kubectl("rollout status deployment tomcat")

recording = labkit.replay("scale.labtrace")
recording

# %% [markdown]
# A recording is asked as a lab is: `explain`, `flow`, `why`. Only what needs a cluster is not there.

# %% tags=["nbval-ignore-output"]
print(story.to_text(recording.explain("tomcat").story))

# %% [markdown]
# ## 10. Tear down
#
# `down` ends every process of the lab and removes its files. Programs that were fetched or built stay in a cache, so
# that the next `up` takes seconds. To keep the lab for tomorrow, use `lab.stop()` and later `labkit.up()` instead.

# %% tags=["nbval-ignore-output"]
from pathlib import Path

Path("scale.labtrace").unlink()
lab.down()
labkit.lab_names()

# %% [markdown]
# ## Summary
#
# - A cluster is a few programs: etcd, the API server, the controller-manager and the scheduler on the master, a
#   kubelet and kube-proxy on every node.
# - They never call each other. Each watches the API server, and writes what it decided back to it.
# - What you saw was computed from evidence, not drawn by hand: an arrow that nobody recorded is dashed, and says so.
