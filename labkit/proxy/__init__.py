"""kube-proxy: its mode, and the rules that it gave to a node's kernel, read back and compared with the API."""
