# %% [markdown]
# # The scheduler: why this node?
#
# **Goals.** You see how the scheduler chooses: which nodes it turns down and why, how many points the others get, and
# from whom. You label nodes, as the textbook does, and send pods where you want them.
#
# **Time.** 25 minutes. **Needs.** Linux; no Docker, no root. Do *Deploy Tomcat* first.
# It uses *node-02*: to a small lab, add it first by `labkit node add node-02`.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Two questions for each pod
#
# 1. **Filter:** on which nodes *can* the pod run? Each plugin may turn a node down, and says why.
# 2. **Score:** which of those is the best? Each plugin gives points, which count by its weight. The highest sum wins.
#
# *Predict:* the lab has three nodes. How many of them can a Tomcat run on?

# %% tags=["nbval-ignore-output"]
lab.deploy("tomcat", image="tomcat8")

# %% tags=["nbval-ignore-output"]
from IPython.display import HTML

from labkit.views import why


def decision(app):
    """Return what the scheduler decided of the newest pod of an application."""
    names = lab.kubectl(f"get pods --selector app={app} --sort-by .metadata.creationTimestamp --output name").split()
    return lab.why(names[-1].removeprefix("pod/"))


HTML(why.to_html(decision("tomcat")))

# %% [markdown]
# The scheduler wrote these verdicts and points into its log, and they were read from there. The master was turned down:
# it has a **taint**, a mark that says "no pods here, except for those that tolerate it".

# %% tags=["nbval-check-output"]
attempt = decision("tomcat").attempts[-1]
print({each.node: each.judgement for each in attempt.verdicts})
print(lab.kubectl("get node master --output jsonpath={.spec.taints[*].key}"))

# %% [markdown]
# ### Exercise 1
# Which plugin turned the master down? Its name is in the table above.

# %% tags=["exercise"]
from labkit.checks import scheduling

answer = None
scheduling.turned_down_by(decision("tomcat"), "master", answer)

# %% [markdown]
# ## 2. Labels
#
# A label is a word on an object. The textbook marks its nodes with roles; `kubectl get nodes` shows a label of the form
# `node-role.kubernetes.io/NAME` in the column *ROLES*.
#
# *Predict:* does such a label change where pods run?

# %% tags=["nbval-check-output"]
lab.kubectl("label node node-01 node-role.kubernetes.io/worker=")
lab.kubectl("label node node-02 node-role.kubernetes.io/worker= disk=fast")
print(lab.kubectl("get nodes --output custom-columns=NAME:.metadata.name,DISK:.metadata.labels.disk"))

# %% [markdown]
# A label alone does nothing. It counts when somebody asks for it. Here a deployment asks for a disk that no node has.
#
# *Predict:* what does `kubectl get pods` show, and how does the scheduler's table look?

# %% tags=["nbval-ignore-output"]
import json


def asking_for(name, **labels):
    """Make a deployment whose pods ask for a node with these labels."""
    made = json.loads(lab.kubectl(f"create deployment {name} --image=nginx --dry-run=client --output json"))
    made["spec"]["template"]["spec"]["nodeSelector"] = labels
    return lab.kubectl("apply --filename -", stdin=json.dumps(made))


asking_for("picky", disk="huge")
lab.kubectl(["wait", "--for=condition=PodScheduled=false", "pods", "--selector=app=picky", "--timeout=20s"])
print(lab.kubectl("get pods --selector app=picky"))
HTML(why.to_html(decision("picky")))

# %% tags=["nbval-check-output"]
last = decision("picky").attempts[-1]
print("a node was chosen:", bool(last.node))
print("points were given:", bool(last.scores))

# %% [markdown]
# The pod is *Pending*. No node was feasible, so nothing was scored. The scheduler tries again when something changes:
#
# ### Exercise 2
# Which plugin turned **node-01** down?

# %% tags=["exercise"]
answer = None
scheduling.turned_down_by(decision("picky"), "node-01", answer)

# %% [markdown]
# *Predict:* you change the label of node-01 to `disk=huge`. How long does the pod stay Pending?

# %% tags=["nbval-check-output"]
lab.kubectl("label node node-01 disk=huge")
lab.kubectl("wait --for=condition=Available deployment/picky --timeout=30s")
print(lab.kubectl("get pods --selector app=picky --output jsonpath={.items[*].spec.nodeName}"))

# %% [markdown]
# ## 3. A node of your choice
#
# ### Exercise 3
# Make a deployment `mine` of two pods, both on **node-02**, because they *ask* for it: by a label that you give to the
# node. (There is `lab.kubectl("label node …")`, and `asking_for` above.)

# %% tags=["exercise"]
# your commands
scheduling.sent_to(lab, "mine", "node-02")

# %% [markdown]
# ## 4. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - First filter, then score. A plugin that turns a node down says why; the points are added up by weight.
# - A taint keeps pods away from a node; a label draws those that ask for it. A label alone does nothing.
# - A pod for which no node is feasible stays Pending. It is tried again when the cluster changes.
# - The scheduler only writes a node's name to the API server. It never speaks to the node.
