// Command peer does with a daemon what Go programs do, step by step, by containerd's own client, and prints what came of
// it: one line of JSON for each step, {"step": NAME, "lines": [TEXT…]}. What differs from run to run (directories, pids,
// times) is not in it, so that the same steps on another daemon, or with another shim, give the same text.
//
// It needs nothing but a daemon's address. `peer steps` runs all of them, or those named; `hold` and `attach` are what a
// step runs as processes of their own.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// A step uses one or more ids that begin with its name, and leaves nothing.
type step struct {
	name string
	run  func(*world, *report)
}

func allSteps() []step {
	return slices.Concat(restartSteps, stdioSteps, attachSteps, taskSteps, execSteps, failureSteps, namespaceSteps, containerSteps,
		leaseSteps, contentSteps, snapshotSteps, imageSteps, checkpointSteps, eventSteps, serviceSteps, newerSteps())
}

func main() {
	// As the client does for the specification itself.
	typeurl.Register(&specs.Box{}, "types.containerd.io", "opencontainers/runtime-spec", "1", "Box")
	flags := flag.NewFlagSet("peer", flag.ExitOnError)
	w := &world{}
	flags.StringVar(&w.address, "address", "", "the daemon's socket")
	flags.StringVar(&w.namespace, "namespace", "", "where the containers are")
	flags.StringVar(&w.dir, "dir", "", "for FIFOs, logs and other files; it exists")
	flags.StringVar(&w.rootfs, "rootfs", "", "a root file system with busybox")
	flags.StringVar(&w.archive, "archive", "", "an image")
	flags.StringVar(&w.image, "image", "", "the image's name")
	if len(os.Args) < 2 || flags.Parse(os.Args[2:]) != nil {
		fail("usage: peer steps|hold|attach FLAGS…")
	}
	if err := w.connect(); err != nil {
		fail("connecting to %s: %v", w.address, err)
	}
	defer w.client.Close()
	switch os.Args[1] {
	case "steps":
		runSteps(w, flags.Args())
	case "hold":
		hold(w, flags.Arg(0))
	case "attach":
		attach(w, flags.Arg(0))
	default:
		fail("%s is no command of peer", os.Args[1])
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "peer: "+format+"\n", args...)
	os.Exit(1)
}

// Some steps wait most of the time, so several go at once; what they say comes in their order.
func runSteps(w *world, names []string) {
	chosen := slices.DeleteFunc(allSteps(), func(s step) bool {
		return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(s.name, name) })
	})
	reports := make([]*report, len(chosen))
	slots := make(chan struct{}, runtime.NumCPU()+1)
	var all sync.WaitGroup
	for i, s := range chosen {
		reports[i] = &report{world: w, step: s.name}
		slots <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			// The restart monitor takes its time; nobody else is to wait for it.
			if !strings.HasPrefix(s.name, "restart") {
				defer func() { <-slots }()
			} else {
				<-slots
			}
			reports[i].take(s)
		}()
	}
	all.Wait()
	out := json.NewEncoder(os.Stdout)
	for _, r := range reports {
		if err := out.Encode(map[string]any{"step": r.step, "lines": r.lines, "ms": r.ms}); err != nil {
			fail("%v", err)
		}
	}
}
