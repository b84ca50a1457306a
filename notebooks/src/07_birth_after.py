# %% [markdown]
# # After the birth: certificates, static pods, nodes that come and go
#
# **Goals.** You know which authority signed which certificate, and which connection uses it; what happens when one
# ends, and how it is renewed. You can say who starts the API server when there is no API server. You label a node,
# keep pods away from it, empty it without harm, remove it and let it join again; you know what goes on while the
# master is away.
#
# **Time.** 40 minutes. **Needs.** Linux; no Docker, no root. Do *The cluster's birth* first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Certificates: who believes whom
#
# No component of Kubernetes believes a caller because of its address. Each shows a certificate, and the other asks:
# did an authority that I know sign it, and is it still valid?
#
# *Predict:* how many authorities does a cluster of kubeadm have? Does etcd believe what the cluster's authority
# signed?

# %% tags=["nbval-ignore-output"]
lab.certificates

# %% [markdown]
# Each authority is at the top, and below it is what its key signed. The same authority cannot speak for everything:
# etcd has one of its own, so that a client of the API server is not a client of etcd. A kubelet signs its own server
# certificate, with an authority that it made for itself.
#
# kubeadm has a list of its own. Compare the two:

# %% tags=["nbval-ignore-output"]
print(lab.certificates.check_expiration())

# %% [markdown]
# **Why are the kubelets' missing there?** kubeadm did not make them. A kubelet asks for its client certificate itself
# when it joins, and renews it itself.
#
# ### Exercise
# The API server calls etcd with the certificate `apiserver-etcd-client`. Which authority signed it?

# %% tags=["exercise"]
from labkit.checks import certificates

answer = None
certificates.signed_by(lab, "apiserver-etcd-client", answer)

# %% [markdown]
# ### What is in a kubeconfig
#
# A kubeconfig is an address, an authority to believe, and a certificate to show. The certificate's *CN* is the user,
# its *O*s are the groups. What a user may do is told by RBAC: here the API server itself is asked.
#
# *Predict:* may the scheduler read Secrets? May a kubelet delete its own node?

# %% tags=["nbval-ignore-output"]
lab.certificates.kubeconfigs()

# %% [markdown]
# Look at `super-admin.conf`: its group `system:masters` is let through before RBAC is asked. No one can take that
# right away, but by a new authority. So that file stays in a safe, and `admin.conf` is what one works with: its
# right comes from a binding, and a binding can be deleted.
#
# ### The textbook's three lines
#
# `kubeadm init` ends with three lines to copy `admin.conf`. Here they are done in a home on the control plane's node;
# your own `~/.kube` is not touched. *Predict:* what does `kubectl` say before the first of them?

# %% tags=["nbval-ignore-output"]
lab.copy_kubeconfig()

# %% [markdown]
# ### A certificate that ends
#
# A client certificate is signed by the cluster's authority, and it is valid for three seconds.
#
# *Predict:* what does the API server say in the fourth?

# %% tags=["nbval-ignore-output"]
lab.certificates.expire()

# %% [markdown]
# The signature is as good as before: only the time is over. That is what happens to a whole cluster one year after
# `kubeadm init`, if nobody renews. Renew one:

# %% tags=["nbval-ignore-output"]
lab.certificates.renew("apiserver")

# %% [markdown]
# **Why was nothing restarted?** The API server watches the file of its own server certificate and shows the new one
# to the next caller. Others read their file once, at their start: after `lab.certificates.renew("scheduler.conf")`
# the scheduler is started anew. The old certificate stays valid until its end: Kubernetes has no list of what was
# revoked.

# %% [markdown]
# ## 2. Static pods: started from a file
#
# Who starts the API server, when there is no API server to say so?

# %% tags=["nbval-ignore-output"]
lab.static_pods

# %% [markdown]
# The kubelet reads a folder. For each manifest in it, it starts a pod, and makes a *mirror pod* in the API, so that
# others see it.
#
# *Predict:* what happens to the scheduler's process when its pod is deleted?

# %% tags=["nbval-ignore-output"]
lab.static_pods.delete_mirror("kube-scheduler")

