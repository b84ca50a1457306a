#!/bin/sh
# A rootless node's supervisor, in place of systemd: it starts the container runtime, starts the kubelet as soon as
# kubeadm has configured it, and starts again whichever of them ends.
# Usage: init.sh PYTHON
set -u
python=$1
log=/var/log/labkit
PATH=/opt/labkit/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

rm -f "$log/runtime-serves"
: >"$log/started" # tells who waits that the sandbox is complete

keep_running() { # NAME COMMAND...
    name=$1
    shift
    while :; do
        "$@" >>"$log/$name.log" 2>&1
        echo "labkit: $name ended with status $?; starting it again" >>"$log/$name.log"
        sleep 0.2
    done
}

run_kubelet() ( # in a shell of its own, which exec replaces
    # Written by `kubeadm init` and `kubeadm join`; kubelet's own unit file for systemd reads the same one.
    . /var/lib/kubelet/kubeadm-flags.env
    export GOGC=25 # memory is scarcer in a lab than processor time
    export OTEL_BSP_SCHEDULE_DELAY=500 OTEL_BSP_MAX_QUEUE_SIZE=8192 # as in labkit/cluster/kubeadm.py
    # shellcheck disable=SC2086  # the flags are words
    exec kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
        --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
)

keep_running runtime "$python" -I -m labkit.cri --config /etc/labkit/runtime.json &
until [ -S /run/labkit/cri.sock ]; do sleep 0.05; done
: >"$log/runtime-serves" # tells who waits to run kubeadm
until [ -s /var/lib/kubelet/config.yaml ] && [ -s /var/lib/kubelet/kubeadm-flags.env ]; do sleep 0.05; done
keep_running kubelet run_kubelet &
wait
