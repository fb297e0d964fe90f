package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/runtime/restart"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
)

// What the restart monitor is told by labels.
var restartSteps = []step{
	{"restart-killed", func(_ *world, r *report) {
		log := filepath.Join(r.dir, "restart.log")
		c, err := r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("echo begun; sleep 1000")), restart.WithStatus(containerd.Running), restart.WithLogURI(&url.URL{Scheme: "file", Path: log}))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		r.later(func() { _ = c.Update(r.ctx, restart.WithNoRestarts) })
		begun := func(times int) func() bool {
			return func() bool {
				data, _ := os.ReadFile(log)
				return strings.Count(string(data), "begun") >= times
			}
		}
		// Nobody starts it but the monitor.
		r.until("its first start", begun(1))
		task, err := c.Task(r.ctx, nil)
		r.must("task", err)
		r.tell("kill", task.Kill(r.ctx, syscall.SIGKILL))
		r.until("its second start", begun(2))
		r.say("it was started again")
		r.tell("no more", c.Update(r.ctx, restart.WithNoRestarts))
		labels, err := c.Labels(r.ctx)
		r.say("labels: %v %v", labels, err)
	}},
	{"restart-on-failure", func(_ *world, r *report) {
		policy, err := restart.NewPolicy("on-failure:1")
		r.must("policy", err)
		log := filepath.Join(r.dir, "on-failure.log")
		c, err := r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("echo begun; exit 1")), restart.WithStatus(containerd.Running), restart.WithPolicy(policy), restart.WithLogURI(&url.URL{Scheme: "file", Path: log}))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		task, ended := r.started(c, cio.LogFile(log))
		r.ends("end", ended)
		_ = task
		r.until("its only second start", func() bool {
			data, _ := os.ReadFile(log)
			return strings.Count(string(data), "begun") >= 2
		})
		labels, err := c.Labels(r.ctx)
		r.say("count: %q %v", labels["containerd.io/restart.count"], err)
	}},
	{"restart-stopped", func(_ *world, r *report) {
		c, err := r.client.NewContainer(r.ctx, r.step, r.spec(r.step, sh("sleep 1000")))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		_, ended := r.started(c, cio.NullIO)
		r.tell("to be stopped", c.Update(r.ctx, restart.WithStatus(containerd.Stopped)))
		r.ends("end", ended)
		r.until("its task's deletion by the monitor", func() bool {
			_, err := c.Task(r.ctx, nil)
			return errdefs.IsNotFound(err)
		})
	}},
}
