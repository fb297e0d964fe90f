package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/metadata"
)

var namespaceSteps = []step{
	// A namespace within a context that has one already is sent as well as the one before: the last one is meant.
	{"namespace-twice", func(_ *world, r *report) {
		other := r.namespace + "-other"
		r.later(func() { r.dropNamespace(other) })
		both := namespaces.WithNamespace(r.ctx, other)
		c, err := r.client.NewContainer(both, r.step, r.spec(r.step, sh("echo in the other")))
		r.must("create", err)
		r.later(func() { r.remove(both, c) })
		_, err = r.client.LoadContainer(r.ctx, r.step)
		r.tell("load in the first", err)
		_, err = r.client.LoadContainer(both, r.step)
		r.tell("load in both", err)
		_, err = r.client.LoadContainer(namespaces.WithNamespace(context.Background(), other), r.step)
		r.tell("load in the second", err)
		var out text
		task, err := c.NewTask(both, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
		r.must("new task", err)
		ended, err := task.Wait(both)
		r.must("wait", err)
		r.must("start", task.Start(both))
		r.ends("end", ended)
		r.within("the end of its streams", task.IO().Wait)
		_, err = task.Delete(both)
		r.tell("delete", err)
		r.say("out: %q", out.String())
		three := namespaces.WithNamespace(both, r.namespace)
		_, err = r.client.LoadContainer(three, r.step)
		r.tell("load in the first again", err)
	}},
	{"lease-twice", func(_ *world, r *report) {
		manager := r.client.LeasesService()
		for _, id := range []string{"twice-a", "twice-b"} {
			lease, err := manager.Create(r.ctx, leases.WithID(id))
			r.must("create "+id, err)
			r.later(func() { _ = manager.Delete(r.ctx, lease) })
		}
		ctx := leases.WithLease(leases.WithLease(r.ctx, "twice-a"), "twice-b")
		r.writeBlob(ctx, "lease-twice", "leased twice")
		for _, id := range []string{"twice-a", "twice-b"} {
			resources, err := manager.ListResources(r.ctx, leases.Lease{ID: id})
			r.say("%s: %d resources, %v", id, len(resources), err)
		}
	}},
	{"headers-odd", func(_ *world, r *report) {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "containerd-namespace", "")
		_, err := r.client.ContainerService().List(ctx)
		r.tell("an empty namespace", err)
		_, err = r.client.ContainerService().List(context.Background())
		r.tell("none", err)
		ctx = metadata.AppendToOutgoingContext(context.Background(), "containerd-namespace", "a/b")
		_, err = r.client.ContainerService().List(ctx)
		r.tell("one that is no name", err)
		ctx = metadata.AppendToOutgoingContext(context.Background(), "containerd-namespace", r.namespace+"-never")
		list, err := r.client.ContainerService().List(ctx)
		r.say("one that is not there: %d, %s", len(list), told(err))
		ctx = metadata.AppendToOutgoingContext(r.ctx, "containerd-lease", "nobody")
		r.tellClass("a lease that is not there", func() error {
			_, err := r.client.SnapshotService("").Prepare(ctx, "odd", "")
			return err
		}())
	}},
	{"namespaces", func(_ *world, r *report) {
		store, name := r.client.NamespaceService(), r.namespace+"-n"
		r.later(func() { r.dropNamespace(name) })
		r.tell("create", store.Create(r.ctx, name, map[string]string{"a": "b"}))
		r.tell("create again", store.Create(r.ctx, name, nil))
		r.tell("set", store.SetLabel(r.ctx, name, "c", "d"))
		r.tell("unset", store.SetLabel(r.ctx, name, "a", ""))
		labels, err := store.Labels(r.ctx, name)
		r.say("labels: %v %v", labels, err)
		_, err = store.Labels(r.ctx, "nobody")
		r.tell("labels of nobody", err)
		inside := namespaces.WithNamespace(r.ctx, name)
		c, err := r.client.NewContainer(inside, "inside", r.spec("inside", sh("true")))
		r.must("create inside", err)
		r.tell("delete what is not empty", store.Delete(r.ctx, name))
		r.must("delete inside", c.Delete(inside))
		r.tell("delete", store.Delete(r.ctx, name))
		r.tell("delete again", store.Delete(r.ctx, name))
		r.tell("create with a bad name", store.Create(r.ctx, "a/b", nil))
		r.tell("a label too long", store.Create(r.ctx, name, map[string]string{"k": strings.Repeat("v", 4096)}))
	}},
}

