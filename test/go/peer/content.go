package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// writeBlob puts a text into the content store.
func (r *report) writeBlob(ctx context.Context, ref, data string) digest.Digest {
	d := digest.FromString(data)
	err := content.WriteBlob(ctx, r.client.ContentStore(), ref, strings.NewReader(data), ocispec.Descriptor{Digest: d, Size: int64(len(data))})
	r.must("write "+ref, err)
	return d
}

// leased is a context whose content stays until the end of the step.
func (r *report) leased() context.Context {
	ctx, done, err := r.client.WithLease(r.ctx)
	r.must("lease", err)
	r.later(func() { _ = done(ctx) })
	return ctx
}

func sayable(s content.Status, err error) string {
	if err != nil {
		return told(err)
	}
	return fmt.Sprintf("%s at %d of %d, expected %q, times: %v %v", s.Ref, s.Offset, s.Total, s.Expected, !s.StartedAt.IsZero(), !s.UpdatedAt.Before(s.StartedAt))
}

var contentSteps = []step{
	{"ingest-resumed", func(_ *world, r *report) {
		store, ctx := r.client.ContentStore(), r.leased()
		data := strings.Repeat("0123456789", 1000)
		d := digest.FromString(data)
		desc := ocispec.Descriptor{Digest: d, Size: int64(len(data)), MediaType: "text/plain"}
		w, err := store.Writer(ctx, content.WithRef("resumed"), content.WithDescriptor(desc))
		r.must("writer", err)
		_, err = io.WriteString(w, data[:4000])
		r.must("write", err)
		status, err := w.Status()
		r.say("status of the writer: %s", sayable(status, err))
		status, err = store.Status(ctx, "resumed")
		r.say("status: %s", sayable(status, err))
		_, err = store.Writer(ctx, content.WithRef("resumed"), content.WithDescriptor(desc))
		r.tell("a second writer", err)
		r.must("close", w.Close())
		list, err := store.ListStatuses(ctx, "ref~=^resu")
		r.say("list: %d %v", len(list), err)
		for _, filter := range []string{"ref==resumed", "ref==nobody", "ref~=^res.*d$"} {
			list, err := store.ListStatuses(ctx, filter)
			r.say("list %s: %d %s", filter, len(list), told(err))
		}
		w, err = content.OpenWriter(ctx, store, content.WithRef("resumed"), content.WithDescriptor(desc))
		r.must("writer again", err)
		status, err = w.Status()
		r.say("status: %s", sayable(status, err))
		_, err = io.WriteString(w, data[4000:])
		r.must("write the rest", err)
		r.must("commit", w.Commit(ctx, int64(len(data)), d, content.WithLabels(map[string]string{"a": "b"})))
		r.say("digest: %v", w.Digest() == d)
		r.tell("commit again", w.Commit(ctx, int64(len(data)), d))
		status, err = store.Status(ctx, "resumed")
		r.say("status when it is done: %s", sayable(status, err))
		info, err := store.Info(ctx, d)
		r.say("info: %d %v %v", info.Size, info.Labels, err)
		_, err = store.Writer(ctx, content.WithRef("resumed-2"), content.WithDescriptor(desc))
		r.tell("a writer for what is there", err)
		at, err := store.ReaderAt(ctx, desc)
		r.must("reader", err)
		part := make([]byte, 10)
		n, err := at.ReadAt(part, 4995)
		r.say("read at: %d %q %v, size %d", n, part, err, at.Size())
		n, err = at.ReadAt(part, int64(len(data))-5)
		r.say("read over the end: %d %q %v", n, part[:n], errors.Is(err, io.EOF))
		n, err = at.ReadAt(part, int64(len(data))+5)
		r.say("read behind the end: %d %v", n, err != nil)
		r.tell("close", at.Close())
		_, err = store.ReaderAt(ctx, ocispec.Descriptor{Digest: digest.FromString("nothing")})
		r.tell("reader of nothing", err)
	}},
	{"ingest-wrong", func(_ *world, r *report) {
		store, ctx := r.client.ContentStore(), r.leased()
		for n, commit := range []func(content.Writer) error{
			func(w content.Writer) error { return w.Commit(ctx, 5, digest.FromString("other")) },
			func(w content.Writer) error { return w.Commit(ctx, 4, digest.FromString("wrong")) },
			func(w content.Writer) error { return w.Commit(ctx, 6, "") },
			func(w content.Writer) error { return w.Commit(ctx, 0, "sha256:nonsense") },
			func(w content.Writer) error { return w.Truncate(2) },
			func(w content.Writer) error {
				if err := w.Truncate(0); err != nil {
					return err
				}
				if _, err := io.WriteString(w, "anew"); err != nil {
					return err
				}
				return w.Commit(ctx, 4, digest.FromString("anew"))
			},
			func(w content.Writer) error { return w.Commit(ctx, 0, "") },
			func(w content.Writer) error { return w.Commit(ctx, 0, "") },
		} {
			ref := fmt.Sprint("wrong-", n)
			w, err := store.Writer(ctx, content.WithRef(ref))
			r.must("writer", err)
			_, err = io.WriteString(w, "wrong")
			r.must("write", err)
			r.tell(ref, commit(w))
			r.tellClass("close", w.Close())
			status, err := store.Status(ctx, ref)
			r.say("status: %s", sayable(status, err))
			// The daemon's writer may still be closing its file.
			r.until("an answer to abort", func() bool {
				err = store.Abort(ctx, ref)
				return err == nil || classOf(err) != "Unknown"
			})
			r.tell("abort", err)
		}
		_, err := store.Writer(ctx)
		r.tell("no ref", err)
		r.tell("abort nothing", store.Abort(ctx, "nothing"))
		w, err := store.Writer(ctx, content.WithRef("empty"))
		r.must("writer", err)
		r.tell("nothing at all", w.Commit(ctx, 0, digest.FromString("")))
	}},
	{"ingest-big", func(_ *world, r *report) {
		ctx := r.leased()
		data := strings.Repeat("sixteen bytes...", 1<<19) // 8 MiB
		d := r.writeBlob(ctx, "big", data)
		read, err := content.ReadBlob(ctx, r.client.ContentStore(), ocispec.Descriptor{Digest: d, Size: int64(len(data))})
		r.say("read: %d, the same: %v, %v", len(read), string(read) == data, err)
	}},
	{"content", func(_ *world, r *report) {
		store, ctx := r.client.ContentStore(), r.leased()
		d := r.writeBlob(ctx, "content", "labelled")
		info := content.Info{Digest: d, Labels: map[string]string{"a": "b", "c": "d"}}
		got, err := store.Update(ctx, info)
		r.say("update all: %v %s", got.Labels, told(err))
		info.Labels = map[string]string{"a": "x", "e": "f"}
		got, err = store.Update(ctx, info, "labels.a")
		r.say("update one: %v %s", got.Labels, told(err))
		got, err = store.Update(ctx, info, "labels.c")
		r.say("remove one: %v %s", got.Labels, told(err))
		_, err = store.Update(ctx, info, "size")
		r.tell("update the size", err)
		got, err = store.Update(ctx, info, "labels")
		r.say("update labels: %v %s", got.Labels, told(err))
		_, err = store.Update(ctx, content.Info{Digest: digest.FromString("nothing")}, "labels")
		r.tell("update nothing", err)
		for _, filter := range []string{"labels.e==f", "labels.a==b", "digest==" + d.String(), "size==8", "labels.e==f,labels.a==x", `labels."e"==f`} {
			var count int
			err := store.Walk(ctx, func(i content.Info) error {
				if i.Digest == d {
					count++
				}
				return nil
			}, filter)
			r.say("walk %s: %d %s", strings.ReplaceAll(filter, d.String(), "D"), count, told(err))
		}
		r.tell("delete", store.Delete(ctx, d))
		r.tell("delete again", store.Delete(ctx, d))
		_, err = store.Info(ctx, "nonsense")
		r.tell("info of nonsense", err)
		r.tell("delete nonsense", store.Delete(ctx, "md5:nonsense"))
	}},
	{"content-unleased", func(_ *world, r *report) {
		// What no lease and no label keeps goes with the next collection.
		d := r.writeBlob(r.ctx, "unleased", "nobody keeps this")
		manager := r.client.LeasesService()
		lease, err := manager.Create(r.ctx, leases.WithID("collector"))
		r.must("lease", err)
		r.must("collect", manager.Delete(r.ctx, lease, leases.SynchronousDelete))
		_, err = r.client.ContentStore().Info(r.ctx, d)
		r.say("gone, or young: %v", err == nil || classOf(err) == "NotFound")
	}},
}
