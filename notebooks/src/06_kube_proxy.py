# %% [markdown]
# # kube-proxy: how a Service's address leads to a pod
#
# **Goals.** You follow a real packet from a node to a pod, rule by rule. You switch kube-proxy from iptables to
# nftables, first by hand as the textbook does it, then by a button. You see the same Service in the rules of each
# mode, and why one of them gets slower with every Service while the others do not.
#
# **Time.** 30 minutes. **Needs.** Linux; no Docker, no root. Do *Start here* first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. An address that nobody has
#
# Three pods of Tomcat, and a Service in front of them:

# %% tags=["nbval-ignore-output"]
lab.deploy("tomcat", image="tomcat8", replicas=3)
lab.kubectl("get service,endpointslices,pods --selector app=tomcat -o wide")

# %% [markdown]
# Tomcat needs some seconds to wake up. All three answer when a dozen requests in a row are answered:

# %% tags=["nbval-ignore-output"]
import time
import urllib.request

url = lab.open("svc/tomcat")


def all_answer():
    """Ask a dozen times."""
    try:
        return all(urllib.request.urlopen(url, timeout=5).status == 200 for _ in range(12))
    except OSError:
        return False


while not all_answer():
    time.sleep(0.5)
url

# %% [markdown]
# The Service has an address of its own, its *cluster IP*, and each pod has one. *Predict:* which machine, or which
# pod, has the cluster IP? Look for it in the list of all addresses of a node:

# %% tags=["nbval-check-output"]
cluster_ip = lab.kubectl("get service tomcat -o jsonpath={.spec.clusterIP}")
print("a node has the cluster IP:", any(cluster_ip in node.exec("ip address show") for node in lab.nodes))

# %% [markdown]
# No machine has it. And yet a packet to it arrives: on its way out, each node's **kernel** gives it another
# destination, the address of one of the pods. It does so by rules, and the rules are written by **kube-proxy**. No
# packet ever goes through kube-proxy itself, in spite of its name.
#
# ## 2. The rules
#
# This is what the rules on the master say of our Service. They were read from the kernel, not from Kubernetes:

# %% tags=["nbval-ignore-output"]
lab.proxy.rules().of("tomcat")

# %% [markdown]
# Each of the three pods gets a third of all new connections. The rules themselves are harder to read. Here are the
# first ones, as `iptables-save` prints them:

# %% tags=["nbval-ignore-output"]
for port in lab.proxy.rules().of("tomcat").ports:
    print(*port.rules, *port.endpoints[0].rules, sep="\n")

# %% [markdown]
# Now those that choose a pod, one for each:

# %% tags=["nbval-ignore-output"]
rules = lab.proxy.rules()
for endpoint in rules.of("tomcat").ports[0].endpoints:
    print(endpoint.rules[0])

# %% [markdown]
# ### Exercise 1
# Type your answer into the panel and press *Check*. A panel counts your attempts, and says why an answer is wrong.

# %% tags=["exercise"]
from labkit.checks import kube_proxy
from labkit.widgets.exercise import ExercisePanel

ExercisePanel(
    "Exercise 1",
    "The second rule says --probability 0.5. How many percent of all new connections does it take?",
    lambda answer: kube_proxy.share(rules, "tomcat", 2, answer),
    field="Percent of all new connections",
)

# %% [markdown]
# ## 3. A packet's way
#
# *Predict:* a program on node-01 connects to the cluster IP. Which is the first rule that changes the packet, and what
# does it change?
#
# The next cell sends one real request, and has the kernel tell what it does with its first packet.

# %% tags=["nbval-ignore-output"]
lab.proxy.trace("svc/tomcat", from_node="node-01")

# %% [markdown]
# From top to bottom, you see each chain that the packet came to, and each rule that matched. Two of them rewrote it:
#
# - **DNAT** gave it a pod's address instead of the cluster IP. Which pod, chance decided.
# - **masquerade**, if you see it, gave it the node's address as its source, so that the answer comes back by this node
#   and can be rewritten as well.
#
# Run the cell again: the packet may well go to another pod. (Where the client saw no HTTP answer, that pod's Tomcat was
# still waking up.)
#
# ### Exercise 2
# Another packet, without a picture. Here are the rules that matched, and nothing else.

