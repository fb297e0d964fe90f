package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
)

// No step takes this long on any machine, and one that does hangs.
const stepBound = 90 * time.Second

// world is the daemon under test and what it is tried with.
type world struct {
	address, namespace, dir, rootfs, archive, image string
	client                                          *containerd.Client
	unpack                                          sync.Once
}

func (w *world) connect() error {
	client, err := containerd.New(w.address, clientOpts...)
	w.client = client
	return err
}

// report is what a step says.
type report struct {
	*world
	ctx   context.Context
	step  string
	mutex sync.Mutex
	lines []string
	undo  []func()
	ms    int64
}

// stop ends a step that cannot go on; the reason has been said.
type stop struct{}

func (r *report) take(s step) {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(context.Background(), r.namespace), stepBound)
	defer cancel()
	r.ctx = ctx
	since := time.Now()
	defer func() { r.ms = time.Since(since).Milliseconds() }()
	defer r.cleanUp()
	defer func() {
		if problem := recover(); problem != nil {
			if _, ok := problem.(stop); !ok {
				r.say("panic: %v", problem)
			}
		}
	}()
	s.run(r.world, r)
}

// cleanUp undoes, last first, what the step has made.
func (r *report) cleanUp() {
	for i := len(r.undo) - 1; i >= 0; i-- {
		r.undo[i]()
	}
}

func (r *report) later(work func()) { r.undo = append(r.undo, work) }

func (r *report) say(format string, args ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.lines = append(r.lines, r.normal(fmt.Sprintf(format, args...)))
}

var (
	numberedDirs = regexp.MustCompile(`DIR/fifo/\d+`)
	pids         = regexp.MustCompile(`\b(pid|process) \d+`)
	keys         = regexp.MustCompile(`\bNS/\d+/`)
	locks        = regexp.MustCompile(`locked for .*\)`)
)

// normal leaves out what differs from run to run.
func (r *report) normal(text string) string {
	text = strings.ReplaceAll(text, r.dir, "DIR")
	text = strings.ReplaceAll(text, r.namespace, "NS")
	text = numberedDirs.ReplaceAllString(text, "DIR/fifo/N")
	text = keys.ReplaceAllString(text, "NS/N/")
	text = locks.ReplaceAllString(text, "locked for T")
	return pids.ReplaceAllString(text, "$1 N")
}

// must ends the step where something failed that is needed further on.
func (r *report) must(what string, err error) {
	if err != nil {
		r.say("%s: %s", what, told(err))
		panic(stop{})
	}
}

// tell says how something ended.
func (r *report) tell(what string, err error) { r.say("%s: %s", what, told(err)) }

// told is an error's class and its text.
func told(err error) string {
	if err == nil {
		return "ok"
	}
	return classOf(err) + ": " + err.Error()
}

func classOf(err error) string {
	for _, class := range []struct {
		name string
		is   func(error) bool
	}{
		{"NotFound", errdefs.IsNotFound}, {"AlreadyExists", errdefs.IsAlreadyExists}, {"InvalidArgument", errdefs.IsInvalidArgument},
		{"FailedPrecondition", errdefs.IsFailedPrecondition}, {"Unavailable", errdefs.IsUnavailable},
		{"NotImplemented", errdefs.IsNotImplemented}, {"Canceled", errdefs.IsCanceled}, {"DeadlineExceeded", errdefs.IsDeadlineExceeded},
	} {
		if class.is(err) {
			return class.name
		}
	}
	if errors.Is(err, context.Canceled) {
		return "Canceled"
	}
	return "Unknown"
}

// tellClass says of an error its class alone, where the text is the daemon's own affair.
func (r *report) tellClass(what string, err error) {
	if err == nil {
		r.say("%s: ok", what)
		return
	}
	r.say("%s: %s", what, classOf(err))
}

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

// spec is a container's that has the test's root file system as its own.
func (r *report) spec(id string, args []string, more ...oci.SpecOpts) containerd.NewContainerOpts {
	opts := []oci.SpecOpts{oci.WithRootFSPath(r.rootfs), oci.WithProcessArgs(args...), oci.WithCgroup("/" + r.namespace + "/" + id)}
	return containerd.WithNewSpec(append(opts, more...)...)
}

// container makes one that goes with the step.
func (r *report) container(id string, args []string, more ...oci.SpecOpts) containerd.Container {
	c, err := r.client.NewContainer(r.ctx, id, r.spec(id, args, more...))
	r.must("create "+id, err)
	r.later(func() { r.remove(r.ctx, c) })
	return c
}

// remove takes a container away, whatever has become of it.
func (r *report) remove(ctx context.Context, c containerd.Container) {
	if task, err := c.Task(ctx, nil); err == nil {
		if _, err := task.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			r.say("removing the task of %s: %v", c.ID(), err)
		}
	}
	if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		r.say("removing %s: %v", c.ID(), err)
	}
}

// fifos is where the streams of this step are.
func (r *report) fifos() cio.Opt { return cio.WithFIFODir(filepath.Join(r.dir, "fifo", r.step)) }

// started gives a container's task, which runs, and what tells its end.
func (r *report) started(c containerd.Container, io cio.Creator, opts ...containerd.NewTaskOpts) (containerd.Task, <-chan containerd.ExitStatus) {
	task, err := c.NewTask(r.ctx, io, opts...)
	r.must("new task", err)
	return task, r.launched(task)
}

// launched starts a process, and gives what tells its end.
func (r *report) launched(process containerd.Process) <-chan containerd.ExitStatus {
	ended, err := process.Wait(r.ctx)
	r.must("wait", err)
	r.must("start", process.Start(r.ctx))
	return ended
}

// ends says how a process ended.
func (r *report) ends(what string, ended <-chan containerd.ExitStatus) {
	select {
	case status := <-ended:
		code, at, err := status.Result()
		if err != nil {
			r.say("%s: %s", what, told(err))
			return
		}
		r.say("%s: exit %d, at a time: %v", what, code, time.Since(at) < time.Hour)
	case <-r.ctx.Done():
		r.say("%s: it did not end", what)
		panic(stop{})
	}
}

// finish waits for the end of a task and of its streams, and deletes it.
func (r *report) finish(task containerd.Task, ended <-chan containerd.ExitStatus) {
	r.ends("end", ended)
	if io := task.IO(); io != nil {
		r.within("the end of its streams", io.Wait)
	}
	status, err := task.Delete(r.ctx)
	if err != nil {
		r.tell("delete", err)
		return
	}
	r.say("delete: exit %d", status.ExitCode())
	entries, err := os.ReadDir(filepath.Join(r.dir, "fifo", r.step))
	if err == nil && len(entries) > 0 {
		r.say("left: %v", entries)
	}
}

// within does something that would otherwise wait for ever.
func (r *report) within(what string, work func()) {
	done := make(chan struct{})
	go func() {
		work()
		close(done)
	}()
	select {
	case <-done:
	case <-r.ctx.Done():
		r.say("it never came: %s", what)
		panic(stop{})
	}
}

// until polls for something that is to become true; how long it takes decides nothing.
func (r *report) until(what string, holds func() bool) {
	for !holds() {
		select {
		case <-r.ctx.Done():
			r.say("it never came: %s", what)
			panic(stop{})
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// text collects what is written to it.
type text struct {
	mutex sync.Mutex
	data  []byte
}

func (t *text) Write(data []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.data = append(t.data, data...)
	return len(data), nil
}

func (t *text) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return string(t.data)
}

func (t *text) has(part string) func() bool {
	return func() bool { return strings.Contains(t.String(), part) }
}