func (r *report) dropNamespace(name string) {
	if err := r.client.NamespaceService().Delete(context.Background(), name); err != nil && classOf(err) != "NotFound" {
		r.say("removing namespace %s: %v", name, err)
	}
}

var containerSteps = []step{
	{"containers", func(_ *world, r *report) {
		c, err := r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("true")), containerd.WithContainerLabels(map[string]string{"a": "b"}),
			containerd.WithContainerExtension("example.org/box", &specs.Box{Width: 3, Height: 4}))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		_, err = r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("true")))
		r.tell("create again", err)
		info, err := c.Info(r.ctx)
		r.must("info", err)
		r.say("%s %q %q %q %v %v", info.ID, info.Image, info.Snapshotter, info.SnapshotKey, info.Labels, info.Runtime.Options != nil)
		r.say("created and updated: %v %v", time.Since(info.CreatedAt) < time.Hour, info.CreatedAt.Equal(info.UpdatedAt))
		labels, err := c.SetLabels(r.ctx, map[string]string{"c": "d"})
		r.say("labels: %v %v", labels, err)
		extensions, err := c.Extensions(r.ctx)
		r.must("extensions", err)
		for name, value := range extensions {
			r.say("extension %s: %s %s", name, value.GetTypeUrl(), value.GetValue())
		}
		spec, err := c.Spec(r.ctx)
		r.say("spec: %v %v", spec.Process.Args, err)
		_, err = c.Image(r.ctx)
		r.tell("image of none", err)
		r.tell("update", c.Update(r.ctx, func(_ context.Context, _ *containerd.Client, c *containers.Container) error {
			c.Labels["e"] = "f"
			return nil
		}))
		after, err := c.Info(r.ctx)
		r.say("after: %v, updated: %v, %v", after.Labels, after.UpdatedAt.After(info.UpdatedAt), err)
		for _, fields := range [][]string{{"labels.c"}, {"labels"}, {"image"}, {"runtime"}, {"spec", "labels.x"}, {"nothing"}, {"snapshot_key"}} {
			changed := after
			changed.Labels, changed.Image, changed.Runtime.Name = map[string]string{"c": fmt.Sprint(fields), "x": "y"}, "an image", "another"
			got, err := r.client.ContainerService().Update(r.ctx, changed, fields...)
			r.say("update %v: %v %q %q %s", fields, got.Labels, got.Image, got.Runtime.Name, told(err))
		}
		for _, filter := range []string{"id==" + r.step, "labels.c", "labels.x==y", `labels."x"==y`, "image==nobody", "runtime.name~=runc", "labels.x!=y,id==" + r.step} {
			list, err := r.client.Containers(r.ctx, filter, "id==nobody")
			r.say("%s: %v %s", filter, contains(list, r.step), told(err))
		}
		r.tell("delete", c.Delete(r.ctx))
		r.tell("delete again", c.Delete(r.ctx))
		_, err = c.Info(r.ctx)
		r.tell("info when it is deleted", err)
		_, err = c.Labels(r.ctx)
		r.tell("labels when it is deleted", err)
	}},
	{"container-with-task", func(_ *world, r *report) {
		c, _ := r.idle()
		r.tell("delete", c.Delete(r.ctx))
	}},
	{"container-stream", func(_ *world, r *report) {
		// More than fits in one message of four megabytes.
		many := strings.Repeat("l", 4000)
		for n := range 12 {
			labels := map[string]string{}
			for l := range 100 {
				labels[fmt.Sprintf("%d", l)] = many
			}
			c, err := r.client.NewContainer(r.ctx, fmt.Sprintf("%s-%d", r.step, n), r.spec(r.step, sh("true")), containerd.WithContainerLabels(labels))
			r.must("create", err)
			r.later(func() { r.remove(r.ctx, c) })
		}
		list, err := r.client.Containers(r.ctx, "id~=^container-stream-")
		r.say("%d %s", len(list), told(err))
	}},
}

func contains(list []containerd.Container, id string) bool {
	for _, c := range list {
		if c.ID() == id {
			return true
		}
	}
	return false
}

