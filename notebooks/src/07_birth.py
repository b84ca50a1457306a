# %% [markdown]
# # The cluster's birth
#
# **Goals.** You know what each line of the textbook's script prepares on a machine. You know what `kubeadm init`
# does, in which order, and what each phase leaves behind; what its options mean, and who notices when one of them is
# wrong; and why a node is *NotReady* until somebody installs a network.
#
# **Time.** 35 minutes. **Needs.** Linux; no Docker, no root. Do *The architecture* first. Two more notebooks belong
# to the installation: *The cluster's birth: machines join*, and *After the birth*.

# %% [markdown]
# ## 1. Three machines, and no cluster
#
# The nodes are prepared, and no more: the programs are there, each container runtime serves, no kubelet runs.

# %%
import labkit

lab = labkit.up(init=False)
lab

# %% [markdown]
# ## 2. Preparing a host
#
# Before `kubeadm init`, the textbook runs a script on every machine: host name, firewall, SELinux, swap, kernel
# settings, a container engine, packages. Nothing of it belongs to Kubernetes; Kubernetes depends on it.
#
# *Predict:* is the machine that you sit at prepared to be a node itself? A lab can run on it. Is that the same?

# %% tags=["nbval-ignore-output"]
labkit.preflight()

# %% [markdown]
# Nothing was changed: each line was looked for. A broken line is around a part for which something has not been done.
#
# **Why** does a lab run here all the same? Because its nodes are prepared, not your machine: each has a host name, a
# network and kernel settings of its own. The same checks, made on a node by the node itself:

# %% tags=["nbval-ignore-output"]
prepared = lab.preflight("node-01")
prepared

# %% [markdown]
# One line at a time: its part is lit, and below stands why Kubernetes needs it.

# %% tags=["nbval-ignore-output"]
prepared["swap"]

# %% [markdown]
# ### Exercise
# Two pods run on the same node, on the same bridge. One calls a Service, and the other one answers. Which part of the
# node does the line `bridge-nf-call-iptables` protect? Give the part's name: one of `"name"`, `"clock"`, `"kubelet"`,
# `"runtime"`, `"proxy"`, `"pod network"`, `"card"`.

# %% tags=["exercise"]
from labkit.checks import nodes

answer = None
nodes.protects(prepared, "bridge-nf-call-iptables", answer)


# %% [markdown]
# ## 3. kubeadm init
#
# ### What kubeadm is told
#
# These are the options that the textbook gives, with the values of this lab. Here kubeadm reads them from a file,
# where each has a field of its own: `kubeadm init --config /etc/kubernetes/labkit/init.yaml`.

# %% tags=["nbval-ignore-output"]
lab.init_options

# %% [markdown]
# ### When an option is wrong
#
# *Predict:* for each of these four, who notices it: `kubeadm`, the `container runtime`, `etcd`, or the
# `kube-controller-manager`? And is anything written by then?
#
# 1. `--image-repository` names a registry that does not exist.
# 2. `--kubernetes-version` is four minor versions older than kubeadm.
# 3. `--service-cidr` and `--pod-network-cidr` are the same range.
# 4. `--apiserver-advertise-address` is an address that this machine does not have.
#
# Each cell really runs `kubeadm init` with the wrong value, and then `kubeadm reset`, which takes the node back.

# %% tags=["nbval-ignore-output"]
repository = lab.try_init("image-repository")
repository

# %% tags=["nbval-ignore-output"]
version = lab.try_init("kubernetes-version")
version

# %% tags=["nbval-ignore-output"]
ranges = lab.try_init("overlapping-ranges")
ranges

# %% tags=["nbval-ignore-output"]
address = lab.try_init("advertise-address")
address

# %% [markdown]
# **Why.** kubeadm checks what it can before it writes anything: that is its phase *preflight*. It can see the
# version, and whether the images are to be had. It does not compare the ranges, and it does not try the address:
# that is found out by those who use them. Then you have half a cluster, and the error that kubeadm prints is not the
# cause: it only says how long it waited. The cause is in the log of the component that failed.

# %% [markdown]
# ### Exercise
# Write for each mistake who noticed it, in place of `None`:
# `{"image-repository": "…", "kubernetes-version": "…", "overlapping-ranges": "…", "advertise-address": "…"}`.

