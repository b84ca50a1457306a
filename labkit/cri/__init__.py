"""The container runtime that a rootless node's kubelet talks to: CRI v1 over processes in bubblewrap sandboxes."""