# %% [markdown]
# **Why.** The uid is another one, the process is the same: what you deleted is the kubelet's report, not the pod.
#
# Now the file itself is broken. *Predict:* does the scheduler stop at once?

# %% tags=["nbval-ignore-output"]
whole = lab.static_pods.manifest("kube-scheduler")
lab.static_pods.write("kube-scheduler", whole.replace("spec:", "spec: [", 1))

# %% [markdown]
# The kubelet says which line it cannot read, and the process runs on: for now. Put the file back.

# %% tags=["nbval-ignore-output"]
lab.static_pods.restore("kube-scheduler")

# %% [markdown]
# The kubelet's own configuration is a file, too, and it reads that at its start alone. *Predict:* with a tab in it,
# does the kubelet start? Do its pods stop?

# %% tags=["nbval-ignore-output"]
kubelet = lab.kubelet("node-01")
kubelet.configure(kubelet.config + "\n\tfailSwapOn: false")

# %% tags=["nbval-ignore-output"]
kubelet.repair()

# %% [markdown]
# ### Exercise
# Give the scheduler's static pod the annotation `example.com/lesson`, so that the *process* is another one. (`kubectl
# annotate` is the wrong way: try it, and see what the check says. `lab.static_pods.annotate` writes the manifest.)

# %% tags=["exercise"]
certificates.annotated(lab, "kube-scheduler", "example.com/lesson")

# %% [markdown]
# Afterwards, `lab.static_pods.restore("kube-scheduler")` puts the manifest back as kubeadm made it.

# %% [markdown]
# ## 3. Verify, and label
#
# `kubectl get nodes` is the last line of the textbook's installation. Its column ROLES is no field of a Node: kubectl
# takes it from labels whose key begins with `node-role.kubernetes.io/`. *Predict:* what does the column say of a
# worker?

# %% tags=["nbval-check-output"]
print(lab.kubectl("get nodes"))
lab.kubectl("label node node-01 node-role.kubernetes.io/worker=")
print(lab.kubectl("get nodes"))
lab.kubectl("label node node-01 node-role.kubernetes.io/worker-")  # the hyphen takes it off

# %% [markdown]
# ### Taints
#
# A taint keeps pods away that do not tolerate it. The control plane's node has one since `kubeadm init`. Now both
# workers get one, too. *Predict:* where does a new pod go?

# %% tags=["nbval-check-output"]
lab.kubectl("taint nodes node-01 node-02 for=later:NoSchedule")
lab.kubectl("run guest --image=nginx")
lab.kubectl("wait pod guest --for=condition=PodScheduled=False --timeout=30s")
print(lab.kubectl("get pod guest"))
print(lab.kubectl("get pod guest --output jsonpath={.status.conditions[0].message}"))

# %% [markdown]
# These are the scheduler's own words: it names each reason, and how many nodes it is about. Nothing has failed: the
# pod waits, and is looked at again when a Node changes. So take the taint off:

# %% tags=["nbval-ignore-output"]
lab.kubectl("taint nodes node-01 node-02 for-")
lab.kubectl("wait pod guest --for=condition=Ready --timeout=60s")
print(lab.kubectl("get pod guest --output wide"))
lab.kubectl("delete pod guest --now")

# %% [markdown]
# ### Emptying a node
#
# `kubectl cordon` gives a node a taint of Kubernetes' own, and no new pods come. `kubectl drain` does the same, and
# then asks for the *eviction* of each pod. A **PodDisruptionBudget** says how many pods of an application must stay.
#
# *Predict:* the shop has two pods, and its budget says that two must stay. What does drain do?

# %% tags=["nbval-ignore-output"]
from datetime import UTC, datetime

from labkit.errors import ClusterError

lab.deploy("shop", image="nginx", replicas=2)
lab.kubectl("create poddisruptionbudget shop --selector=app=shop --min-available=2")
lab.kubectl("wait poddisruptionbudget shop --for=jsonpath={.status.currentHealthy}=2 --timeout=30s")
since = datetime.now(UTC)
drain = "drain node-02 --ignore-daemonsets --delete-emptydir-data --pod-selector=app=shop"
try:
    print(lab.kubectl(f"{drain} --timeout=3s"))
