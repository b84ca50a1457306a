module labkit/recipes/coredns

go 1.24.0

tool github.com/coredns/coredns
