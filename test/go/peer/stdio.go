package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// Every kind of streams that the client makes.
var stdioSteps = []step{
	{"stdio-all", func(_ *world, r *report) {
		var out, err text
		r.runTyping("typed\n", sh("cat; echo out; echo err >&2; exit 3"), &out, &err)
		r.sayStreams(&out, &err)
	}},
	{"stdio-out-only", func(_ *world, r *report) {
		var out text
		r.runWith(sh("cat; echo out; echo err >&2"), cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, nil)), &out)
	}},
	{"stdio-err-only", func(_ *world, r *report) {
		var err text
		r.runWith(sh("echo out; echo err >&2"), cio.NewCreator(r.fifos(), cio.WithStreams(nil, nil, &err)), &err)
	}},
	{"stdio-none", func(_ *world, r *report) { r.runWith(sh("cat; echo out; echo err >&2"), cio.NewCreator(r.fifos())) }},
	{"stdio-one-writer", func(_ *world, r *report) {
		var both text
		r.run(sh("echo out; echo err >&2"), cio.NewCreator(r.fifos(), cio.WithStreams(strings.NewReader(""), &both, &both)))
		r.say("both: %q", sortedLines(both.String()))
	}},
	{"stdio-null", func(_ *world, r *report) { r.runWith(sh("cat; echo out; echo err >&2"), cio.NullIO) }},
	{"stdio-much", func(_ *world, r *report) {
		var out, err text
		r.runTyping(strings.Repeat("0123456789abcde\n", 1<<16), sh("cat"), &out, &err)
		r.say("out: %d bytes, %x", len(out.String()), sha256.Sum256([]byte(out.String())))
	}},
	{"stdio-file", func(_ *world, r *report) {
		file := filepath.Join(r.dir, "file.log")
		r.runWith(sh("echo out; echo err >&2"), cio.LogFile(file))
		r.sayFile(file, 2)
		r.run(sh("echo again"), cio.LogFile(file))
		r.sayFile(file, 3)
	}},
	{"stdio-file-uri", func(_ *world, r *report) {
		file := filepath.Join(r.dir, "deep", "er", "uri with blank.log")
		r.runWith(sh("echo out; echo err >&2"), cio.LogURI(&url.URL{Scheme: "file", Path: file}))
		r.sayFile(file, 2)
	}},
	{"stdio-file-terminal", func(_ *world, r *report) {
		file := filepath.Join(r.dir, "terminal.log")
		r.run(sh("tty; echo out; echo err >&2"), cio.TerminalLogURI(&url.URL{Scheme: "file", Path: file}), oci.WithTTY)
		r.sayFile(file, 3)
	}},
	{"stdio-binary", func(_ *world, r *report) {
		file := filepath.Join(r.dir, "binary.log")
		r.runWith(sh("echo out; echo err >&2"), cio.BinaryIO(r.logger(), map[string]string{"to": file, "empty": ""}))
		r.sayFile(file, 3)
	}},
	{"stdio-binary-terminal", func(_ *world, r *report) {
		file := filepath.Join(r.dir, "binary-terminal.log")
		r.run(sh("tty; echo out; echo err >&2"), cio.TerminalBinaryIO(r.logger(), map[string]string{"to": file}), oci.WithTTY)
		r.sayFile(file, 5)
	}},
	{"stdio-binary-missing", func(_ *world, r *report) {
		c := r.container(r.step, sh("echo out"))
		_, err := c.NewTask(r.ctx, cio.BinaryIO(filepath.Join(r.dir, "no-such-logger"), nil))
		r.tellClass("new task", err)
	}},
	{"stdio-scheme-unknown", func(_ *world, r *report) {
		c := r.container(r.step, sh("echo out"))
		_, err := c.NewTask(r.ctx, cio.LogURI(&url.URL{Scheme: "gopher", Path: "/hole"}))
		r.tellClass("new task", err)
	}},
	{"terminal", func(_ *world, r *report) {
		var out text
		r.run(sh("tty; read x; echo got $x; echo err >&2; exit 4"), cio.NewCreator(r.fifos(), cio.WithStreams(strings.NewReader("typed\n"), &out, nil), cio.WithTerminal), oci.WithTTY)
		r.sayTyped(&out)
	}},
	// The client names a FIFO for the errors of a terminal, too, but makes none.
	{"terminal-three-streams", func(_ *world, r *report) {
		var out, err text
		r.run(sh("tty; read x; echo got $x; echo err >&2; exit 4"), cio.NewCreator(r.fifos(), cio.WithStreams(strings.NewReader("typed\n"), &out, &err), cio.WithTerminal), oci.WithTTY)
		r.sayTyped(&out)
		r.say("err: %q", err.String())
	}},
	{"terminal-out-only", func(_ *world, r *report) {
		var out text
		r.run(sh("tty; echo out; exit 5"), cio.NewCreator(r.fifos(), cio.WithStreams(nil, &out, nil), cio.WithTerminal), oci.WithTTY)
		r.sayTyped(&out)
	}},
	{"terminal-no-streams", func(_ *world, r *report) {
		r.run(sh("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && exit 6"), cio.NewCreator(r.fifos(), cio.WithTerminal), oci.WithTTY)
	}},
	{"terminal-size", func(_ *world, r *report) {
		var out text
		in, typed := io.Pipe()
		c := r.container(r.step, sh("stty size; read x; stty size; read x"), oci.WithTTY, oci.WithTTYSize(91, 33))
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(in, &out, &out), cio.WithTerminal))
		r.until("the size of the specification", out.has("33 91"))
		r.tell("resize", task.Resize(r.ctx, 120, 40))
		fmt.Fprintln(typed)
		r.until("the new size", out.has("40 120"))
		fmt.Fprintln(typed)
		r.finish(task, ended)
	}},
	{"direct", func(_ *world, r *report) {
		var direct *cio.DirectIO
		c := r.container(r.step, sh("cat; echo err >&2"))
		task, ended := r.started(c, func(id string) (cio.IO, error) {
			set, err := cio.NewFIFOSetInDir(filepath.Join(r.dir, "fifo", r.step), id, false)
			if err != nil {
				return nil, err
			}
			direct, err = cio.NewDirectIO(r.ctx, set)
			return direct, err
		})
		_, err := io.WriteString(direct.Stdin, "through\n")
		r.tell("write", err)
		r.tell("close stdin", direct.Stdin.Close())
		r.tell("close io", task.CloseIO(r.ctx, containerd.WithStdinCloser))
		all, err := io.ReadAll(direct.Stdout)
		r.say("out: %q %v", all, err)
		all, err = io.ReadAll(direct.Stderr)
		r.say("err: %q %v", all, err)
		r.finish(task, ended)
	}},
	{"half-close", func(_ *world, r *report) {
		var out text
		in, typed := io.Pipe()
		c := r.container(r.step, sh("cat; echo over"))
		task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(in, &out, &out)))
		fmt.Fprintln(typed, "one")
		r.until("the first line", out.has("one\n"))
		typed.Close()
		r.tell("close io", task.CloseIO(r.ctx, containerd.WithStdinCloser))
		r.tell("close io again", task.CloseIO(r.ctx, containerd.WithStdinCloser))
		r.finish(task, ended)
		r.say("out: %q", out.String())
	}},
}

