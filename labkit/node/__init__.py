"""A rootless node: its sandbox, its network link, and the supervisor of its kubelet and runtime."""