var leaseSteps = []step{
	{"leases", func(_ *world, r *report) {
		manager := r.client.LeasesService()
		lease, err := manager.Create(r.ctx, leases.WithID("l1"), leases.WithLabels(map[string]string{"a": "b"}), leases.WithExpiration(time.Hour))
		r.must("create", err)
		r.later(func() { _ = manager.Delete(r.ctx, lease) })
		expires := lease.Labels["containerd.io/gc.expire"]
		_, bad := time.Parse(time.RFC3339, expires)
		r.say("%s %q, expires: %v, created: %v", lease.ID, lease.Labels["a"], bad == nil, time.Since(lease.CreatedAt) < time.Hour)
		_, err = manager.Create(r.ctx, leases.WithID("l1"))
		r.tell("create again", err)
		nameless, err := manager.Create(r.ctx)
		r.tell("create without an id", err)
		if err == nil {
			r.later(func() { _ = manager.Delete(r.ctx, nameless) })
		}
		for _, filter := range []string{"id==l1", "labels.a==b", "labels.a==c", "labels.\"a\"", "id~=^l[0-9]$"} {
			list, err := manager.List(r.ctx, filter)
			r.say("%s: %d %s", filter, len(list), told(err))
		}
		digest := r.writeBlob(leases.WithLease(r.ctx, "l1"), "leases-a", "kept by the lease")
		resources, err := manager.ListResources(r.ctx, lease)
		r.say("resources: %v %v", resources, err)
		r.tell("delete a resource", manager.DeleteResource(r.ctx, lease, leases.Resource{ID: digest.String(), Type: "content"}))
		r.tell("add it again", manager.AddResource(r.ctx, lease, leases.Resource{ID: digest.String(), Type: "content"}))
		r.tell("add it twice", manager.AddResource(r.ctx, lease, leases.Resource{ID: digest.String(), Type: "content"}))
		r.tell("add a snapshot", manager.AddResource(r.ctx, lease, leases.Resource{ID: "snap", Type: "snapshots/overlayfs"}))
		r.tell("add an ingest", manager.AddResource(r.ctx, lease, leases.Resource{ID: "some-ref", Type: "ingests"}))
		r.tell("add an image", manager.AddResource(r.ctx, lease, leases.Resource{ID: "some-image", Type: "images"}))
		r.tell("add nonsense", manager.AddResource(r.ctx, lease, leases.Resource{ID: "x", Type: "nonsense"}))
		r.tell("add snapshots of nobody", manager.AddResource(r.ctx, lease, leases.Resource{ID: "x", Type: "snapshots"}))
		r.tell("add to nobody", manager.AddResource(r.ctx, leases.Lease{ID: "nobody"}, leases.Resource{ID: "x", Type: "content"}))
		_, err = manager.ListResources(r.ctx, leases.Lease{ID: "nobody"})
		r.tell("resources of nobody", err)
		resources, err = manager.ListResources(r.ctx, lease)
		sort.Slice(resources, func(i, j int) bool { return resources[i].Type < resources[j].Type })
		r.say("resources: %v %v", resources, err)
		r.tell("delete nobody", manager.Delete(r.ctx, leases.Lease{ID: "nobody"}))
		r.tell("delete", manager.Delete(r.ctx, lease, leases.SynchronousDelete))
		_, err = r.client.ContentStore().Info(r.ctx, digest)
		r.tell("what it kept", err)
	}},
	{"lease-of-client", func(_ *world, r *report) {
		ctx, done, err := r.client.WithLease(r.ctx)
		r.must("with lease", err)
		id, ok := leases.FromContext(ctx)
		r.say("in the context: %v", ok && id != "")
		digest := r.writeBlob(ctx, "lease-client", "kept while the client works")
		nested, _, err := r.client.WithLease(ctx)
		r.must("with lease again", err)
		again, _ := leases.FromContext(nested)
		r.say("the same: %v", again == id)
		_, err = r.client.ContentStore().Info(r.ctx, digest)
		r.tell("content", err)
		r.tell("done", done(ctx))
		list, err := r.client.LeasesService().List(r.ctx, "id=="+id)
		r.say("left: %d %s", len(list), told(err))
	}},
}
