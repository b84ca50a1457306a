#!/bin/sh
# A rootless node's supervisor, in place of systemd: it starts the container runtime, starts the kubelet as soon as
# kubeadm has configured it, and starts again whichever of them ends.
# Usage: init.sh PYTHON
set -u
python=$1
log=/var/log/labkit
config=/var/lib/kubelet/config.yaml
flags=/var/lib/kubelet/kubeadm-flags.env
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

run_kubelet() { # in the background: exec replaces that shell
    # Written by `kubeadm init` and `kubeadm join`; kubelet's own unit file for systemd reads the same one.
    . $flags
    export GOGC=25 # memory is scarcer in a lab than processor time
    export OTEL_BSP_SCHEDULE_DELAY=500 OTEL_BSP_MAX_QUEUE_SIZE=8192 # as in labkit/cluster/kubeadm.py
    # shellcheck disable=SC2086  # the flags are words
    exec kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
        --kubeconfig=/etc/kubernetes/kubelet.conf --config=$config $KUBELET_KUBEADM_ARGS
}

configured() { [ -s $config ] && [ -s $flags ]; }

keep_kubelet() { # as long as it is configured: `kubeadm reset` takes its files away, and has no systemd to stop it
    while :; do
        configured || "$python" -I -S "${0%/*}/until_written.py" $config $flags
        run_kubelet >>"$log/kubelet.log" 2>&1 &
        kubelet=$!
        (
            while configured; do sleep 1; done
            kill "$kubelet"
        ) &
        watcher=$!
        wait "$kubelet"
        echo "labkit: kubelet ended with status $?; starting it again when it is configured" >>"$log/kubelet.log"
        kill "$watcher" 2>/dev/null
        sleep 0.2
    done
}

keep_running runtime "$python" -I -m labkit.cri --config /etc/labkit/runtime.json &
until [ -S /run/labkit/cri.sock ]; do sleep 0.05; done
: >"$log/runtime-serves" # tells who waits to run kubeadm
keep_kubelet &
wait
