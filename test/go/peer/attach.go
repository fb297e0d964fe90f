package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// A container whose client is killed, and that another process then attaches to.
var attachSteps = []step{
	{"attach", func(_ *world, r *report) { r.attachTo(false) }},
	{"attach-terminal", func(_ *world, r *report) { r.attachTo(true) }},
	{"attach-load", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000"))
		r.started(c, cio.NullIO)
		other, err := containerd.New(r.address)
		r.must("second client", err)
		defer other.Close()
		loaded, err := other.LoadContainer(r.ctx, r.step)
		r.must("load", err)
		task, err := loaded.Task(r.ctx, cio.Load)
		r.must("task", err)
		ended, err := task.Wait(r.ctx)
		r.must("wait", err)
		r.tell("kill", task.Kill(r.ctx, syscall.SIGKILL))
		r.finish(task, ended)
		_, err = loaded.Task(r.ctx, nil)
		r.tell("task, when it is deleted", err)
		_, err = other.LoadContainer(r.ctx, "nobody")
		r.tell("load nobody", err)
	}},
}

// self is this program with other words, on the same daemon.
func (r *report) self(command string, args ...string) *exec.Cmd {
	path, err := os.Executable()
	r.must("own path", err)
	words := append([]string{command, "-address", r.address, "-namespace", r.namespace, "-dir", r.dir, "-rootfs", r.rootfs}, args...)
	return exec.CommandContext(r.ctx, path, words...)
}

func (r *report) attachTo(terminal bool) {
	id := r.step
	if terminal {
		id = "terminal-" + id
	}
	holder := r.self("hold", id)
	var held text
	holder.Stdout, holder.Stderr = &held, &held
	r.later(func() {
		if c, err := r.client.LoadContainer(r.ctx, id); err == nil {
			r.remove(r.ctx, c)
		}
		os.RemoveAll(filepath.Join(r.dir, "fifo", id))
	})
	r.must("run the first client", holder.Start())
	r.until("the first client's container: "+held.String(), held.has("ready"))
	r.tell("kill the first client", holder.Process.Signal(syscall.SIGKILL))
	_ = holder.Wait()
	c, err := r.client.LoadContainer(r.ctx, id)
	r.must("load", err)
	task, err := c.Task(r.ctx, nil)
	r.must("task", err)
	// Nobody reads this but who comes later.
	process, err := task.Exec(r.ctx, "wake", processOf(c, r, sh("echo meanwhile >/proc/1/fd/1")), cio.NullIO)
	r.must("exec", err)
	woken, err := process.Wait(r.ctx)
	r.must("wait for the exec", err)
	r.must("start the exec", process.Start(r.ctx))
	r.ends("exec", woken)
	_, err = process.Delete(r.ctx)
	r.tell("delete the exec", err)
	second := r.self("attach", id)
	var shown text
	second.Stdout, second.Stderr = &shown, &shown
	second.Stdin = strings.NewReader("one\ntwo\n")
	r.tell("the second client", second.Run())
	for _, line := range []string{"meanwhile", "got one", "got two", "over", "exit 7"} {
		r.say("it saw %q: %v", line, strings.Contains(shown.String(), line))
	}
}

// hold is a client that starts a container and stays, until it is killed.
func hold(w *world, id string) {
	ctx := namespaces.WithNamespace(context.Background(), w.namespace)
	terminal := strings.HasPrefix(id, "terminal-")
	opts := []oci.SpecOpts{oci.WithRootFSPath(w.rootfs), oci.WithCgroup("/" + w.namespace + "/" + id),
		oci.WithProcessArgs(sh("echo ready; for n in 1 2; do read x; echo got $x; done; echo over; exit 7")...)}
	in, _ := io.Pipe()
	streams := []cio.Opt{cio.WithFIFODir(filepath.Join(w.dir, "fifo", id)), cio.WithStreams(in, os.Stdout, os.Stdout)}
	if terminal {
		opts = append(opts, oci.WithTTY)
		streams = append(streams, cio.WithTerminal, cio.WithStreams(in, os.Stdout, nil))
	}
	c, err := w.client.NewContainer(ctx, id, containerd.WithNewSpec(opts...))
	if err != nil {
		fail("create: %v", err)
	}
	task, err := c.NewTask(ctx, cio.NewCreator(streams...))
	if err != nil {
		fail("new task: %v", err)
	}
	if err := task.Start(ctx); err != nil {
		fail("start: %v", err)
	}
	select {}
}

// attach is a client that takes over the streams of a container, until it ends.
func attach(w *world, id string) {
	ctx := namespaces.WithNamespace(context.Background(), w.namespace)
	c, err := w.client.LoadContainer(ctx, id)
	if err != nil {
		fail("load: %v", err)
	}
	streams := cio.WithStreams(os.Stdin, os.Stdout, os.Stderr)
	if strings.HasPrefix(id, "terminal-") {
		streams = cio.WithStreams(os.Stdin, os.Stdout, nil)
	}
	task, err := c.Task(ctx, cio.NewAttach(streams))
	if err != nil {
		fail("attach: %v", err)
	}
	ended, err := task.Wait(ctx)
	if err != nil {
		fail("wait: %v", err)
	}
	status := <-ended
	task.IO().Wait()
	fmt.Printf("exit %d\n", status.ExitCode())
	if _, err := task.Delete(ctx); err != nil {
		fail("delete: %v", err)
	}
}
