package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var taskSteps = []step{
	{"task-life", func(_ *world, r *report) {
		c := r.container(r.step, sh("trap 'exit 9' TERM; while :; do sleep 0.05; done"))
		task, err := c.NewTask(r.ctx, cio.NullIO)
		r.must("new task", err)
		r.sayStatus("created", task)
		r.say("pid: %v", task.Pid() > 0)
		ended, err := task.Wait(r.ctx)
		r.must("wait", err)
		r.tell("start", task.Start(r.ctx))
		r.tell("start again", task.Start(r.ctx))
		r.sayStatus("started", task)
		_, err = task.Delete(r.ctx)
		r.tell("delete while it runs", err)
		_, err = c.NewTask(r.ctx, cio.NullIO)
		r.tellClass("second task", err)
		r.tell("pause", task.Pause(r.ctx))
		r.sayStatus("paused", task)
		r.tell("pause again", task.Pause(r.ctx))
		r.tell("resume", task.Resume(r.ctx))
		r.tell("resume again", task.Resume(r.ctx))
		r.sayStatus("resumed", task)
		list, err := task.Pids(r.ctx)
		r.say("pids: its own among them: %v %v", len(list) >= 1 && has(list, task.Pid()), err)
		spec, err := task.Spec(r.ctx)
		r.say("spec: %v %v", spec != nil && len(spec.Process.Args) == 3, err)
		r.tell("kill nobody", task.Kill(r.ctx, syscall.SIGTERM, containerd.WithKillExecID("nobody")))
		r.tell("kill", task.Kill(r.ctx, syscall.SIGTERM))
		r.ends("end", ended)
		r.sayStatus("ended", task)
		r.tell("kill when it has ended", task.Kill(r.ctx, syscall.SIGTERM))
		r.tell("pause when it has ended", task.Pause(r.ctx))
		again, err := task.Wait(r.ctx)
		r.must("wait when it has ended", err)
		r.ends("the same end", again)
		status, err := task.Delete(r.ctx)
		r.say("delete: %v %v", status.ExitCode(), err)
		_, err = task.Status(r.ctx)
		r.tell("status when it is deleted", err)
		r.tell("kill when it is deleted", task.Kill(r.ctx, syscall.SIGTERM))
		_, err = task.Delete(r.ctx)
		r.tell("delete again", err)
		r.tell("start when it is deleted", task.Start(r.ctx))
	}},
	{"task-created-only", func(_ *world, r *report) {
		c := r.container(r.step, sh("true"))
		task, err := c.NewTask(r.ctx, cio.NullIO)
		r.must("new task", err)
		_, err = task.Delete(r.ctx)
		r.tell("delete what was never started", err)
		ended, err := task.Wait(r.ctx)
		r.must("wait", err)
		r.tell("kill what was never started", task.Kill(r.ctx, syscall.SIGKILL))
		r.finish(task, ended)
	}},
	{"task-killed-on-delete", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000"))
		task, _ := r.started(c, cio.NullIO)
		status, err := task.Delete(r.ctx, containerd.WithProcessKill)
		r.must("delete", err)
		r.say("exit %d", status.ExitCode())
	}},
	{"task-kill-all", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000 & sleep 1000 & wait"))
		task, ended := r.started(c, cio.NullIO)
		r.until("three processes", func() bool { list, err := task.Pids(r.ctx); return err == nil && len(list) == 3 })
		r.tell("kill all", task.Kill(r.ctx, syscall.SIGKILL, containerd.WithKillAll))
		r.finish(task, ended)
	}},
	{"task-update", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000"))
		task, _ := r.started(c, cio.NullIO)
		limit := int64(64 << 20)
		r.tell("update", task.Update(r.ctx, containerd.WithResources(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}})))
		shares := uint64(7)
		r.tell("update with annotations", task.Update(r.ctx, containerd.WithResources(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}}), containerd.WithAnnotations(map[string]string{"a": "b"})))
		metric, err := task.Metrics(r.ctx)
		r.must("metrics", err)
		r.say("metrics: %s %s", metric.ID, metric.Data.GetTypeUrl())
	}},
	{"task-oom", func(_ *world, r *report) {
		limit := uint64(16 << 20)
		c := r.container(r.step, sh("x=a; while :; do x=$x$x; done"), oci.WithMemoryLimit(limit))
		task, ended := r.started(c, cio.NullIO)
		r.finish(task, ended)
	}},
	{"task-wait-abandoned", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000"))
		task, ended := r.started(c, cio.NullIO)
		ctx, cancel := context.WithCancel(r.ctx)
		abandoned, err := task.Wait(ctx)
		r.must("wait", err)
		cancel()
		status := <-abandoned
		r.tellClass("the abandoned wait", status.Error())
		r.tell("kill", task.Kill(r.ctx, syscall.SIGKILL))
		r.finish(task, ended)
	}},
	{"task-twenty-waits", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000"))
		task, ended := r.started(c, cio.NullIO)
		var waits []<-chan containerd.ExitStatus
		for range 20 {
			wait, err := task.Wait(r.ctx)
			r.must("wait", err)
			waits = append(waits, wait)
		}
		r.tell("kill", task.Kill(r.ctx, syscall.SIGKILL))
		for n, wait := range waits {
			r.ends(fmt.Sprint("wait ", n), wait)
		}
		r.finish(task, ended)
	}},
}

