"""A cluster: one protocol, its providers, the kubeadm documents they share, and the host's preflight."""
