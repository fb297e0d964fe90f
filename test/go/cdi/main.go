// A program on CDI's own module, which dockerd, nerdctl, podman and CRI-O use: cdi DIR[,DIR…] DEVICE… | names TEXT…
//
// Puts the devices into the runtime spec on standard input, and prints what becomes of it; or prints which texts name a device.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	oci "github.com/opencontainers/runtime-spec/specs-go"
	"tags.cncf.io/container-device-interface/pkg/cdi"
	"tags.cncf.io/container-device-interface/pkg/parser"
)

func main() {
	if os.Args[1] == "names" {
		names(os.Args[2:])
		return
	}
	if err := inject(strings.Split(os.Args[1], ","), os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func inject(dirs, devices []string) error {
	spec := &oci.Spec{}
	if err := json.NewDecoder(os.Stdin).Decode(spec); err != nil {
		return err
	}
	cache, err := cdi.NewCache(cdi.WithSpecDirs(dirs...), cdi.WithAutoRefresh(false))
	if err != nil {
		return err
	}
	if _, err := cache.InjectDevices(spec, devices...); err != nil {
		for _, errs := range cache.GetErrors() {
			for _, one := range errs {
				fmt.Fprintln(os.Stderr, one)
			}
		}
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(spec)
}

func names(texts []string) {
	named := []string{}
	for _, text := range texts {
		if parser.IsQualifiedName(text) {
			named = append(named, text)
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(named)
}
