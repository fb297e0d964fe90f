package main

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/api/services/introspection/v1"
	"github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/sandbox"
	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/core/transfer/archive"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/platforms"
	"github.com/containerd/ttrpc"
)

// clientOpts have sandboxes kept by their shims, as nobody else keeps them without the CRI plugin.
var clientOpts = []containerd.Opt{containerd.WithDefaultSandboxer("shim")}

func (r *report) plugins(filter string) (*introspection.PluginsResponse, error) {
	return r.client.IntrospectionService().Plugins(r.ctx, filter)
}

// newerSteps are what only the newer client has, or has in this form.
func newerSteps() []step { return append(append(transferSteps, sandboxSteps...), runtimeSteps...) }

func exitAtCheckpoint(info *containerd.CheckpointTaskInfo) error {
	info.Options = &options.CheckpointOptions{Exit: true, ImagePath: info.Options.(*options.CheckpointOptions).ImagePath}
	return nil
}

// closed is a buffer with an end.
type closed struct {
	text
	over chan struct{}
	once sync.Once
}

// Close may be called more than once, as a file's may.
func (c *closed) Close() error {
	c.once.Do(func() { close(c.over) })
	return nil
}

var transferSteps = []step{
	{"transfer-echo", func(_ *world, r *report) {
		for _, data := range [][]byte{bytes.Repeat([]byte("somecontent"), 17*1024), []byte("small"), nil} {
			out := &closed{over: make(chan struct{})}
			err := r.client.Transfer(r.ctx, archive.NewImageImportStream(bytes.NewReader(data), "application/octet-stream"), archive.NewImageExportStream(out, "application/octet-stream"))
			r.must("transfer", err)
			r.within("the end of what is exported", func() { <-out.over })
			r.say("%d bytes, the same: %v", len(data), out.String() == string(data))
		}
	}},
	{"transfer-import", func(_ *world, r *report) {
		file, err := os.Open(r.archive)
		r.must("open", err)
		defer file.Close()
		// Progress may still come when the transfer is over.
		var lock sync.Mutex
		seen := map[string]bool{}
		progress := func(p transfer.Progress) {
			lock.Lock()
			defer lock.Unlock()
			seen[p.Event] = true
		}
		name := "example.org/peer/transferred"
		r.later(func() {
			list, _ := r.client.ImageService().List(r.ctx, "name~=^example.org/peer/transferred")
			for _, one := range list {
				_ = r.client.ImageService().Delete(r.ctx, one.Name)
			}
		})
		r.must("import", r.client.Transfer(r.ctx, archive.NewImageImportStream(file, ""), image.NewStore("", image.WithDigestRef(name, true, false), image.WithUnpack(platforms.DefaultSpec(), "overlayfs")), transfer.WithProgress(progress)))
		lock.Lock()
		events := slices.Sorted(maps.Keys(seen))
		lock.Unlock()
		r.say("progress: %v", events)
		list, err := r.client.ImageService().List(r.ctx, "name~=^example.org/peer/transferred@sha256:")
		r.say("by digest: %d %v", len(list), err)
		r.must("tag", r.client.Transfer(r.ctx, image.NewStore(r.unpacked().Name()), image.NewStore(name+":tagged")))
		tagged, err := r.client.GetImage(r.ctx, name+":tagged")
		r.must("tagged", err)
		unpacked, err := tagged.IsUnpacked(r.ctx, "overlayfs")
		r.say("unpacked: %v %v", unpacked, err)
		out := &closed{over: make(chan struct{})}
		r.must("export", r.client.Transfer(r.ctx, image.NewStore("", image.WithExtraReference(name+":tagged")), archive.NewImageExportStream(out, "")))
		r.within("the end of what is exported", func() { <-out.over })
		r.say("exported: %v", len(out.String()) > 1000 && strings.Contains(out.String(), "index.json"))
		r.tellClass("tag nobody", r.client.Transfer(r.ctx, image.NewStore("example.org/nobody:1"), image.NewStore(name+":tagged")))
		r.say("import rubbish fails: %v", r.client.Transfer(r.ctx, archive.NewImageImportStream(strings.NewReader(strings.Repeat("rubbish", 1000)), ""), image.NewStore("")) != nil)
	}},
}