var execSteps = []step{
	{"exec-life", func(_ *world, r *report) {
		c, task := r.idle()
		var out, errors text
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, sh("cat; echo err >&2; exit 3")), cio.NewCreator(r.fifos(), cio.WithStreams(strings.NewReader("typed"), &out, &errors)))
		r.must("exec", err)
		_, err = task.Exec(r.ctx, "e1", processOf(c, r, sh("true")), cio.NullIO)
		r.tell("exec again", err)
		r.sayProcessStatus("created", process)
		ended := r.launched(process)
		r.say("pid: %v", process.Pid() > 0)
		r.tell("close io", process.CloseIO(r.ctx, containerd.WithStdinCloser))
		r.ends("end", ended)
		r.within("the end of its streams", process.IO().Wait)
		r.sayProcessStatus("ended", process)
		r.tell("kill when it has ended", process.Kill(r.ctx, syscall.SIGTERM))
		_, err = task.LoadProcess(r.ctx, "e1", nil)
		r.tell("load", err)
		status, err := process.Delete(r.ctx)
		r.must("delete", err)
		r.say("exit %d, %q %q", status.ExitCode(), out.String(), errors.String())
		_, err = process.Delete(r.ctx)
		r.tell("delete again", err)
		_, err = process.Status(r.ctx)
		r.tell("status when it is deleted", err)
		_, err = task.LoadProcess(r.ctx, "e1", nil)
		r.tell("load when it is deleted", err)
	}},
	{"exec-killed", func(_ *world, r *report) {
		c, task := r.idle()
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, sh("sleep 1000")), cio.NullIO)
		r.must("exec", err)
		r.tell("kill before it is started", process.Kill(r.ctx, syscall.SIGKILL))
		ended := r.launched(process)
		_, err = process.Delete(r.ctx)
		r.tell("delete while it runs", err)
		r.tell("resize", process.Resize(r.ctx, 80, 24))
		r.tell("kill", process.Kill(r.ctx, syscall.SIGKILL))
		r.ends("end", ended)
		status, err := process.Delete(r.ctx, containerd.WithProcessKill)
		r.must("delete", err)
		r.say("exit %d", status.ExitCode())
	}},
	{"exec-never-started", func(_ *world, r *report) {
		c, task := r.idle()
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, sh("true")), cio.NullIO)
		r.must("exec", err)
		_, err = process.Delete(r.ctx)
		r.tell("delete", err)
		process, err = task.Exec(r.ctx, "e1", processOf(c, r, sh("exit 2")), cio.NullIO)
		r.must("exec by the same name", err)
		ended := r.launched(process)
		r.ends("end", ended)
		r.tell("start again", process.Start(r.ctx))
		_, err = process.Delete(r.ctx)
		r.tell("delete", err)
	}},
	{"exec-terminal", func(_ *world, r *report) {
		c, task := r.idle()
		spec := processOf(c, r, sh("tty; stty size; read x; echo got $x; exit 6"))
		spec.Terminal = true
		spec.ConsoleSize = &specs.Box{Width: 77, Height: 22}
		var out, errors text
		process, err := task.Exec(r.ctx, "e1", spec, cio.NewCreator(r.fifos(), cio.WithStreams(strings.NewReader("typed\n"), &out, &errors), cio.WithTerminal))
		r.must("exec", err)
		ended := r.launched(process)
		r.ends("end", ended)
		r.within("the end of its streams", process.IO().Wait)
		_, err = process.Delete(r.ctx)
		r.tell("delete", err)
		r.sayTyped(&out)
	}},
	{"exec-missing", func(_ *world, r *report) {
		c, task := r.idle()
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, []string{"/no/such"}), cio.NullIO)
		r.must("exec", err)
		r.tell("start", process.Start(r.ctx))
		_, err = process.Delete(r.ctx)
		r.tell("delete", err)
		r.sayStatus("its container", task)
	}},
	{"exec-outlives-init", func(_ *world, r *report) {
		c := r.container(r.step, sh("sleep 1000"))
		task, ended := r.started(c, cio.NullIO)
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, sh("sleep 1000")), cio.NullIO)
		r.must("exec", err)
		over := r.launched(process)
		r.tell("kill the init", task.Kill(r.ctx, syscall.SIGKILL))
		r.ends("exec", over)
		r.ends("init", ended)
		_, err = task.Exec(r.ctx, "e2", processOf(c, r, sh("true")), cio.NullIO)
		r.tell("exec in what has ended", err)
	}},
	{"exec-log", func(_ *world, r *report) {
		c, task := r.idle()
		path := r.dir + "/exec.log"
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, sh("echo out; echo err >&2")), cio.LogFile(path))
		r.must("exec", err)
		ended := r.launched(process)
		r.ends("end", ended)
		_, err = process.Delete(r.ctx)
		r.tell("delete", err)
		r.sayFile(path, 2)
	}},
}