# %% tags=["nbval-ignore-output"]
packet = lab.proxy.trace("svc/tomcat", from_node="node-02")
for step in packet.path.steps:
    print(f"{step.chain}: {step.rule}")
names = lab.kubectl("get pods --selector app=tomcat --output jsonpath={.items[*].metadata.name}").split()

# %% tags=["exercise"]
ExercisePanel(
    "Exercise 2",
    "Which pod did this packet reach? The rules have an address; kubectl get pods -o wide has the pods' addresses.",
    lambda answer: kube_proxy.reached(lab, packet, answer),
    choices=names,
)

# %% [markdown]
# ## 4. Another mode, by hand
#
# kube-proxy can write its rules in other ways, called *modes*. Which one, it reads from a ConfigMap, **once, when it
# starts**. So the textbook has you do five things. First, edit the ConfigMap. `kubectl edit` would open an editor;
# here Python changes the one line:

# %% tags=["nbval-ignore-output"]
import re

config = lab.kubectl("get configmap kube-proxy --namespace kube-system -o yaml")
print("before:", re.search(r"(?m)^ *mode:.*", config)[0].strip())
lab.kubectl("replace --filename -", stdin=re.sub(r"(?m)^( *)mode:.*", r"\1mode: nftables", config))

# %% [markdown]
# Has anything changed in the kernels? These rules of our Service were read from node-01 after the change:

# %% tags=["nbval-ignore-output"]
after = lab.proxy.rules("node-01").of("tomcat")
print(*after.ports[0].rules, sep="\n")

# %% [markdown]
# ### Exercise 3

# %% tags=["exercise"]
ExercisePanel(
    "Exercise 3",
    "Which mode wrote these rules?",
    lambda answer: kube_proxy.written_by(after, answer),
    choices=["iptables", "nftables", "ipvs"],
)

# %% [markdown]
# Compare what kube-proxy is asked for with what the master has:

# %% tags=["nbval-check-output"]
print("the ConfigMap says:", lab.proxy.mode)
print("the master's rules:", lab.proxy.rules("master").mode)

# %% [markdown]
# Nothing has changed: the pods run on with what they read when they started. Second, list them; third, delete them; the
# DaemonSet makes new ones at once. Fourth, list those:

# %% tags=["nbval-ignore-output"]
pods = "pods --namespace kube-system --selector k8s-app=kube-proxy"
print(lab.kubectl(f"get {pods} -o wide"))
print(lab.kubectl(f"delete {pods}"))
print(lab.kubectl("rollout status daemonset/kube-proxy --namespace kube-system --timeout=60s"))
print(lab.kubectl(f"get {pods} -o wide"))

# %% [markdown]
# Fifth, read what the new ones say in their logs. One line tells which mode each really took:

# %% tags=["nbval-ignore-output"]
logs = lab.kubectl("logs --namespace kube-system --selector k8s-app=kube-proxy --tail=-1 --prefix")
for line in logs.splitlines():
    if "Proxier" in line:
        print(line)

# %% [markdown]
# `lab.proxy.switch` does the same five things, and a sixth that the textbook leaves out: it waits until every node
# really answers by the new rules, with the old ones gone. If a node cannot, it puts the old mode back. Here it finds
# little or nothing left to do:

# %% tags=["nbval-ignore-output"]
lab.proxy.switch("nftables")

# %% tags=["nbval-check-output"]
print("the ConfigMap says:", lab.proxy.mode)
print("the nodes' rules:", [lab.proxy.rules(node.name).mode for node in lab.nodes])

# %% [markdown]
# ## 5. Another mode, by a button
#
# The panel shows the ConfigMap on the left, and on the right each node: its kube-proxy pod, what that said in its log,
# and what the node's kernel has. Press a mode and watch: which changes first, and which last? Is there a moment at
# which a node has no pod of kube-proxy? Do its rules go on working then?

# %% tags=["nbval-ignore-output"]
lab.proxy

# %% [markdown]
# A machine whose kernel lacks **ipvs** says so below the buttons, with what to do about it. *Try ipvs anyway* shows
# what kube-proxy does then: it ends with an error, the kubelet starts it again, and again. The panel shows its log, and
# labkit puts the old mode back.
#
# Here is the same panel of another cluster, whose kernel has ipvs. It was recorded: a button shows how it was in that
# mode. Press **ipvs**, and compare what the nodes' kernels had.

