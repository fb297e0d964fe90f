package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// peer is one connection to the server under test.
type peer struct {
	*ttrpc.Client
	path string
}

func connect(path string) *peer {
	conn, err := net.Dial("unix", path)
	if err != nil {
		fail("%v", err)
	}
	return &peer{ttrpc.NewClient(conn), path}
}

func (p *peer) say(ctx context.Context, method, text string) (string, error) {
	var reply wrapperspb.StringValue
	err := p.Call(ctx, serviceName, method, wrapperspb.String(text), &reply)
	return reply.Value, err
}

var (
	serverStreams = &ttrpc.StreamDesc{StreamingServer: true}
	clientStreams = &ttrpc.StreamDesc{StreamingClient: true}
	bothStream    = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
)

func (p *peer) open(ctx context.Context, desc *ttrpc.StreamDesc, method string, request any) ttrpc.ClientStream {
	stream, err := p.NewStream(ctx, desc, serviceName, method, request)
	if err != nil {
		fail("opening %s: %v", method, err)
	}
	return stream
}

// next is the stream's next text; its end is io.EOF.
func next(stream ttrpc.ClientStream) (string, error) {
	var reply wrapperspb.StringValue
	err := stream.RecvMsg(&reply)
	return reply.Value, err
}

// all reads texts to the end.
func all(stream ttrpc.ClientStream) ([]string, error) {
	var texts []string
	for {
		text, err := next(stream)
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return texts, err
		}
		texts = append(texts, text)
	}
}

// until waits for a number of handlers that wait; the test's own time limit is the only one.
func until(path string, count string) {
	other := connect(path)
	defer other.Close()
	for {
		got, err := other.say(context.Background(), "Waiting", "")
		if err != nil {
			fail("counting handlers: %v", err)
		}
		if got == count {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// told is how a call ended: its error's code, text and details.
func told(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ttrpc.ErrClosed):
		return "Unavailable: ttrpc: closed"
	case errors.Is(err, ttrpc.ErrStreamClosed):
		return "FailedPrecondition: ttrpc: stream closed"
	case errors.Is(err, io.EOF):
		return "the end"
	case errors.Is(err, context.Canceled):
		return codes.Canceled.String() + ": " + err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded.String() + ": " + err.Error()
	}
	s := status.Convert(err)
	text := s.Code().String() + ": " + s.Message()
	for _, detail := range s.Proto().GetDetails() {
		var value wrapperspb.StringValue
		if err := detail.UnmarshalTo(&value); err != nil {
			return text + " " + err.Error()
		}
		text += fmt.Sprintf(" [%s %q]", detail.TypeUrl, value.Value)
	}
	return text
}

// codeOf is the code alone, where the text has a size in it that is counted differently.
func codeOf(err error) string { return status.Code(err).String() }
