package main

import (
	"github.com/containerd/containerd"
	"github.com/containerd/containerd/api/services/introspection/v1"
	"github.com/containerd/containerd/runtime/v2/runc/options"
)

// What only the newer client has, or has in another form, is tried with that one.
func newerSteps() []step { return nil }

var clientOpts []containerd.ClientOpt

func (r *report) plugins(filter string) (*introspection.PluginsResponse, error) {
	return r.client.IntrospectionService().Plugins(r.ctx, []string{filter})
}

func exitAtCheckpoint(info *containerd.CheckpointTaskInfo) error {
	info.Options = &options.CheckpointOptions{Exit: true, ImagePath: info.Options.(*options.CheckpointOptions).ImagePath}
	return nil
}
