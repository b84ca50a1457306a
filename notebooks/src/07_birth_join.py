# %% [markdown]
# # The cluster's birth: machines join
#
# **Goals.** You know what a bootstrap token is good for, and how long; what the hash beside it protects; and how a
# machine that nobody knows becomes a node with a certificate of its own. You have seen a join refused in several
# ways, and you can tell from kubeadm's words what is wrong. You can find a machine whose preparation is undone.
#
# **Time.** 30 minutes. **Needs.** Linux; no Docker, no root. Do *The cluster's birth* first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Tokens
#
# Someone who wants to be let in needs a ticket. A **bootstrap token** is an id and a secret, with a dot between. Each
# side uses it to prove something to the other:
#
# - the machine shows it to the API server, and is let in as user `system:bootstrap:ID`, who may do very little;
# - the cluster *signs* with it what it says of itself, so that the machine knows that it speaks to the right one.

# %% tags=["nbval-ignore-output"]
short = lab.token.create(ttl="10m", description="for a machine that comes now")
ages = lab.token.create(ttl=0, description="for whoever finds it")
lab.token.list()

# %% [markdown]
# ### Exercise
# Which of these tokens would you not want to find in a chat? Give the id of the one that lives longest.

# %% tags=["exercise"]
from labkit.checks import join as joining

answer = None
joining.longest(lab, answer)

# %% [markdown]
# A token is a Secret, and a controller deletes it when its time is over. The one that never ends has to be deleted by
# hand:

# %% tags=["nbval-check-output"]
print(lab.kubectl(f"get secret --namespace kube-system bootstrap-token-{short.id} --output jsonpath={{.type}}"))
print(lab.token.delete(ages))

# %% [markdown]
# ## 2. Whom do you trust?
#
# kubeadm prints the whole command for the other machine:

# %% tags=["nbval-check-output"]
print(lab.token.print_join_command(ttl="10m"))

# %% [markdown]
# The long number is a hash of the public key of the cluster's certificate authority (CA). It is computed in four
# steps, and openssl does the same on the node:

# %% tags=["nbval-ignore-output"]
digest = lab.token.ca_hash()
digest

# %% tags=["nbval-check-output"]
print("openssl agrees:", digest.agrees)

# %% [markdown]
# *Predict:* the machine has no certificate of the cluster yet. So its first request goes to a server that may be
# anybody's. What does it ask for, and why is it safe to believe the answer?
#
# It reads `cluster-info`, which everybody may read: the API server's address, the CA's certificate, and for each
# token a signature. Only who knows the token's secret can have made it:

# %% tags=["nbval-ignore-output"]
lab.token.verify(short)

# %% [markdown]
# **Why both?** The token proves that the answer comes from somebody who knows the token. But everybody who joined
# with it knows it, too. The hash is of the CA's key, which only the control plane has.

# %% [markdown]
# ## 3. Refused
#
# *Predict* for each of these what kubeadm says: a token that this cluster never made; a wrong hash; a token with a
# letter missing; the name of a node that there is already.

# %% tags=["nbval-ignore-output"]
from labkit.errors import ClusterError

node = lab.prepare("node-03")
tries = [
    {"token": "nobody.0123456789abcdef"},
    {"ca_hash": "sha256:" + 64 * "0"},
    {"token": "nobody.0123456789abcde"},
    {"name": "master"},
]
for wrong in tries:
    try:
        lab.join("node-03", seconds=2, **wrong)
    except ClusterError as error:
        print(wrong, error, sep="\n", end="\n\n")

# %% [markdown]
# An **expired** token and a **deleted** one are refused in the words of the first: the cluster no longer signs with
# them. kubeadm waits for a signature that may still come, by default for five minutes; here only for two seconds.

# %% [markdown]
# ## 4. Joined
#
# *Predict:* which requests does the new machine send, and who answers? Who decides that it may have a certificate:
# you, the API server, or somebody else?

# %% tags=["nbval-ignore-output"]
joined = lab.join("node-03", token=short)
joined

# %% [markdown]
# Read the picture from left to right. *kubeadm* reads `cluster-info` as nobody, checks signature and hash, then
# reads the cluster's configuration with the token. It starts the *kubelet*, which makes a key of its own and asks
# for a certificate: a **CertificateSigningRequest**. Two parts of the controller-manager answer it: one approves it,
# because the token's group `system:bootstrappers:kubeadm:default-node-token` may have a node's certificate; one
# signs it with the CA's key. Dashed arrows are inferred: nobody logs that a watcher was told. From then on the token
# is not needed: the kubelet is `system:node:node-03`, and registers its Node.

# %% tags=["nbval-ignore-output"]
joined.hops()

# %% [markdown]
# ### Exercise
# Who said yes to the certificate? Give a component's name, as the picture has it.

# %% tags=["exercise"]
answer = None
joining.said_yes(joined, answer)

# %% [markdown]
# A machine joins once. *Predict:* what does kubeadm say if you try again, with a good token?

# %% tags=["nbval-ignore-output"]
try:
    lab.join("node-03")
except ClusterError as error:
    print(error)

# %% [markdown]
# **By hand.** In a terminal: `labkit node prepare node-04`, then `labkit token join-command`, and type what it
# prints in `labkit node shell node-04`.

# %% [markdown]
# ## 5. A machine that was not prepared
#
# Somebody has undone a line of the script on *node-02*. *Predict:* which one may it be, if the node is *Ready*, its
# pods run, and nobody on another node gets an answer from them? (*far* has a pod on each worker, and the master
# asks.)

# %% tags=["nbval-ignore-output"]
from labkit.checks import experiment

lab.deploy("far", image="nginx", replicas=3)
before = experiment.requests(lab, "far", seconds=2)
lab.nodes["node-02"].exec("echo 0 > /proc/sys/net/ipv4/ip_forward")
after = experiment.requests(lab, "far", seconds=3)
print(f"before: {before.failed} of {before.asked} requests failed, after: {after.failed} of {after.asked}")
print(lab.kubectl("get nodes"))

# %% [markdown]
# **Why** does `kubectl get nodes` say nothing of it? A kubelet tells that it runs, that its runtime answers, and
# that a network has been configured. Whether packets get through, nobody tries. So a preparation is looked at where
# it is: `labkit preflight node-02` in a terminal, or here:

# %% tags=["nbval-ignore-output"]
lab.preflight("node-02").unmet

# %% [markdown]
# ### Exercise
# Repair the node: give the command that does it. It is run on *node-02*, and the node is looked at once more.

# %% tags=["exercise"]
from labkit.checks import nodes

answer = None
nodes.repaired(lab, "node-02", answer)

# %% tags=["nbval-ignore-output"]
lab.nodes["node-02"].exec("echo 1 > /proc/sys/net/ipv4/ip_forward")  # so that the rest works in any case
now = experiment.requests(lab, "far", seconds=2)
print(f"now: {now.failed} of {now.asked} requests failed")
lab.kubectl("delete deployment,service far")

# %% [markdown]
# ## 6. Tear down

# %%
lab.down()

# %% [markdown]
# ## Summary
#
# - A token is an id and a secret. With it the cluster signs what it says of itself, and the machine is let in for one
#   thing: to ask for a certificate.
# - The hash is of the authority's key. It protects from somebody who knows a token and pretends to be the cluster.
# - A kubelet makes its own key; the controller-manager approves and signs. Afterwards the token is not needed.
# - kubeadm's words tell what was wrong: token, hash, name, or a machine that is a node already.
# - *Ready* says that the kubelet and its runtime answer. It does not say that packets get through.