var sandboxSteps = []step{
	{"sandbox-store", func(_ *world, r *report) {
		store := r.client.SandboxStore()
		made := sandbox.Sandbox{ID: "box", Labels: map[string]string{"a": "store"}, Runtime: sandbox.RuntimeOpts{Name: "io.containerd.runc.v2"}}
		created, err := store.Create(r.ctx, made)
		r.must("create", err)
		r.later(func() { _ = store.Delete(r.ctx, "box") })
		r.say("%s %v, times: %v %v", created.ID, created.Labels, !created.CreatedAt.IsZero(), created.CreatedAt.Equal(created.UpdatedAt))
		_, err = store.Create(r.ctx, made)
		r.tell("create again", err)
		_, err = store.Create(r.ctx, sandbox.Sandbox{ID: "bad/id"})
		r.tellClass("create by a bad name", err)
		got, err := store.Get(r.ctx, "box")
		r.say("get: %s %s %v", got.ID, got.Runtime.Name, err)
		made.Labels = map[string]string{"c": "d"}
		updated, err := store.Update(r.ctx, made, "labels.c")
		r.say("update: %v %s", updated.Labels, told(err))
		for _, filter := range []string{"id==box", "labels.a==store", "labels.a==x", "runtime.name~=runc"} {
			list, err := store.List(r.ctx, filter)
			r.say("list %s: %d %s", filter, len(list), told(err))
		}
		_, err = store.Get(r.ctx, "nobody")
		r.tell("get nobody", err)
		r.tell("delete", store.Delete(r.ctx, "box"))
		r.tell("delete again", store.Delete(r.ctx, "box"))
		_, err = r.client.LoadSandbox(r.ctx, "box")
		r.tell("load when it is deleted", err)
	}},
	{"sandbox-life", func(_ *world, r *report) {
		box, err := r.client.NewSandbox(r.ctx, r.step, containerd.WithSandboxRuntime("io.containerd.runc.v2", &options.Options{}), containerd.WithSandboxLabels(map[string]string{"a": "b"}), containerd.WithSandboxSpec(&oci.Spec{}, oci.WithProcessArgs("true")))
		r.later(func() { _ = r.client.SandboxStore().Delete(r.ctx, r.step) })
		r.must("create", err)
		r.tell("start", box.Start(r.ctx))
		labels, err := box.Labels(r.ctx)
		r.say("labels: %v %v", labels, err)
		ended, err := box.Wait(r.ctx)
		r.must("wait", err)
		status, err := r.client.SandboxController(box.Metadata().Sandboxer).Status(r.ctx, r.step, true)
		r.say("status: %s %v %s", status.State, status.Pid > 0, told(err))
		c, err := box.NewContainer(r.ctx, r.step+"-member", r.spec(r.step+"-member", sh("echo in the box; exit 3")))
		r.must("member", err)
		r.later(func() { r.remove(r.ctx, c) })
		info, err := c.Info(r.ctx)
		r.say("sandbox of the member: %s %v", info.SandboxID, err)
		task, over := r.started(c, cio.NullIO)
		r.finish(task, over)
		r.must("remove the member", c.Delete(r.ctx))
		r.tell("stop", box.Stop(r.ctx))
		r.ends("end", ended)
		// Its shim may have ended with it, and the daemon may not know so yet.
		r.until("an answer to shutdown", func() bool {
			err = box.Shutdown(r.ctx)
			return err == nil || !strings.Contains(err.Error(), ttrpc.ErrClosed.Error())
		})
		r.tell("shutdown", err)
		_, err = r.client.LoadSandbox(r.ctx, r.step)
		r.tell("load when it is gone", err)
	}},
	{"sandbox-nobody", func(_ *world, r *report) {
		controller := r.client.SandboxController("shim")
		_, err := controller.Start(r.ctx, "nobody")
		r.say("start fails: %v", err != nil)
		r.tellClass("stop", controller.Stop(r.ctx, "nobody"))
		_, err = controller.Status(r.ctx, "nobody", false)
		r.tellClass("status", err)
		r.tellClass("shutdown", controller.Shutdown(r.ctx, "nobody"))
	}},
}

var runtimeSteps = []step{
	{"runtime-info", func(_ *world, r *report) {
		info, err := r.client.RuntimeInfo(r.ctx, "io.containerd.runc.v2", nil)
		r.must("info", err)
		r.say("%s, features: %v", info.Name, info.Features != nil)
		info, err = r.client.RuntimeInfo(r.ctx, "io.containerd.runc.v2", &options.Options{BinaryName: "runc"})
		r.say("with options: %v %s", info != nil, told(err))
		_, err = r.client.RuntimeInfo(r.ctx, "io.containerd.nobody.v1", nil)
		r.say("of nobody: %v", err != nil)
	}},
	{"runtime-options", func(_ *world, r *report) {
		var out text
		for _, opts := range []*options.Options{{BinaryName: "runc"}, {BinaryName: "/usr/sbin/runc", NoNewKeyring: true}, {BinaryName: "/no/such"}, {ShimCgroup: "/" + r.namespace + "/shims"}, {IoUid: 1000, IoGid: 1000}} {
			c, err := r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("echo out")), containerd.WithRuntime("io.containerd.runc.v2", opts))
			r.must("create", err)
			task, err := c.NewTask(r.ctx, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
			if err != nil {
				r.tellClass("new task", err)
				r.must("delete", c.Delete(r.ctx))
				continue
			}
			ended, err := task.Wait(r.ctx)
			r.must("wait", err)
			r.tell("start", task.Start(r.ctx))
			r.finish(task, ended)
			r.must("delete", c.Delete(r.ctx))
		}
		r.say("out: %q", out.String())
	}},
}
