"""The cluster's own birth: host preparation, kubeadm's init and join, certificates, restarts."""