# %% tags=["nbval-ignore-output"]
labkit.replay("kube-proxy-ipvs").proxy

# %% [markdown]
# ## 6. The same packet, by other rules
#
# *Predict:* the same request, now in nftables mode. Will there be more chains on the packet's way, or fewer?

# %% tags=["nbval-ignore-output"]
lab.proxy.trace("svc/tomcat", from_node="node-01")

# %% [markdown]
# ## 7. Side by side
#
# Here is our Service in the modes that this lab has had so far. A mode that it never had comes from a recording, and
# says so.

# %% tags=["nbval-ignore-output"]
lab.proxy.compare_modes("tomcat")

# %% [markdown]
# Follow the line in the picture. It leads to everything that the kernel reads before it knows where the packet goes.
#
# - In **iptables** mode the kernel reads rule after rule until one matches. Every Service more may be one more to read.
# - In **nftables** mode it looks the address up in a map, as you look a word up in a dictionary: a thicker dictionary
#   takes no longer.
# - In **ipvs** mode the kernel's own load balancer looks it up, in a table of its own.
#
# All three are asked only for the **first** packet of a connection; the kernel remembers the answer for the rest.
#
# *Predict:* you make ten Services more. How many rules does iptables mode read then for the one that stands last? How
# many steps does nftables mode take for it?

# %% tags=["nbval-ignore-output"]
import time

names = [f"more-{number}" for number in range(10)]
for name in names:
    lab.kubectl(f"expose deployment tomcat --name={name} --port=8080")
while not lab.proxy.check().agrees:  # until every node has rules of them
    time.sleep(0.2)
lab.proxy.switch("iptables")
compared = [lab.proxy.compare_modes(name) for name in names]
max(compared, key=lambda each: each.comparison.seen[0].position)

# %% [markdown]
# kube-proxy writes the list in no particular order, and anew whenever a Service changes: another one may stand last the
# next time.
#
# ## 8. A Service that refuses
#
# Two pods, and a Service in front of them. The pods run:

# %% tags=["nbval-ignore-output"]
waiting = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: waiting, labels: {app: waiting}}
spec:
  replicas: 2
  selector: {matchLabels: {app: waiting}}
  template:
    metadata: {labels: {app: waiting}}
    spec:
      containers:
      - name: web
        image: nginx
        readinessProbe: {httpGet: {path: /, port: 81}, periodSeconds: 1}
"""
lab.kubectl("apply --filename -", stdin=waiting)
lab.kubectl("expose deployment waiting --port=80")
lab.kubectl("wait --for=create pods --selector app=waiting --timeout=30s")
lab.kubectl("wait --for=jsonpath={.status.phase}=Running pods --selector app=waiting --timeout=30s")
lab.kubectl("get pods --selector app=waiting --output wide")

# %% [markdown]
# *Predict:* a program connects to the Service. Is it told at once that nobody is there, or does it wait in vain?

# %% tags=["nbval-ignore-output"]
while not lab.proxy.rules("node-01").of("waiting").ports:  # until kube-proxy has heard of the Service
    time.sleep(0.2)
lab.proxy.trace("svc/waiting", from_node="node-01")

# %% [markdown]
# ### Exercise 4
# Look at the pods, at `kubectl get endpointslices`, and at what the rules say.

# %% tags=["exercise"]
ExercisePanel(
    "Exercise 4",
    "Why does the Service waiting refuse connections?",
    lambda answer: kube_proxy.refused(lab, "waiting", answer),
    choices=kube_proxy.REASONS,
)

# %% [markdown]
# A Service leads only to pods that are **Ready**. Whether one is, its readiness probe tells; *Running* says no more
# than that its process was started. If you change the probe's port to 80, the Service answers a moment later.
#
# ## 9. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - A Service's address belongs to no machine. Each node's kernel rewrites packets for it, by the rules of kube-proxy.
# - kube-proxy reads its mode when it starts: edit the ConfigMap, delete the pods, read the logs of the new ones.
# - The old rules stay in the kernel until the new kube-proxy takes over: packets find their way meanwhile.
# - iptables reads a list; nftables and ipvs look up. With few Services that is all the same, with thousands it is not.
# - A Service leads to pods that have its labels and are Ready. Where there is none, the kernel refuses at once.
