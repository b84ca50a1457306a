"""kube-proxy: its mode, its rules, and the path of a real packet."""
