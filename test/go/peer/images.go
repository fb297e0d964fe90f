package main

import (
	"bytes"
	"os"
	"sort"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// unpacked is the test's image, imported and unpacked once for all steps.
func (r *report) unpacked() containerd.Image {
	var failure error
	r.unpack.Do(func() {
		failure = r.importArchive()
	})
	r.must("import", failure)
	image, err := r.client.GetImage(r.ctx, r.image)
	r.must("image", err)
	return image
}

func (r *report) importArchive() error {
	file, err := os.Open(r.archive)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := r.client.Import(r.ctx, file); err != nil {
		return err
	}
	image, err := r.client.GetImage(r.ctx, r.image)
	if err != nil {
		return err
	}
	return image.Unpack(r.ctx, "overlayfs")
}

var imageSteps = []step{
	{"image", func(_ *world, r *report) {
		image := r.unpacked()
		r.say("%s %s", image.Name(), image.Target().MediaType)
		unpacked, err := image.IsUnpacked(r.ctx, "overlayfs")
		r.say("unpacked: %v %v", unpacked, err)
		size, err := image.Size(r.ctx)
		r.say("size: %v %v", size > 1000, err)
		usage, err := image.Usage(r.ctx, containerd.WithSnapshotUsage())
		r.say("usage: %v %v", usage > size, err)
		config, err := image.Config(r.ctx)
		r.say("config: %s %v", config.MediaType, err)
		spec, err := image.Spec(r.ctx)
		r.say("spec: %v %v", spec.Config.Cmd, err)
		list, err := r.client.ListImages(r.ctx, "name=="+r.image)
		r.say("list: %d %v", len(list), err)
		store := r.client.ImageService()
		_, err = store.Create(r.ctx, image.Metadata())
		r.tell("create again", err)
		other := image.Metadata()
		other.Name, other.Labels = "example.org/peer/other:1", map[string]string{"a": "b"}
		created, err := store.Create(r.ctx, other)
		r.say("create another: %s %v %s", created.Name, created.Labels, told(err))
		created.Labels = map[string]string{"c": "d"}
		updated, err := store.Update(r.ctx, created, "labels.c")
		r.say("update: %v %s", updated.Labels, told(err))
		_, err = store.Update(r.ctx, created, "nothing")
		r.tell("update nothing", err)
		for _, filter := range []string{"labels.a==b", "name~=^example.org/peer", "target.mediatype~=manifest", "target.digest==" + string(created.Target.Digest)} {
			list, err := store.List(r.ctx, filter)
			r.say("list %s: %d or more: %v %s", strings.Split(filter, "sha256")[0], 1, len(list) >= 1, told(err))
		}
		r.tell("delete", store.Delete(r.ctx, other.Name, images.SynchronousDelete()))
		r.tell("delete again", store.Delete(r.ctx, other.Name))
		_, err = r.client.GetImage(r.ctx, other.Name)
		r.tell("get when it is deleted", err)
		_, err = store.Create(r.ctx, images.Image{Name: ""})
		r.tell("create without a name", err)
		_, err = store.Create(r.ctx, images.Image{Name: "example.org/none"})
		r.tell("create without a target", err)
		_, err = store.Create(r.ctx, images.Image{Name: "example.org/other-target", Target: created.Target})
		r.tell("create of a target whose name is gone", err)
		r.tell("delete that", store.Delete(r.ctx, "example.org/other-target"))
	}},
	{"image-run", func(_ *world, r *report) {
		image := r.unpacked()
		var out text
		c, err := r.client.NewContainer(r.ctx, r.step, containerd.WithImage(image), containerd.WithSnapshotter("overlayfs"), containerd.WithNewSnapshot(r.step, image),
			containerd.WithImageConfigLabels(image), containerd.WithNewSpec(oci.WithImageConfigArgs(image, []string{"-c", "echo from $PATH; touch /here; ls /here"}), oci.WithCgroup("/"+r.namespace+"/"+r.step), oci.WithProcessArgs(sh("echo from $PATH; touch /here; ls /here")...)))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
		r.finish(task, ended)
		r.say("out: %q", out.String())
		got, err := c.Image(r.ctx)
		r.must("image", err)
		r.say("image: %s", got.Name())
		again, ended := r.started(c, cio.NullIO)
		r.finish(again, ended)
		r.tell("delete", c.Delete(r.ctx, containerd.WithSnapshotCleanup))
		_, err = r.client.SnapshotService("overlayfs").Stat(r.ctx, r.step)
		r.tell("its snapshot", err)
	}},
	{"image-user", func(_ *world, r *report) {
		image := r.unpacked()
		var out text
		// The client reads the image's files through the snapshot's mounts.
		c, err := r.client.NewContainer(r.ctx, r.step, containerd.WithImage(image), containerd.WithNewSnapshot(r.step, image),
			containerd.WithNewSpec(oci.WithImageConfig(image), oci.WithUser("nobody"), oci.WithCgroup("/"+r.namespace+"/"+r.step), oci.WithProcessArgs(sh("id -u; id -g")...)))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
		r.finish(task, ended)
		r.say("out: %q", out.String())
	}},
	{"image-view", func(_ *world, r *report) {
		image := r.unpacked()
		var out text
		c, err := r.client.NewContainer(r.ctx, r.step, containerd.WithImage(image), containerd.WithNewSnapshotView(r.step, image),
			containerd.WithNewSpec(oci.WithImageConfig(image), oci.WithRootFSReadonly(), oci.WithoutRunMount, oci.WithCgroup("/"+r.namespace+"/"+r.step), oci.WithProcessArgs(sh("touch /x 2>/dev/null; echo $?")...)))
		r.must("create", err)
		r.later(func() { r.remove(r.ctx, c) })
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, &out)))
		r.finish(task, ended)
		r.say("out: %q", out.String())
	}},
	{"image-export", func(_ *world, r *report) {
		image := r.unpacked()
		var out bytes.Buffer
		r.must("export", r.client.Export(r.ctx, &out, archive.WithImage(r.client.ImageService(), image.Name())))
		r.say("bytes: %v", out.Len() > 1000)
		imported, err := r.client.Import(r.ctx, bytes.NewReader(out.Bytes()), containerd.WithIndexName("example.org/peer/index:1"))
		r.must("import again", err)
		var names []string
		for _, one := range imported {
			names = append(names, one.Name)
		}
		sort.Strings(names)
		r.say("imported: %v", names)
		r.tell("delete the index", r.client.ImageService().Delete(r.ctx, "example.org/peer/index:1"))
		r.tellClass("export nobody", r.client.Export(r.ctx, &out, archive.WithImage(r.client.ImageService(), "nobody")))
		_, err = r.client.Import(r.ctx, strings.NewReader("no archive"))
		r.say("import no archive: %v", err != nil)
	}},
}