# %% tags=["exercise", "nbval-ignore-output"]
from labkit.checks import init

answer = None
init.noticed([repository, version, ranges, address], answer)

# %% [markdown]
# ### Phase by phase
#
# *Predict:* the API server does not run yet. Which phases can work without it, and which need it?
#
# `kubeadm init` is a list of phases, and each can be run by itself: `kubeadm init phase certs all`. Press the
# buttons, one phase at a time, and look at what each one wrote. (In a terminal: `labkit node shell master`.)

# %% tags=["nbval-ignore-output"]
steps = lab.init_steps()
steps

# %% [markdown]
# This runs the phases that you have left, and shows all of them:

# %% tags=["nbval-ignore-output"]
run = steps.rest()
run

# %% [markdown]
# **Why.** The first six phases only write files on this node: certificates, kubeconfigs, manifests, the kubelet's
# configuration. Then kubeadm *waits*: it is the kubelet that reads the manifests and has the containers started. As
# soon as the API server answers, the other phases write objects: the configuration, a label and a taint for the
# node, a token, CoreDNS and kube-proxy.
#
# Everything that was written during a phase, for example files in *certs*, and objects in *bootstrap-token*:

# %% tags=["nbval-ignore-output"]
run.written("certs")

# %% tags=["nbval-ignore-output"]
run.written("bootstrap-token")

# %% [markdown]
# ### Exercise
# In which phase was each of these made?

# %% tags=["nbval-check-output"]
print(init.THINGS)

# %% tags=["exercise", "nbval-ignore-output"]
answer = None
init.made(run, answer)

# %% [markdown]
# ### A second time
#
# *Predict:* what happens when you run `kubeadm init` again?

# %% tags=["nbval-ignore-output"]
lab.try_init("init-twice")

# %% [markdown]
# **Why.** *preflight* finds the ports taken and the files there, and stops: it would otherwise overwrite the keys of
# a cluster that runs. To begin anew on purpose there is `kubeadm reset` (`lab.reset()`).

# %% [markdown]
# ## 4. The network add-on
#
# The cluster is initialised. Is its node Ready?

# %% tags=["nbval-ignore-output"]
print(lab.kubectl("get nodes"))
print(lab.kubectl("get pods --namespace kube-system --output wide"))

# %% [markdown]
# *Predict:* CoreDNS is *Pending*, kube-proxy runs. Why does one need a network, and the other not?
#
# The kubelet says why its node is not Ready:

# %% tags=["nbval-check-output"]
print(lab.kubectl("get node master --output jsonpath='{.status.conditions[-1].message}'"))

# %% [markdown]
# A network add-on is a manifest like any other. This one is small: an account, what it may read, and a DaemonSet.

# %% tags=["nbval-ignore-output"]
network = lab.network.install()
network

# %% [markdown]
# **Why.** The add-on's pod uses the node's own network (`hostNetwork`), as kube-proxy does, and it tolerates that
# the node is not Ready: so it can start first. It writes one file, the CNI configuration. The container runtime
# finds the file and tells the kubelet, and the kubelet says *Ready*. With that the taint
# `node.kubernetes.io/not-ready` goes, and the scheduler places CoreDNS.
#
# The table shows what changed on the node: the file, and a pair of virtual interfaces and a route for each pod that
# has an address of its own. Who did what, as a flow with its evidence:

# %% tags=["nbval-ignore-output"]
lab.explain("daemonset/labkit-network", "kube-system")

# %% [markdown]
# ## 5. Tear down
#
# The two workers are still machines of nobody: in *The cluster's birth: machines join* such a machine becomes a node.

# %%
lab.down()

# %% [markdown]
# ## Summary
#
# - What the textbook's script does belongs to the machine, not to Kubernetes; each line protects a part of the node.
# - `kubeadm init` is a list of phases. The first ones only write files; the kubelet starts the control plane from
#   them; the last ones write objects through the API server.
# - kubeadm checks some options itself. Of others it only says that it has waited: the cause is in the log of the
#   component that could not work with them.
# - A node is *NotReady* until a network add-on has written the CNI configuration.