except ClusterError as error:
    print(error.why)
print(lab.kubectl("get nodes"))

# %% [markdown]
# ### Exercise
# Who refused the eviction? Give a component's name. (`lab.evidence(since)` has what the API server logged.)

# %% tags=["exercise"]
from labkit.checks import nodes

answer = None
nodes.refused_by(lab, since, answer)

# %% [markdown]
# With a budget of one, drain gets through: the pod is evicted, and its replica set has another one made elsewhere.

# %% tags=["nbval-ignore-output"]
lab.kubectl(["patch", "poddisruptionbudget", "shop", "--patch", '{"spec": {"minAvailable": 1}}'])
lab.kubectl("wait poddisruptionbudget shop --for=jsonpath={.status.disruptionsAllowed}=1 --timeout=30s")
print(lab.kubectl(f"{drain} --timeout=60s"))
lab.kubectl("rollout status deployment shop --timeout=60s")
print(lab.kubectl("get pods --selector app=shop --output wide"))
lab.kubectl("uncordon node-02")
lab.kubectl("delete poddisruptionbudget shop")

# %% [markdown]
# *Predict:* the node takes pods again. Does one of the shop's two come back to it?
#
# **Why not?** Nobody moves a pod that runs: the scheduler only chooses for pods that have no node.
#
# ### Deleting a node
#
# `kubectl delete node` removes the Node object. *Predict:* what does the kubelet of *node-02* do then?

# %% tags=["nbval-check-output"]
lab.kubectl("delete node node-02")
print(lab.kubectl("get nodes"))
print("its kubelet's process:", lab.nodes["node-02"].exec("pidof kubelet"))

# %% [markdown]
# It goes on, and finds no Node to tell its status to: a kubelet registers only when it starts. And its certificate is
# as good as before: deleting a Node takes no right away. To have it back as the textbook does, `kubeadm reset` and
# `kubeadm join`, with a new token:

# %% tags=["nbval-ignore-output"]
lab.rejoin("node-02")
print(lab.kubectl("get nodes"))

# %% [markdown]
# ## 4. Restart
#
# A worker is switched off, as if somebody had pulled its plug, and on again four seconds later. Meanwhile another
# node asks the shop each 100 ms.
#
# *Predict:* does it need a token to come back? Are requests lost?

# %% tags=["nbval-ignore-output"]
worker = lab.restart("node-01", away=4, service="shop")
worker

# %% [markdown]
# Read the marks by their numbers. The kubelet has all it needs in files: its kubeconfig, its certificate, its
# configuration. It asks the API server to make its Node, then tells its status, asks which pods are its own, and has
# their containers started. Requests were lost if a pod of the shop was on this node: for a few seconds nobody noticed
# that it was gone.
#
# ### Exercise
# With which HTTP status code was the kubelet's wish to be registered answered, and why not with 201?

# %% tags=["exercise"]
answer = None
nodes.registered(worker, answer)

# %% [markdown]
# Now the master. *Predict:* how many requests to the shop are lost while there is no API server, no etcd, no
# scheduler?

# %% tags=["nbval-ignore-output"]
master = lab.restart("master", away=4, service="shop")
master

# %% tags=["nbval-check-output"]
print("requests lost while the master was away:", master.failed)

# %% [markdown]
# **Why.** The pods and the rules in the kernels of the workers were there, and no component of the master is on a
# request's way. See also in which order the master comes back: the kubelet first, which asks to be registered and
# gets no answer; from manifests in its own files it has etcd, the API server, the scheduler and the
# controller-manager started; only then somebody can answer it.

# %% [markdown]
# ## 5. Tear down

# %%
lab.down()

# %% [markdown]
# ## Summary
#
# - No component believes a caller because of its address: each side shows a certificate, and the other asks who
#   signed it.
# - A certificate ends; a renewed one counts as soon as its owner has read it.
# - A static pod is a file in a folder that a kubelet reads. Its pod in the API is a report.
# - Labels and taints steer the scheduler. Draining asks for evictions, and a budget may refuse them.
# - A node that restarts needs no token: its kubelet has its certificate, and comes back by itself.
# - What runs on the workers goes on while the master is away.
