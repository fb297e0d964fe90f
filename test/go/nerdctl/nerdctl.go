//go:build tools

// Package nerdctl says which release of nerdctl the tests run; its program is built from its module as it is.
package nerdctl

import _ "github.com/containerd/nerdctl/v2/cmd/nerdctl"
