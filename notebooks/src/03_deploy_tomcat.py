# %% [markdown]
# # Deploy Tomcat: the fourteen steps
#
# **Goals.** You deploy Tomcat by a button, watch its fourteen steps while they happen, compare them with what the
# textbook says, and stop the real cluster in the middle.
#
# **Time.** 40 minutes. **Needs.** Linux; no Docker, no root. Do *Start here* and *The architecture* first.

# %%
import labkit

lab = labkit.up()
lab

# %% [markdown]
# ## 1. Predict
#
# This is what the textbook says happens after `kubectl create deployment tomcat --image=tomcat8`:
#
# | step | |
# | --- | --- |
# | 0 | Every kubelet, the scheduler and the controller-manager watch the API server. |
# | 1 | A person runs the command. |
# | 2 | kubectl sends it to the API server, which stores it in etcd. |
# | 3 | etcd tells the API server of the new deployment. |
# | 4 | The controller-manager hears of it. |
# | 5 | It works out the pods, through a replica set. |
# | 6 | It hands the pods to the API server, which stores them in etcd. |
# | 7 | etcd tells the API server of the pods. |
# | 8 | The scheduler hears of them and computes the best node. |
# | 9 | It hands the binding to the API server, which stores it in etcd. |
# | 10 | etcd tells the API server of the binding. |
# | 11 | All kubelets hear of it. |
# | 12 | Each kubelet judges whether the pod is its own. |
# | 13 | One does: it has the runtime start the pod, and reports its state to the API server. |
#
# *Predict*, on paper: how long does all of it take? Which step takes most of the time? Does the API server ever call
# anybody but etcd?

# %% [markdown]
# ## 2. Deploy by a button
#
# Show two panels: one with buttons, and one that draws what happens while it happens. Press **Deploy** in the first,
# and watch the arrows come in the second. Then try *Expose* and *Open*, which gives you a link to Tomcat's own page,
# and *Scale*. Under the buttons you see the command of kubectl that each of them is.

# %% tags=["nbval-ignore-output"]
lab.deploy_panel("tomcat", image="tomcat8")

# %% tags=["nbval-ignore-output"]
live = lab.watch("tomcat")
live

# %% [markdown]
# The next cell does the same without a button: what is there already is left as it is.

# %% tags=["nbval-ignore-output"]
lab.deploy("tomcat", image="tomcat8")

# %% [markdown]
# ## 3. What happened
#
# Each arrow was computed from what the components left behind: the API server's audit log, trace spans, etcd's
# revisions, the scheduler's log, the container runtime's calls. **Solid** is observed, **dashed** is inferred. Step
# through it with the arrow keys; choose an arrow to read its evidence. The panel above watches no longer, and stays as
# it is.

# %% tags=["nbval-ignore-output"]
live.stop()
what = lab.explain("tomcat")
what

# %% tags=["nbval-check-output"]
flow = what.flow
binding = next(hop for hop in flow.hops if hop.object.subresource == "binding")
callers = {hop.source.name.partition(" on ")[0] for hop in flow.hops if hop.kind == "request"}
callers = {"controllers" if name.endswith("-controller") else name for name in callers}
print("who calls the API server:", sorted(callers))
print("whom the API server calls:", {hop.target.name for hop in flow.hops if hop.kind == "persist"})
print("the binding is made by the", binding.source.name)

# %% [markdown]
# The API server calls etcd, and nobody else. Whoever is told of something has asked for it before: by a *watch*, a
# request that stays open, on which the API server writes what is new.
#
# ### Exercise 1
# In which order did these happen? Give the letters, the first first.

# %% tags=["exercise"]
from labkit.checks import steps

print(steps.HAPPENINGS)
answer = None
steps.order(flow, answer)

# %% [markdown]
# ## 4. The textbook and reality
#
# The story says of each of the fourteen steps what it was in reality, and where reality has more.

# %% tags=["nbval-ignore-output"]
from labkit.views import story

print(story.to_text(what.story))

# %% [markdown]
# Two differences are worth remembering. Not *all* kubelets hear of the binding: each watches only the pods of its own
# node, so the API server has judged already. And between the deployment and its pods is a replica set, made by
# another controller than the pods are.
#
# ### Exercise 2
# Which of the steps did nobody record, so that they were inferred? Give a set of numbers.

# %% tags=["exercise"]
answer = None
steps.inferred(what.story, answer)

# %% [markdown]
# ## 5. Slow motion, on the real thing
#
# All of it takes about a second, most of it in step 13. To look around in between, hold components still: the panel
# below lets one go on at a time. Press **Next** and look with `kubectl` in another cell, or in a terminal, what is
# there.

# %% tags=["nbval-ignore-output"]
motion = lab.slow_motion("slow", image="nginx")
motion

# %% tags=["nbval-ignore-output"]
while motion.upcoming:
    print(motion.next().title)
print(lab.kubectl("get pods --selector app=slow --output wide"))

# %% [markdown]
# ### Exercise 3
# Hold the cluster yourself between step 6 (the pod is stored) and step 8 (the scheduler has chosen a node). Freeze
# the right component with `lab.freeze(NAME)`, then make a deployment `held` with `lab.kubectl("create deployment held
# --image=nginx")`, then run the check. Afterwards, `lab.thaw()` lets everything go on.

# %% tags=["exercise"]
# lab.freeze(...)
# lab.kubectl(...)
steps.held(lab, "held")

# %% tags=["nbval-ignore-output"]
lab.thaw()

# %% [markdown]
# ## 6. Keep it
#
# *Predict:* you scale Tomcat to three. Which of the fourteen steps come again?

# %% tags=["nbval-ignore-output"]
lab.kubectl("scale deployment tomcat --replicas 3")
lab.kubectl("rollout status deployment tomcat")
lab.explain("tomcat")

# %% [markdown]
# ## 7. Tear down

# %% tags=["nbval-ignore-output"]
lab.down()

# %% [markdown]
# ## Summary
#
# - A deployment becomes a replica set, that a pod; the scheduler gives the pod a node; the node's kubelet has it run.
# - Every one of them reads from the API server and writes to it. None calls another.
# - That somebody was told is in no log. It is inferred: the watch was open, and the next write is about that object.
# - The order holds even when a component sleeps: what it should do waits for it, and nothing is lost.
