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
# # Exam
#
# **Goals.** Eight tasks about everything that you have seen so far. Some are questions; in others, something on a real
# cluster is broken, and you repair it. Each task is checked with evidence from the cluster, and you can try again as
# often as you like.
#
# **Time.** 40 minutes. **Needs.** Linux; no Docker, no root. Do the notebooks before this one first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## How it works
#
# `exam.prepare` makes some deployments, Services and pods on your cluster. Not all of them work.
#
# Each task has a panel: answer the question, or do on the cluster what it asks for, and press *Check*. Add as many
# cells as you like, and use whatever you know: `lab.kubectl(…)`, `lab.components()`, `lab.explain(…)`,
# `lab.proxy.rules()`, or in a terminal `labkit kubectl -- get pods`. Run the cells one after the other, not all at
# once: the last one removes the lab.

# %% tags=["nbval-check-output"]
from labkit.checks import architecture, exam, kube_proxy, pods, scheduling, steps
from labkit.checks.sheet import Sheet

sheet = Sheet()
exam.prepare(lab)
lab.kubectl("get deployments,services,pods")

# %% [markdown]
# ## Task 1. A shop that does not open
#
# The deployment `shop` should have two pods that run nginx. It has none that runs. Find out why, and repair it; keep
# the deployment.

# %% tags=["exercise"]
sheet.ask(
    "1. Repair the shop",
    "Make both pods of the deployment shop run nginx. Then press Check.",
    lambda _: exam.repaired(lab, "shop"),
)

# %% [markdown]
# ## Task 2. A Service without pods
#
# The deployment `front` has three pods that run. The Service `front` should lead to them, and connections to it are
# refused. *Predict* what you will find in its EndpointSlice; then repair the Service.

# %% tags=["exercise"]
sheet.ask(
    "2. Repair the Service",
    "Make the Service front lead to all pods of the deployment front. Then press Check: it looks at the rules on each "
    "node, and sends a request.",
    lambda _: kube_proxy.leads_to(lab, "front", "front"),
)

# %% [markdown]
# ## Task 3. Where did the packet go?
#
# The Service `side` leads to the same pods. One request was sent to it from node-01. These are the rules that its first
# packet met:

# %% tags=["nbval-ignore-output"]
packet = lab.proxy.trace("svc/side", from_node="node-01")
for step in packet.path.steps:
    print(f"{step.chain}: {step.rule}")
names = lab.kubectl("get pods --selector app=front --output jsonpath={.items[*].metadata.name}").split()

# %% tags=["exercise"]
sheet.ask(
    "3. Follow a packet",
    "Which pod did the packet reach?",
    lambda answer: kube_proxy.reached(lab, packet, answer),
    choices=names,
)

# %% [markdown]
# ## Task 4. In which order?
#
# This is what followed when the deployment `front` was made. The panel below asks for the order of some of it; you can
# answer from memory, or read it off the evidence: `lab.explain("front")`.

# %% tags=["nbval-check-output"]
flow = lab.explain("front").flow
print(steps.HAPPENINGS)

# %% tags=["exercise"]
sheet.ask(
    "4. Order the steps",
    "In which order did they happen? Give the letters, the first first.",
    lambda answer: steps.order(flow, answer),
    field="Five letters",
)

# %% [markdown]
# ## Task 5. Twins
#
# The Pod `twins` has two containers, `left` and `right`. Its manifest has a line that you have not seen yet. Look for
# it: `kubectl get pod twins --output yaml`.

# %% tags=["exercise"]
sheet.ask(
    "5. What twins share",
    "Which kinds of namespaces do the containers of the Pod twins share? net is the network, ipc shared memory, uts "
    "the host name, pid the processes, mnt the files.",
    lambda answer: pods.shared(lab, "twins", answer),
    choices=["net", "ipc", "uts", "pid", "mnt"],
    several=True,
)

# %% [markdown]
# ## Task 6. Who are you?
#
# Every component shows the API server who it is: some by a certificate, some by a token. `kube-proxy` runs in a pod.

# %% tags=["exercise"]
sheet.ask(
    "6. A component's user",
    "As which user does the API server know kube-proxy?",
    lambda answer: architecture.known_as(lab, "kube-proxy", answer),
    field="A user's name",
)

# %% [markdown]
# ## Task 7. A place for the archive
#
# node-02 has the large disk. Say so by a label of your own on the node, and make a deployment `archive` of two pods
# (image `nginx`) that *ask* for it.

# %% tags=["exercise"]
sheet.ask(
    "7. Place the archive",
    "Make the pods of the deployment archive run on node-02, because they ask for its label. Then press Check.",
    lambda _: scheduling.sent_to(lab, "archive", "node-02"),
)

# %% [markdown]
# ## Task 8. Somebody stands still
#
# The next cell freezes one component of the control plane; chance decides which. Then it asks for a deployment `probe`.
# Look what comes of that and what does not, before you answer. (The frozen component goes on by itself after ten
# minutes, and you can run the cell again.)

# %% tags=["nbval-ignore-output"]
frozen = exam.hide(lab)
lab.kubectl("get deployments,replicasets,pods --selector app=probe --output wide")

# %% tags=["exercise"]
sheet.ask(
    "8. Who stands still?",
    "Which component stands still?",
    lambda answer: exam.stands_still(lab, answer),
    choices=exam.COMPONENTS,
)

# %% [markdown]
# ## Your score
#
# Run this cell whenever you like.

# %% tags=["nbval-ignore-output"]
sheet.score()

# %% tags=["nbval-check-output"]
print(sheet.score())

# %% [markdown]
# ## Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - A pod that does not run says why: the scheduler's or the kubelet's words are in its events and its status.
# - A Service leads to pods by labels and readiness; the rules on each node say where, and a packet shows it.
# - What has happened tells who is at work. The first thing that has not happened tells who is not.
