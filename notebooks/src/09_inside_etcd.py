# %% [markdown]
# # Inside etcd
#
# **Goals.** You look into etcd, the one place where a cluster keeps everything: which keys there are, what is under
# them, and how each write gets a number, its *revision*. You see what a creation, a scaling and a deletion write. You
# travel back in time, compare two versions of an object, and bring back what was removed. At the end you see how etcd
# forgets.
#
# **Time.** 30 minutes. **Needs.** Linux; no Docker, no root. Do *Deploy Tomcat* first.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Keys
#
# etcd is a store of **keys** and **values**. The API server is the only component that speaks to it, and it keeps each
# object under one key: `/registry/RESOURCE/NAMESPACE/NAME`.
#
# *Predict:* nobody has deployed anything yet. How many keys are there: none, about ten, or hundreds?

# %% tags=["nbval-ignore-output"]
from collections import Counter

keys = lab.etcd.keys()
counted = Counter(key.split("/")[2] for key in keys)
print(len(keys), "keys; the most of one resource:", counted.most_common(5))
lab.etcd.keys("pods/")

# %% [markdown]
# Hundreds. A new cluster has many rules of access, priorities and accounts, and each is an object. All are here: what
# is not in etcd does not exist in Kubernetes.
#
# ### Exercise 1
# Under which key does etcd keep the **Node** `node-01`? Search in the list of all keys. Take care: several objects have
# this name, and one resource has an older name here than `kubectl` uses.

# %% tags=["nbval-ignore-output"]
[key for key in keys if "node-01" in key and "pods" not in key and "events" not in key]

# %% tags=["exercise"]
from labkit.checks import etcd

answer = None
etcd.kept_at(lab, "Node", "node-01", answer)

# %% [markdown]
# ## 2. Revisions
#
# etcd counts. **Each write, to whichever key, gets the next number**, the *revision*. Kubernetes shows it in every
# object, as `metadata.resourceVersion`.
#
# *Predict:* you make a ConfigMap, and then change it. Are its two resourceVersions neighbours, such as 812 and 813?

# %% tags=["nbval-check-output"]
import json

lab.kubectl("create configmap greeting --from-literal=text=hello")


def resource_version(name):
    """Return a ConfigMap's resourceVersion, as the API server tells it."""
    return int(json.loads(lab.kubectl(f"get configmap {name} --output json"))["metadata"]["resourceVersion"])


first = resource_version("greeting")
print(
    "the key was written at the object's resourceVersion:",
    lab.etcd.get("configmaps/default/greeting").revision == first,
)

# %% tags=["nbval-ignore-output"]
lab.kubectl(["patch", "configmap", "greeting", "--patch", '{"data": {"text": "good morning"}}'])
print("from", first, "to", resource_version("greeting"))
lab.etcd.get("configmaps/default/greeting")

# %% [markdown]
# They may be neighbours, or not: others write, too. Each kubelet renews its *lease* every ten seconds, and that takes a
# revision each time. The number only says **before** or **after**, and that for all keys together.
#
# ## 3. What a deployment writes
#
# *Predict:* you deploy one Tomcat. Which key is written first? How many times is the Pod's key written until Tomcat
# runs?

# %% tags=["nbval-ignore-output"]
with lab.etcd.watch("tomcat -events") as created:
    lab.kubectl("create deployment tomcat --image=tomcat8")
    lab.kubectl("rollout status deployment tomcat --timeout=60s")
created

# %% [markdown]
# From left to right, revision by revision: a lane is a key, **+** made it, **~** changed it, **-** removed it. Each
# component wrote its part, through the API server, and the next one saw that:
#
# - The Deployment is yours. Its controller made the ReplicaSet, and that one's controller made the Pod.
# - The Pod was changed first by the scheduler (its node), then by the kubelet (its status), some times.
# - The controllers then wrote the new counts into the status of what they own.
#
# (Events were left out: `-events`. They are keys as well, and each is kept for one hour.)

# %% tags=["nbval-check-output"]
order = list(dict.fromkeys(each.key.split("/")[2] for each in created))
print(order)
pod = next(each.key for each in created if "/pods/" in each.key)
bound = lab.etcd.history(pod)[1]
fields = [change.path for change in lab.etcd.history(pod).changed(bound.revision)]
print("in its spec, the Pod's second version changed:", [path for path in fields if path.startswith("spec")])

# %% [markdown]
# ### Scale and delete
#
# *Predict:* now you scale to three, and then delete the Deployment. Which keys does *your command* write, and
# which ones do others?

# %% tags=["nbval-ignore-output"]
with lab.etcd.watch("tomcat -events") as scaled:
    lab.kubectl("scale deployment tomcat --replicas=3")
    lab.kubectl("rollout status deployment tomcat --timeout=60s")
scaled

# %% [markdown]
# ### Exercise 2
# At which revision did the Deployment get `spec.replicas` 3? This is its history. (etcd keeps the past for five to ten
# minutes. If the history begins too late, run the cells of this section again.)

# %% tags=["nbval-ignore-output"]
lab.etcd.history("deployments/default/tomcat")

# %% tags=["exercise"]
answer = None
etcd.revision_that_set(lab, "deployments/default/tomcat", ("spec", "replicas"), 3, answer)

# %% tags=["nbval-ignore-output"]
with lab.etcd.watch("tomcat -events") as deleted:
    lab.kubectl("delete deployment tomcat")
    lab.kubectl("wait --for=delete pod --selector app=tomcat --timeout=60s")
deleted

# %% [markdown]
# The command removed **one** key, the Deployment's. The *garbage collector* then saw objects whose owner is gone, and
# removed the ReplicaSet and the Pods. A Pod is not removed at once: first it is *changed*, it gets a
# `deletionTimestamp`; the kubelet ends its processes, and says so; only then the key goes.

