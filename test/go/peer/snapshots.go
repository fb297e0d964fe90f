package main

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/image-spec/identity"
)

var snapshotSteps = []step{
	{"snapshots", func(_ *world, r *report) {
		ctx, s := r.leased(), r.client.SnapshotService("overlayfs")
		mounts, err := s.Prepare(ctx, "s-active", "", snapshots.WithLabels(map[string]string{"a": "b"}))
		r.must("prepare", err)
		r.say("mounts: %d %s", len(mounts), mounts[0].Type)
		r.must("write into it", mount.WithTempMount(ctx, mounts, func(root string) error {
			return os.WriteFile(filepath.Join(root, "file"), []byte(strings.Repeat("x", 5000)), 0o644)
		}))
		_, err = s.Prepare(ctx, "s-active", "")
		r.tell("prepare again", err)
		_, err = s.Prepare(ctx, "s-other", "s-active")
		r.tell("prepare on what is active", err)
		_, err = s.Prepare(ctx, "s-other", "nobody")
		r.tell("prepare on nobody", err)
		info, err := s.Stat(ctx, "s-active")
		r.say("stat: %s %q %q %v %v", info.Kind, info.Name, info.Parent, info.Labels, err)
		usage, err := s.Usage(ctx, "s-active")
		r.say("usage: %v %d %v", usage.Size >= 5000, usage.Inodes, err)
		r.tell("commit", s.Commit(ctx, "s-committed", "s-active", snapshots.WithLabels(map[string]string{"c": "d"})))
		r.tell("commit again", s.Commit(ctx, "s-committed-2", "s-active"))
		_, err = s.Stat(ctx, "s-active")
		r.tell("stat of what was active", err)
		_, err = s.Mounts(ctx, "s-committed")
		r.tell("mounts of what is committed", err)
		_, err = s.View(ctx, "s-view", "s-committed")
		r.must("view", err)
		_, err = s.Prepare(ctx, "s-child", "s-committed")
		r.must("prepare a child", err)
		r.tell("commit by a name that is taken", s.Commit(ctx, "s-committed", "s-child"))
		r.tell("commit a view", s.Commit(ctx, "s-viewed", "s-view"))
		r.tell("remove what has children", s.Remove(ctx, "s-committed"))
		info.Name, info.Labels = "s-committed", map[string]string{"e": "f", "g": "h"}
		got, err := s.Update(ctx, info, "labels.e")
		r.say("update one: %v %s", got.Labels, told(err))
		got, err = s.Update(ctx, info)
		r.say("update all: %v %s", got.Labels, told(err))
		_, err = s.Update(ctx, info, "parent")
		r.tell("update the parent", err)
		for _, filter := range []string{"name==s-view", "parent==s-committed", "kind==committed,labels.e==f", "labels.e==f", "kind==view"} {
			var names []string
			err := s.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
				if strings.HasPrefix(info.Name, "s-") {
					names = append(names, info.Name)
				}
				return nil
			}, filter)
			sort.Strings(names)
			r.say("walk %s: %v %s", filter, names, told(err))
		}
		for _, name := range []string{"s-view", "s-child", "s-committed", "s-committed"} {
			r.tell("remove "+name, s.Remove(ctx, name))
		}
		_, err = r.client.SnapshotService("nobody").Stat(ctx, "x")
		r.tell("a snapshotter that is not there", err)
	}},
	{"snapshot-diff", func(_ *world, r *report) {
		ctx, s, image := r.leased(), r.client.SnapshotService("overlayfs"), r.unpacked()
		ids, err := image.RootFS(ctx)
		r.must("root file system", err)
		parent := identity.ChainID(ids).String()
		upper, err := s.Prepare(ctx, "diff-upper", parent)
		r.must("prepare", err)
		r.later(func() { _ = s.Remove(r.ctx, "diff-upper") })
		lower, err := s.View(ctx, "diff-lower", parent)
		r.must("view", err)
		r.later(func() { _ = s.Remove(r.ctx, "diff-lower") })
		r.must("change", mount.WithTempMount(ctx, upper, func(root string) error {
			if err := os.Remove(filepath.Join(root, "bin/tty")); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(root, "new"), []byte("new"), 0o600)
		}))
		desc, err := r.client.DiffService().Compare(ctx, lower, upper)
		r.must("compare", err)
		r.say("compared: %s %v", desc.MediaType, desc.Size > 100)
		target, err := s.Prepare(ctx, "diff-target", parent)
		r.must("prepare a target", err)
		r.later(func() { _ = s.Remove(r.ctx, "diff-target") })
		applied, err := r.client.DiffService().Apply(ctx, desc, target)
		r.must("apply", err)
		r.say("applied: %s", applied.MediaType)
		r.must("look", mount.WithTempMount(ctx, target, func(root string) error {
			data, err := os.ReadFile(filepath.Join(root, "new"))
			_, gone := os.Lstat(filepath.Join(root, "bin/tty"))
			r.say("new: %q %v, gone: %v", data, err, os.IsNotExist(gone))
			return nil
		}))
	}},
}
