package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// counting shows by its numbers that a container goes on where it was.
var counting = sh("trap 'exit 7' TERM; n=0; while :; do n=$((n+1)); echo count $n; sleep 0.1; done")

func lastCount(out *text) int {
	words := strings.Fields(out.String())
	if len(words) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(words[len(words)-1])
	return n
}

var checkpointSteps = []step{
	{"checkpoint-container", func(_ *world, r *report) {
		image := r.unpacked()
		var out text
		c, err := r.client.NewContainer(r.ctx, r.step, containerd.WithImage(image), containerd.WithSnapshotter("overlayfs"), containerd.WithNewSnapshot(r.step, image),
			containerd.WithNewSpec(oci.WithImageConfig(image), oci.WithCgroup("/"+r.namespace+"/"+r.step), oci.WithProcessArgs(counting...)))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
		r.until("five counts", func() bool { return lastCount(&out) >= 5 })
		point, err := c.Checkpoint(r.ctx, "example.org/peer/checkpoint:1", containerd.WithCheckpointRuntime, containerd.WithCheckpointRW, containerd.WithCheckpointImage, containerd.WithCheckpointTask)
		r.must("checkpoint", err)
		r.later(func() {
			_ = r.client.ImageService().Delete(r.ctx, "example.org/peer/checkpoint:1", images.SynchronousDelete())
		})
		r.sayStatus("it goes on", task)
		before := lastCount(&out)
		r.must("kill", task.Kill(r.ctx, 9))
		r.ends("end", ended)
		task.IO().Wait()
		_, err = task.Delete(r.ctx)
		r.must("delete", err)
		r.must("remove", c.Delete(r.ctx, containerd.WithSnapshotCleanup))
		var again text
		restored, err := r.client.Restore(r.ctx, r.step+"-restored", point, containerd.WithRestoreImage, containerd.WithRestoreSpec, containerd.WithRestoreRuntime, containerd.WithRestoreRW)
		r.must("restore", err)
		r.later(func() { r.remove(r.ctx, restored) })
		second, ended := r.started(restored, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &again, &again)), containerd.WithTaskCheckpoint(point))
		r.until("it counts on", func() bool { return lastCount(&again) > 5 })
		r.say("from where it was: %v", firstCount(&again) > 1 && firstCount(&again) <= before+2)
		r.sayStatus("restored", second)
		r.tell("kill", second.Kill(r.ctx, 15))
		r.finish(second, ended)
	}},
	{"checkpoint-task-exit", func(_ *world, r *report) {
		path := filepath.Join(r.dir, "checkpoint")
		r.must("directory", os.MkdirAll(path, 0o755))
		var out text
		c := r.container(r.step, counting)
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
		r.until("three counts", func() bool { return lastCount(&out) >= 3 })
		_, err := task.Checkpoint(r.ctx, containerd.WithCheckpointImagePath(path), exitAtCheckpoint)
		r.must("checkpoint", err)
		r.finish(task, ended)
		_, err = os.Stat(filepath.Join(path, "inventory.img"))
		r.say("images of it: %v", err == nil)
		var again text
		second, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &again, &again)), containerd.WithRestoreImagePath(path))
		r.until("it counts on", func() bool { return lastCount(&again) > 3 })
		r.say("from where it was: %v", firstCount(&again) > 1)
		r.tell("kill", second.Kill(r.ctx, 15))
		r.finish(second, ended)
	}},
}

func firstCount(out *text) int {
	words := strings.Fields(out.String())
	if len(words) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(words[1])
	return n
}
