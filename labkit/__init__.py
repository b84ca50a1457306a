"""See how Kubernetes works inside: a real kubeadm cluster, driven from a notebook."""
