package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	eventsapi "github.com/containerd/containerd/api/events"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"
)

// subscribed gives what passes one of the filters, once the daemon has begun to send.
func (r *report) subscribed(filters ...string) func() *events.Envelope {
	ctx, cancel := context.WithCancel(r.ctx)
	r.later(cancel)
	topic := "/peer/" + r.step
	envelopes, errs := r.client.Subscribe(ctx, append(filters, `topic=="`+topic+`"`)...)
	next := func() *events.Envelope {
		select {
		case envelope := <-envelopes:
			return envelope
		case err := <-errs:
			r.say("events: %s", told(err))
		case <-r.ctx.Done():
			r.say("no event came")
		}
		panic(stop{})
	}
	seen := make(chan struct{})
	go func() {
		// One that comes before the subscription is lost.
		for {
			if err := r.client.EventService().Publish(ctx, topic, &eventsapi.NamespaceCreate{Name: "ready"}); err != nil {
				return
			}
			select {
			case <-seen:
				return
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	for {
		if envelope := next(); envelope.Topic == topic {
			close(seen)
			break
		}
	}
	// Those that were under way are no news.
	return func() *events.Envelope {
		for {
			if envelope := next(); envelope.Topic != topic {
				return envelope
			}
		}
	}
}

// sayUntil says what comes, up to a topic.
func (r *report) sayUntil(next func() *events.Envelope, last string) {
	for {
		envelope := next()
		r.say("%s", shown(envelope))
		if envelope.Topic == last {
			return
		}
	}
}

// shown is an event as a line.
func shown(envelope *events.Envelope) string {
	event, err := typeurl.UnmarshalAny(envelope.Event)
	id, exec, exit := "", "", uint32(0)
	switch event := event.(type) {
	case *eventsapi.TaskExit:
		id, exec, exit = event.ContainerID, event.ID, event.ExitStatus
	case *eventsapi.TaskDelete:
		id, exec, exit = event.ContainerID, event.ID, event.ExitStatus
	case *eventsapi.TaskExecAdded:
		id, exec = event.ContainerID, event.ExecID
	case *eventsapi.TaskExecStarted:
		id, exec = event.ContainerID, event.ExecID
	case *eventsapi.TaskCreate:
		id = event.ContainerID
	case *eventsapi.TaskStart:
		id = event.ContainerID
	case *eventsapi.TaskPaused:
		id = event.ContainerID
	case *eventsapi.TaskResumed:
		id = event.ContainerID
	case *eventsapi.ImageCreate:
		id = event.Name
	case *eventsapi.ImageUpdate:
		id = event.Name
	case *eventsapi.ImageDelete:
		id = event.Name
	case *eventsapi.ContainerCreate:
		id = event.ID + " " + event.Runtime.GetName()
	case *eventsapi.ContainerDelete:
		id = event.ID
	}
	return fmt.Sprintf("%s %s: %s %q %d, at a time: %v, %v", envelope.Namespace, envelope.Topic, id, exec, exit, !envelope.Timestamp.IsZero(), err)
}

var eventSteps = []step{
	{"events-of-a-life", func(_ *world, r *report) {
		next := r.subscribed(`event.container_id=="`+r.step+`"`, `event.id=="`+r.step+`"`)
		c := r.container(r.step, sh("sleep 1000"))
		task, ended := r.started(c, cio.NullIO)
		process, err := task.Exec(r.ctx, "e1", processOf(c, r, sh("exit 4")), cio.NullIO)
		r.must("exec", err)
		over := r.launched(process)
		r.ends("exec", over)
		_, err = process.Delete(r.ctx)
		r.must("delete the exec", err)
		r.must("pause", task.Pause(r.ctx))
		r.must("resume", task.Resume(r.ctx))
		r.must("kill", task.Kill(r.ctx, syscall.SIGKILL))
		r.finish(task, ended)
		r.sayUntil(next, "/tasks/resumed")
		// The Go shim may have deletion come before the exit; and both come by another way than the daemon's own events.
		last := []string{shown(next()), shown(next())}
		slices.Sort(last)
		for _, line := range last {
			r.say("%s", line)
		}
		r.must("delete", c.Delete(r.ctx))
		r.sayUntil(next, "/containers/delete")
	}},
	{"events-by-topic", func(_ *world, r *report) {
		next := r.subscribed(`topic=="/tasks/exit",event.container_id=="` + r.step + `",namespace==` + r.namespace)
		c := r.container(r.step, sh("exit 5"))
		task, ended := r.started(c, cio.NullIO)
		r.finish(task, ended)
		r.sayUntil(next, "/tasks/exit")
	}},
	{"events-by-pattern", func(_ *world, r *report) {
		next := r.subscribed(`topic~="^/tasks/(create|start)$",event.container_id~=by-pattern$`)
		c := r.container(r.step, sh("exit 5"))
		task, ended := r.started(c, cio.NullIO)
		r.finish(task, ended)
		r.sayUntil(next, "/tasks/start")
	}},
	{"events-published", func(_ *world, r *report) {
		next := r.subscribed(`topic~="^/example/` + r.step + `/"`)
		service := r.client.EventService()
		r.tell("publish", service.Publish(r.ctx, "/example/"+r.step+"/a", &eventsapi.ContainerDelete{ID: "a"}))
		r.tell("publish with a bad topic", service.Publish(r.ctx, "no/slash", &eventsapi.ContainerDelete{ID: "a"}))
		r.tell("publish with an empty topic", service.Publish(r.ctx, "", &eventsapi.ContainerDelete{ID: "a"}))
		r.tell("publish without a namespace", service.Publish(context.Background(), "/example/"+r.step+"/b", &eventsapi.ContainerDelete{ID: "b"}))
		first := next()
		any, err := typeurl.MarshalAny(&eventsapi.ContainerDelete{ID: "f"})
		r.must("marshal", err)
		r.tell("forward", service.Forward(namespaces.WithNamespace(r.ctx, "elsewhere"), &events.Envelope{Timestamp: first.Timestamp, Namespace: "somewhere", Topic: "/example/" + r.step + "/forwarded", Event: any}))
		r.tell("forward without a namespace", service.Forward(r.ctx, &events.Envelope{Timestamp: first.Timestamp, Topic: "/example/" + r.step + "/forwarded", Event: any}))
		r.tell("forward without a time", service.Forward(r.ctx, &events.Envelope{Namespace: "somewhere", Topic: "/example/" + r.step + "/forwarded", Event: any}))
		r.sayUntil(next, "/example/"+r.step+"/forwarded")
	}},
	{"events-bad-filter", func(_ *world, r *report) {
		_, errs := r.client.Subscribe(r.ctx, "===")
		r.say("subscribe fails: %v", <-errs != nil)
	}},
	{"events-of-images", func(_ *world, r *report) {
		image := r.unpacked()
		next := r.subscribed(`topic~="^/images/",event.name==example.org/peer/events:1`)
		store, other := r.client.ImageService(), image.Metadata()
		other.Name = "example.org/peer/events:1"
		created, err := store.Create(r.ctx, other)
		r.must("create", err)
		created.Labels = map[string]string{"a": "b"}
		_, err = store.Update(r.ctx, created, "labels.a")
		r.must("update", err)
		r.must("delete", store.Delete(r.ctx, other.Name))
		r.sayUntil(next, "/images/delete")
	}},
}

var serviceSteps = []step{
	{"services", func(_ *world, r *report) {
		serving, err := r.client.IsServing(r.ctx)
		r.say("serving: %v %v", serving, err)
		version, err := r.client.Version(r.ctx)
		r.say("version: %v %v", version.Version != "", err)
		server, err := r.client.Server(r.ctx)
		r.say("uuid: %v %v", len(server.UUID) == 36, err)
		for _, filter := range []string{"id==overlayfs", "type==io.containerd.snapshotter.v1,id==native", "id==nobody", "capabilities~=x"} {
			plugins, err := r.plugins(filter)
			if err != nil {
				r.say("plugins %s: %s", filter, told(err))
				continue
			}
			var names []string
			for _, plugin := range plugins.Plugins {
				names = append(names, plugin.Type+"."+plugin.ID)
			}
			r.say("plugins %s: %v", filter, names)
		}
		label, err := r.client.GetLabel(r.ctx, "nothing")
		r.say("label: %q %v", label, err)
		capabilities, err := r.client.GetSnapshotterCapabilities(r.ctx, "native")
		r.say("capabilities of native: %v %v", capabilities, err)
		r.must("reconnect", r.reconnected())
	}},
}

func (r *report) reconnected() error {
	other, err := containerd.New(r.address, containerd.WithDefaultNamespace(r.namespace))
	if err != nil {
		return err
	}
	defer other.Close()
	if err := other.Reconnect(); err != nil {
		return err
	}
	// The default namespace of the client is sent where the context has none.
	_, err = other.LoadContainer(context.Background(), "nobody")
	r.tell("load by the default namespace", err)
	return nil
}
