// Command ttrpc is a peer on containerd's own ttrpc module: `ttrpc serve SOCKET` answers the service of server.go until
// it is told to leave, and `ttrpc call SOCKET` calls it and prints a line for each thing that it sees. What differs from
// run to run is in no line, so that the same calls of another server give the same text.
package main

import (
	"fmt"
	"os"
)

// The service's messages are protobuf's wrappers of texts and bytes, so that no code is to be generated.
const serviceName = "hawser.test.Peer"

func main() {
	if len(os.Args) != 3 {
		fail("usage: ttrpc serve|call SOCKET")
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "call":
		call(os.Args[2])
	default:
		fail("%s is no command of ttrpc", os.Args[1])
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "ttrpc: "+format+"\n", args...)
	os.Exit(1)
}