// typed is what a client has typed: at its end, the client closes the task's input.
type typed struct {
	io.Reader
	over chan struct{}
	once sync.Once
}

func (t *typed) Read(data []byte) (int, error) {
	n, err := t.Reader.Read(data)
	if err != nil {
		t.once.Do(func() { close(t.over) })
	}
	return n, err
}

// runTyping runs a container that reads its input to the end.
func (r *report) runTyping(in string, args []string, out, errors io.Writer) {
	stdin := &typed{Reader: strings.NewReader(in), over: make(chan struct{})}
	c := r.container(r.step, args)
	task, ended := r.started(c, cio.NewCreator(r.fifos(), cio.WithStreams(stdin, out, errors)))
	r.within("the end of what is typed", func() { <-stdin.over })
	r.tell("close io", task.CloseIO(r.ctx, containerd.WithStdinCloser))
	r.finish(task, ended)
}

// runWith runs a container to its end, and says what it has written.
func (r *report) runWith(args []string, creator cio.Creator, streams ...*text) {
	r.run(args, creator)
	r.sayStreams(streams...)
}

func (r *report) sayStreams(streams ...*text) {
	for _, stream := range streams {
		r.say("stream: %q", stream.String())
	}
}

func (r *report) run(args []string, creator cio.Creator, opts ...oci.SpecOpts) {
	c := r.container(r.step, args, opts...)
	task, ended := r.started(c, creator)
	r.finish(task, ended)
	r.remove(r.ctx, c)
}

// sayTyped says what a terminal showed. Whether the echo of what was typed comes first is up to the kernel's turn.
func (r *report) sayTyped(out *text) {
	lines := strings.Split(strings.ReplaceAll(out.String(), "\r\n", "\n"), "\n")
	kept := lines[:0]
	for _, line := range lines {
		if line != "typed" && line != "" {
			kept = append(kept, line)
		}
	}
	r.say("terminal: %q, with carriage returns: %v", kept, strings.Contains(out.String(), "\r\n"))
}

// sayFile says what a container's log has, once it has as many lines: the Go shim may still be copying when the task is
// deleted. Which of two streams is copied first is nobody's promise.
func (r *report) sayFile(path string, lines int) {
	var data []byte
	r.until(fmt.Sprintf("%d lines", lines), func() bool {
		data, _ = os.ReadFile(path)
		return strings.Count(string(data), "\n") >= lines
	})
	r.say("%s: %q", filepath.Base(path), sortedLines(string(data)))
}

func sortedLines(text string) []string {
	return slices.Sorted(strings.Lines(text))
}

// logger is a program that notes its name and environment, reports ready, and writes down both streams.
func (r *report) logger() string {
	path := filepath.Join(r.dir, r.step+"-logger")
	script := `#!/bin/sh
trap '' TERM
while [ $# -gt 0 ]; do case $1 in to) to=$2; shift ;; esac; shift; done
exec >"$to"
echo "id $CONTAINER_ID in $CONTAINER_NAMESPACE"
exec 5>&-
out=$(cat <&3)
err=$(cat <&4)
echo "out: $out"
echo "err: $err"
`
	r.must("write the logger", os.WriteFile(path, []byte(script), 0o755))
	return path
}
