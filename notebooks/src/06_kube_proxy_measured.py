# %% [markdown]
# # kube-proxy, measured
#
# **Goals.** You see what the textbook only claims: why iptables mode costs more with every Service, and nftables (and
# ipvs) mode does not. You measure it on real nodes, with real rules and real packets, and you follow a change from
# `kubectl` to the rule on each node.
#
# **Time.** 15 minutes, most of them waiting. **Needs.** Linux; no Docker, no root. Best done while the machine does
# nothing else.

# %% [markdown]
# ## 1. A cluster

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 2. From a Service to the rule on each node
#
# A Service is an object in etcd; no process is behind its address. What makes it answer are rules in the kernel of
# each node, and kube-proxy writes them. How long does that take?
#
# *Predict:* who has to act between `kubectl expose` and the first rule? And will the nodes have their rules at the
# same moment?

# %% tags=["nbval-ignore-output"]
lab.deploy("web", image="nginx", replicas=2)
with lab.proxy.follow("shop") as cause:
    lab.kubectl("expose deployment web --name shop --port 80")
cause

# %% [markdown]
# Solid lines were observed: the API server's audit log has the requests, and each node's kernel told of its rules as
# they changed. That kube-proxy was told of an EndpointSlice is dashed, for nobody sees it.
#
# Each node's kube-proxy follows by itself, and waits up to a second between two rounds (`minSyncPeriod`): so one node
# may follow at once and another almost a second later. Where a kube-proxy heard of the Service before it had
# endpoints, its first rule *refuses* connections, and goes again in the next round.

# %% tags=["nbval-check-output"]
chain = cause.chain
print("first:", chain.links[0].source, chain.links[0].what)
print("nodes whose rules changed:", sum(node.last is not None for node in chain.nodes))
print("by the API server's audit log:", {link.source for link in chain.links if link.kind == "request"} >= {"kubectl"})

# %% [markdown]
# The rules themselves, on one node: what came, and what went again.

# %% tags=["nbval-ignore-output"]
for link in chain.links:
    if link.node == "node-01":
        print(*(f"+ {rule}" for rule in link.came), *(f"- {rule}" for rule in link.went), sep="\n")

# %% [markdown]
# ### Exercise 1
# From which request to the API server do the last rules of *node-01* follow? Give its number, from the table's first
# column. Go back from the rules, by the column *after*.

# %% tags=["exercise"]
from labkit.checks import kube_proxy_measured

answer = None
kube_proxy_measured.follows_from(chain, "node-01", answer)

# %% [markdown]
# ## 3. The death of a pod
#
# *Predict:* a pod is deleted. Do the rules that lead to it go before or after its process has ended?

# %% tags=["nbval-ignore-output"]
pod = lab.kubectl("get pods --selector app=web -o jsonpath={.items[0].metadata.name}")
with lab.proxy.follow("shop") as cause:
    lab.kubectl(f"delete pod {pod} --wait=false")
cause

# %% [markdown]
# The kubelet ends the process, and reports it; each node's kube-proxy takes the pod out of its rules. Nobody waits for
# the other. Where a rule outlives the process, new connections to the pod fail for a moment: that is why many servers
# are told to go on a few seconds before they end (`preStop`).
#
# ### Exercise 2
# On which nodes did a rule still lead to the pod when its kubelet reported that it had ended? Give a set of names,
# `set()` for none.

# %% tags=["exercise"]
answer = None
kube_proxy_measured.outlived(cause.chain, pod, answer)

# %% [markdown]
# ## 4. How it grows
#
# Now many Services. They need no pods: each gets an EndpointSlice made by hand, which leads to the API server, so
# that every one of them really answers. For each number of Services, kube-proxy is switched to each mode, so that it
# starts with none of its rules and has to write all of them.
#
# *Predict*, for ten times as many Services, in iptables and in nftables mode:
#
# 1. How much longer does kube-proxy need to write all rules?
# 2. How much longer until *one more* Service answers?
# 3. How much longer takes the first packet to the *first* Service in the rules, and to the *last*?
#
# How many can be measured depends on the machine. kube-proxy hands all rules of a node to the kernel in one message,
# and for nodes without root that message is short: about 50 Services in iptables mode. With root it is not:
# `labkit.up(privileged=True)` makes a lab for 1,000 or 5,000 Services, where the difference is plain; there, write
# `services = [10, 100, 1000, 5000]`, and take your time. Nothing is left of it, even if you interrupt.

# %% tags=["nbval-ignore-output"]
import os

services = [int(number) for number in os.environ.get("LABKIT_BENCH_SERVICES", "5,15,45").split(",")]
repeats = int(os.environ.get("LABKIT_BENCH_REPEATS", "2"))
before = lab.proxy.mode
measured = lab.proxy.bench(services, ["iptables", "nftables"], repeats=repeats)
measured

# %% [markdown]
# Read it with care. With 45 Services the modes differ less than the machine's own noise; what is told here shows from
# about a thousand on. Each point is a mean and each bar a standard deviation; the caption says on which machine it
# was, and all nodes share its processors. Both axes are logarithmic: what climbs grows with the number of Services,
# what is level does not.
#
# - **Rules.** Both modes have some for each Service. But in nftables mode a packet does not pass them one by one: a
#   *map* leads it from the Service's address straight to the Service's chain.
# - **The first packet.** In iptables mode it is compared with one Service after the other, in the chain
#   `KUBE-SERVICES`, until one fits: the last Service pays for all before it. In nftables mode, first and last are the
#   same. (Later packets of a connection skip this: conntrack remembers where the first one went.)
# - **One more Service.** In iptables mode kube-proxy writes the whole chain `KUBE-SERVICES` again; in nftables mode
#   it adds an element.
#
# ipvs mode, where the kernel has it, uses a hash table in the kernel, as nftables' maps are; it is deprecated since
# Kubernetes 1.35, and nftables is its successor.

# %% [markdown]
# ### Exercise 3
# How many rules does **one more** Service add on a node in iptables mode? Take two lines of the table.

# %% tags=["exercise"]
answer = None
kube_proxy_measured.rules_for_each(measured.measurement, "iptables", answer)

# %% tags=["nbval-check-output"]
print("measured:", sorted({run.mode for run in measured.measurement.runs}))
print("Services left behind:", len(lab.kubectl("get services --namespace labkit-bench --output name").splitlines()))
print("the mode is what it was:", lab.proxy.mode == before)

# %% [markdown]
# ## 5. Keep the figures
#
# As JSON, every single value is there, to plot it your own way.

# %% tags=["nbval-ignore-output"]
import json

json.dumps(measured.to_json())[:300]

# %% [markdown]
# ## 6. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()
labkit.lab_names()

# %% [markdown]
# ## Summary
#
# - A Service answers as soon as kube-proxy has written rules on the node that asks, and each node's kube-proxy does
#   so by itself.
# - It waits a second between two rounds, so that many changes cost one.
# - In iptables mode the first packet's way, and the writing of one more Service, grow with the number of Services; in
#   nftables mode they do not.
