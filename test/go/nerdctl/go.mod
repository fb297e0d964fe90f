module hawser.test/go/nerdctl

go 1.24.3

require github.com/containerd/nerdctl/v2 v2.2.1

replace github.com/containerd/nerdctl/mod/tigron v0.0.0 => ./tigron
