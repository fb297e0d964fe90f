// A program on nerdctl's own store of volumes: volumes DATASTORE NAMESPACE list | create NAME | remove NAME
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/containerd/nerdctl/v2/pkg/mountutil/volumestore"
)

func main() {
	store, err := volumestore.New(os.Args[1], os.Args[2])
	if err == nil {
		err = run(store, os.Args[3], os.Args[4:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(store volumestore.VolumeStore, command string, names []string) error {
	switch command {
	case "list":
		volumes, err := store.List(true)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(volumes)
	case "create":
		_, err := store.Create(names[0], []string{"made=by nerdctl"})
		return err
	case "remove":
		removed, warnings, err := store.Remove(func() ([]string, []error, error) { return names, nil, nil })
		fmt.Println(removed, warnings)
		return err
	}
	return fmt.Errorf("there is no %s", command)
}
