# %% [markdown]
# # Controllers at work
#
# **Goals.** You scale a deployment, break it in two ways and see who heals what, roll out a new version and go back
# from a bad one, and find out what is deleted along with a deployment, and by whom.
#
# **Time.** 40 minutes. **Needs.** Linux; no Docker, no root. Do *Deploy Tomcat* first.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. A loop
#
# A **controller** is a loop in a program: look at what somebody wants, look at what is there, do one thing about the
# difference, begin again. The controller-manager is a program with dozens of them. Two make a deployment work.
#
# Read the manifest. `minReadySeconds` makes the deployment wait: a new pod counts only after it has been ready for two
# seconds.
#
# *Predict:* which objects will there be, and which of them belongs to which?

# %% tags=["nbval-ignore-output"]
web = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  minReadySeconds: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{name: web, image: "nginx:1.27"}]
"""
print(lab.kubectl("apply --filename -", stdin=web))
print(lab.kubectl("rollout status deployment web --timeout=60s"))
lab.owners()

# %% [markdown]
# Each arrow is an **owner reference**: an entry in the pod that names its replica set, an entry in the replica set
# that names its deployment. The owner has no list of what it owns. The picture was drawn from these entries:

# %% tags=["nbval-check-output"]
for kind in ("deployment", "replicaset", "pod"):
    names = lab.kubectl(f"get {kind} --output jsonpath={{.items[*].metadata.ownerReferences[*].kind}}")
    print(f"{kind}: owned by {names or 'nobody'}")

# %% [markdown]
# ## 2. Scale
#
# *Predict:* you ask for three pods. Who writes that number where? Is there another replica set afterwards?

# %% tags=["nbval-ignore-output"]
lab.kubectl("scale deployment web --replicas 3")
lab.kubectl("rollout status deployment web --timeout=60s")
scaled = lab.explain("web", action="scale")
scaled

# %% tags=["nbval-check-output"]
done = {(hop.verb, hop.object.resource, hop.object.subresource): hop.source.name for hop in scaled.flow.requests}
print("writes the number into the replica set:", done["update", "replicasets", ""])
print("makes the pod:", done["create", "pods", ""])
print("replica sets made:", ("create", "replicasets", "") in done)

# %% [markdown]
# Two loops, one after the other. The *deployment controller* compares the deployment with its replica sets, and writes
# a number into one. The *replica set controller* compares that number with the pods, and makes one. Neither calls the
# other: each reads from the API server and writes to it.
#
# ## 3. Two accidents
#
# **First**, the process in a container is killed. *Predict:* is there a new pod? A new address? Who starts the
# process again?

# %% tags=["nbval-ignore-output"]
COLUMNS = "custom-columns=NAME:.metadata.name,ADDRESS:.status.podIP,RESTARTS:.status.containerStatuses[0].restartCount"


def pods():
    """Return the pods of `web` as a table."""
    return lab.kubectl(["get", "pods", "--selector", "app=web", "--output", COLUMNS])


print(pods())
victim, other, _ = lab.kubectl("get pods --selector app=web --output jsonpath={.items[*].metadata.name}").split()
kill = "(sleep 0.5; kill -TERM $(pidof nginx)) > /dev/null 2>&1 &"
lab.kubectl(["exec", victim, "--", "sh", "-c", kill])
restarted = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
lab.kubectl(["wait", restarted, f"pod/{victim}", "--timeout=30s"])
print("\nafter the process was killed:")
print(pods())

# %% [markdown]
# **Second**, a whole pod is deleted, another one. *Predict* the same.

# %% tags=["nbval-ignore-output"]
lab.kubectl("wait --for=condition=Available deployment web --timeout=60s")
before = set(lab.kubectl("get pods --selector app=web --output name").split())
lab.kubectl(f"delete pod {other}")
lab.kubectl("rollout status deployment web --timeout=60s")
print(pods())
replaced = lab.explain(f"pod/{other}")
replaced

# %% tags=["nbval-check-output"]
after = set(lab.kubectl("get pods --selector app=web --output name").split())
print("pods:", len(after), "of which new:", len(after - before))

# %% [markdown]
# Where the process was killed, the pod kept its name and its address. In place of the deleted pod there is another,
# with another name, perhaps on another node. A pod is never moved and never brought back: its containers are started
# again in their place, or another pod is made.
#
# ### Exercise 1
# Who brought back what was lost? Give the name of a component for each accident. Step through the picture above, and
# remember who takes care of a container in notebook *Pods*.

# %% tags=["exercise"]
from labkit.checks import controllers, healing

print("components:", ", ".join(healing.COMPONENTS))
answer = {healing.KILLED: None, healing.DELETED: None}
controllers.healed(lab, "web", answer)

# %% [markdown]
# ### Exercise 2
# One of your pods behaves strangely, and you want to look at it in peace: it shall go on running, but **nobody shall
# own it**, and `web` shall have three other pods. A replica set finds its pods by their labels. `kubectl label` changes
# one; `--overwrite` replaces what is there. Look at `lab.owners()` before and after.

# %% tags=["exercise"]
# lab.kubectl("label pod ...")
controllers.taken_out(lab, "web")

# %% [markdown]
# ## 4. A new version
#
# You change the image. (The images of this lab are programs of this machine, so both tags run the same nginx.
# For Kubernetes they are two versions.)
#
# *Predict:* do the three pods change, or are there new ones? How many pods are there at most while it goes on? How many
# are ready at least?

# %% tags=["nbval-ignore-output"]
lab.kubectl("set image deployment/web web=nginx:1.28")
half = "--for=jsonpath={.status.updatedReplicas}=2"
lab.kubectl(["wait", half, "deployment/web", "--timeout=60s"])
lab.owners()

# %% [markdown]
# That was in the middle of it: two replica sets, one for each version. And this is the end:

# %% tags=["nbval-ignore-output"]
lab.kubectl("rollout status deployment web --timeout=60s")
lab.owners()

# %% [markdown]
# What came when? Each bar is a pod, from the audit log: what the API server answered to those who wrote about it.

# %% tags=["nbval-ignore-output"]
update = lab.rollout("web", action="update")
update

# %% tags=["nbval-check-output"]
counts = update.rollout.counts()
print("pods at most:", max(count.alive for count in counts))
print("ready at least:", min(count.ready for count in counts))

# %% [markdown]
# The two limits come from the deployment: `maxSurge` says how many pods there may be above the three, `maxUnavailable`
# how many of the three may be missing. Both are 25 % if you say nothing. 25 % of 3 is 0.75: for `maxSurge` that is
# rounded up to 1, for `maxUnavailable` down to 0. So a new pod is made first, and an old one goes when the new one is
# ready.
#
# Nobody has a plan of this update. Whenever what is there allows another step, the deployment controller writes a
# number into one of the two replica sets. Here is each of these steps. (`lab.explain("web", action="update")` shows
# all the arrows, more than two hundred.)

# %% tags=["nbval-ignore-output"]
flow = lab.flow("web", action="update")
for hop in flow.requests:
    if hop.source.name == "deployment-controller" and (hop.object.resource, hop.object.subresource) == (
        "replicasets",
        "",
    ):
        print(f"{flow.milliseconds(hop) / 1000:4.1f} s: {hop.what}")

# %% [markdown]
# ### Exercise 3
# Imagine that there is no room for a fourth pod. Update `web` again, so that at no time more than **three** pods exist
# that nobody has deleted, and never fewer than **two** are ready. Change the deployment's `strategy` first, with
# `lab.kubectl(["patch", "deployment", "web", "--patch", "..."])`; then update it (any other tag of nginx will do), and
# wait for `rollout status`.

# %% tags=["exercise"]
# your commands
controllers.updated_within(lab, "web", most=3, least=2)

# %% [markdown]
# ## 5. A bad version, and back
#
# Somebody mistypes the name of the image. *Predict:* how many pods still answer after that?

# %% tags=["nbval-ignore-output"]
from labkit.errors import ClusterError

lab.kubectl("set image deployment/web web=ngnix:1.29")
try:
    lab.kubectl("rollout status deployment web --timeout=5s")
except ClusterError as error:
    print(error.why)
print(lab.kubectl("get pods --selector app=web"))
lab.owners()

# %% tags=["nbval-check-output"]
print("ready pods:", lab.kubectl("get deployment web --output jsonpath={.status.readyReplicas}"))

# %% [markdown]
# The new pod never gets ready, so no old one goes: the update stands still, and the application answers. (With the
# strategy of Exercise 3, two would be left of three.) Nobody goes back by himself: that is for you to say.
#
# *Predict:* you go back. Is there a new replica set?

# %% tags=["nbval-ignore-output"]
lab.kubectl("rollout undo deployment web")
lab.kubectl("rollout status deployment web --timeout=60s")
lab.rollout("web")

# %% tags=["nbval-check-output"]
sets = (
    "custom-columns=IMAGE:.spec.template.spec.containers[0].image,WANTS:.spec.replicas,"
    r"REVISION:.metadata.annotations.deployment\.kubernetes\.io/revision"
)
print(lab.kubectl(["get", "replicasets", "--sort-by", ".metadata.creationTimestamp", "--output", sets]))

# %% [markdown]
# That is what empty replica sets are kept for. To go back is to give an old one its pods again, and the highest
# revision number. And the pod with the bad image was never ready, so nothing had to be replaced: the chart shows that
# the other three went on.
#
# ## 6. What goes along
#
# *Predict:* you delete the deployment. Who deletes its replica sets and its pods: kubectl, the API server, or somebody
# else?

# %% tags=["nbval-ignore-output"]
lab.kubectl("delete deployment web")
lab.kubectl("wait pods --selector app=web --for=delete --timeout=60s")
deleted = lab.explain("web", action="delete")
deleted

# %% tags=["nbval-check-output"]
deletions = [hop for hop in deleted.flow.requests if hop.verb == "delete"]
done = {f"{hop.object.resource}: deleted by {hop.source.name.partition(' on ')[0]}" for hop in deletions}
print("\n".join(sorted(done)))

# %% [markdown]
# kubectl deletes one object. The **garbage collector**, another controller, watches all objects and their owner
# references; what has owners of which none exists any more, it deletes. Each kubelet stops its containers, and removes
# the pod at last.
#
# You can ask for the opposite. *Predict:* what is left after `--cascade=orphan`? What would happen now if you deleted a
# pod?

# %% tags=["nbval-ignore-output"]
lab.kubectl("create deployment keep --image=nginx --replicas=2")
lab.kubectl("rollout status deployment keep --timeout=60s")
lab.kubectl("delete deployment keep --cascade=orphan")
lab.owners()

# %% tags=["nbval-check-output"]
print("deployments:", lab.kubectl("get deployments --output name") or "none")
print("ready pods:", lab.kubectl("get replicasets --output jsonpath={.items[*].status.readyReplicas}"))

# %% [markdown]
# The deployment is gone, and nobody stopped. The garbage collector took the owner reference out of the replica set
# before the deployment went. The replica set is a controller's object of its own: it still keeps two pods.
#
# ### Exercise 4
# Give these pods a deployment again, called `keep`, so that **not one pod** is made or deleted. Look at `lab.owners()`
# afterwards.

# %% tags=["exercise"]
# lab.kubectl(...)
controllers.adopted(lab, "keep")

# %% [markdown]
# One more picture: the cluster's own pods. *Predict:* who owns the pod of the API server?

# %% tags=["nbval-ignore-output"]
lab.owners("kube-system")

# %% [markdown]
# kube-proxy's pods belong to a DaemonSet, which has no replica sets. The control plane's pods are static: the kubelet
# starts them from files, and the pods that you see are its reports. Their owner is the node.
#
# ## 7. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - A controller is a loop: it compares what is wanted with what is there, and does something about the difference.
# - The deployment controller writes numbers into replica sets; the replica set controller makes and deletes pods; the
#   kubelet keeps the containers of a pod running. Each does its own part, through the API server.
# - A pod is never moved and never brought back. Its containers are started again in their place, or another pod is
#   made.
# - An update is a new replica set that grows while the old one shrinks, within `maxSurge` and `maxUnavailable`. To go
#   back is to give an old replica set its pods again.
# - Owner references point from the owned to the owner. The garbage collector deletes what has lost its owner, except
#   where you asked to keep it.