# %% tags=["nbval-check-output"]
print("removed:", Counter(each.key.split("/")[2] for each in deleted if each.removed))
print("removed first:", next(each.key for each in deleted if each.removed))

# %% [markdown]
# ## 4. The browser
#
# This panel follows etcd. Choose a key, move the slider over its revisions, and read what each one changed. Try the
# filter: a word that a key must have; with `-` before it, a word that it must not have.
#
# *Predict:* of which Pod's life can you still see every step: of one that runs, of one that is gone, or of both?

# %% tags=["nbval-ignore-output"]
lab.etcd.panel("tomcat -events")

# %% [markdown]
# Of both. A removed key has no value any more, but its older versions are there, for a while.
#
# ## 5. Time travel
#
# A value is never overwritten in place: etcd adds a version. So you can ask how a key **was**. Here is a menu that was
# changed twice:

# %% tags=["nbval-ignore-output"]
lab.kubectl("delete configmap menu --ignore-not-found")
lab.kubectl("create configmap menu --from-literal=monday=soup")
first = resource_version("menu")
for dishes in ({"monday": "pasta"}, {"tuesday": "fish"}):
    lab.kubectl(["patch", "configmap", "menu", "--patch", json.dumps({"data": dishes})])
lab.etcd.history("configmaps/default/menu")

# %% [markdown]
# *Predict:* what did the menu say at its first revision?

# %% tags=["nbval-check-output"]
print("now:", lab.etcd.get("configmaps/default/menu").value["data"])
print("at its first revision:", lab.etcd.get("configmaps/default/menu", first).value["data"])

# %% tags=["nbval-ignore-output"]
lab.etcd.diff("configmaps/default/menu", first, resource_version("menu"))

# %% [markdown]
# Now there is an accident: somebody removes it.

# %% tags=["nbval-check-output"]
from labkit.errors import LabkitError

lab.kubectl("delete configmap menu")
try:
    lab.etcd.get("configmaps/default/menu")
except LabkitError as error:
    print(error.what)

# %% [markdown]
# ### Exercise 3
# Bring the ConfigMap back, with the data that it had **last**. Use `lab.etcd.history(…)` or the panel to find the
# revision, `lab.etcd.get(key, revision).value["data"]` to read it, and `lab.kubectl("create configmap …")`. Do not wait
# too long: what is removed can be read for five to ten minutes. (Section 7 tells why.)

# %% tags=["exercise"]
# your commands
etcd.brought_back(lab, "menu")

# %% [markdown]
# ## 6. Watch
#
# How do controllers learn of what is new, without asking again and again? They **watch**: they give a revision, and get
# each later write. Nothing is missed between two connections, because the number says where to go on. `kubectl` can do
# the same, by the API server.
#
# *Predict:* the watch below begins at the revision *before* the ConfigMap was made. Does it tell of what is past?

# %% tags=["nbval-check-output"]
path = f"/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&resourceVersion={first - 1}"
for line in lab.kubectl(["get", "--raw", path]).splitlines():
    event = json.loads(line)
    if event["object"]["metadata"]["name"] == "menu":
        print(event["type"], event["object"].get("data"))

# %% [markdown]
# It does. First came what had happened since that revision, and then it would have waited for more.
#
# ## 7. etcd forgets
#
# If every version stayed, etcd would grow for ever. So the API server has it **compact** its history every five
# minutes: of what is older, only the newest version of each key stays. Here you need not wait:

# %% tags=["nbval-ignore-output"]
lab.kubectl("delete configmap note --ignore-not-found")
lab.kubectl("create configmap note --from-literal=text=one")
old = lab.etcd.get("configmaps/default/note").revision
lab.kubectl(["patch", "configmap", "note", "--patch", '{"data": {"text": "two"}}'])
new = lab.etcd.get("configmaps/default/note").revision
lab.etcd.compact(new)
lab.etcd.history("configmaps/default/note")

# %% [markdown]
# *Predict:* which of these two questions has an answer now: what the note says, or what it said before?

# %% tags=["nbval-check-output"]
print("now:", lab.etcd.get("configmaps/default/note").value["data"])
try:
    lab.etcd.get("configmaps/default/note", old)
except LabkitError as error:
    print("before:", error.what.replace(str(old), "OLD"))

# %% [markdown]
# The present is complete; a part of the past is gone. Who watches from a revision that is gone is told so (HTTP 410,
# *Expired*), reads everything anew, and goes on from there. Every controller does that.
#
# ### Exercise 4
# Which is the oldest revision at which etcd can still tell what the note said? The check tries your answer.

# %% tags=["exercise"]
answer = None
etcd.oldest(lab, "configmaps/default/note", answer)

# %% [markdown]
# ## 8. Secrets
#
# etcd keeps what it is given. A Secret is base64, which anybody can read; only *encryption at rest*, which this cluster
# does not use, would change that. Who can read etcd can read all passwords. That is why only the API server can
# connect, with a certificate, and why the panel and these tables show a mark in place of a secret value:

# %% tags=["nbval-check-output"]
lab.kubectl("create secret generic safe --from-literal=code=4711")
print(lab.etcd.get("secrets/default/safe").value["data"])

# %% [markdown]
# ## 9. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - Every object is one key in etcd. What has no key does not exist.
# - Each write gets the next revision; it is the object's `resourceVersion`, and one count for the whole cluster.
# - A command writes little. Controllers, scheduler and kubelets see it by their watches, and write the rest.
# - Older versions can be read until etcd is compacted, five to ten minutes later. A removed object can be read, too.
# - Who watches gives a revision, and misses nothing; if it is gone, everything is read anew.