var failureSteps = []step{
	{"missing-command", func(_ *world, r *report) {
		c := r.container(r.step, []string{"/no/such"})
		_, err := c.NewTask(r.ctx, cio.NullIO)
		r.tell("new task", err)
		_, err = c.Task(r.ctx, nil)
		r.tell("task", err)
	}},
	{"missing-root", func(_ *world, r *report) {
		c, err := r.client.NewContainer(r.ctx, r.step, containerd.WithNewSpec(oci.WithRootFSPath("/no/such"), oci.WithProcessArgs("true")))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		_, err = c.NewTask(r.ctx, cio.NullIO)
		r.tellClass("new task", err)
	}},
	{"missing-runtime", func(_ *world, r *report) {
		c, err := r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("true")), containerd.WithRuntime("io.containerd.nobody.v1", nil))
		if err != nil {
			r.tellClass("create", err)
			return
		}
		r.later(func() { r.remove(r.ctx, c) })
		_, err = c.NewTask(r.ctx, cio.NullIO)
		r.tellClass("new task", err)
	}},
	{"ids", func(_ *world, r *report) {
		for _, id := range []string{"a/b", "-a", "a b", "", strings.Repeat("x", 77), "ä"} {
			_, err := r.client.NewContainer(r.ctx, id, r.spec("x", sh("true")))
			r.tell(fmt.Sprintf("%.10q", id), err)
		}
		long := strings.Repeat("y", 76)
		c := r.container(long, sh("exit 3"))
		task, ended := r.started(c, cio.NullIO)
		r.finish(task, ended)
	}},
}

// idle is a container to run others in.
func (r *report) idle() (containerd.Container, containerd.Task) {
	c := r.container(r.step, sh("sleep 1000"))
	task, _ := r.started(c, cio.NullIO)
	return c, task
}

// processOf is what an exec is to be: the container's own process with other words.
func processOf(c containerd.Container, r *report, args []string) *specs.Process {
	spec, err := c.Spec(r.ctx)
	r.must("spec", err)
	process := *spec.Process
	process.Args = args
	process.Terminal = false
	return &process
}

func (r *report) sayStatus(what string, task containerd.Task) {
	status, err := task.Status(r.ctx)
	r.say("%s: %s, exit %d, at a time: %v, %v", what, status.Status, status.ExitStatus, !status.ExitTime.IsZero(), err)
}

func (r *report) sayProcessStatus(what string, process containerd.Process) {
	status, err := process.Status(r.ctx)
	r.say("%s: %s, exit %d, %v", what, status.Status, status.ExitStatus, err)
}

func has(list []containerd.ProcessInfo, pid uint32) bool {
	for _, one := range list {
		if one.Pid == pid {
			return true
		}
	}
	return false
}
