package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// waiting counts the handlers that end with their context only.
var waiting atomic.Int64

// serve answers on a socket, and says on standard output that it does.
func serve(path string) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		fail("%v", err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		fail("%v", err)
	}
	methods := map[string]ttrpc.Method{
		"Say":     unary(func(_ context.Context, text string) (string, error) { return text, nil }),
		"Late":    unary(late),
		"Fail":    unary(func(_ context.Context, text string) (string, error) { return "", failure(text) }),
		"Words":   unary(words),
		"Left":    unary(left),
		"Wait":    unary(wait),
		"Waiting": unary(func(context.Context, string) (string, error) { return strconv.FormatInt(waiting.Load(), 10), nil }),
		"Bytes":   echoBytes,
		"Leave": unary(func(context.Context, string) (string, error) {
			// The listener's end is the program's; connections are closed with it.
			return "", server.Close()
		}),
	}
	server.RegisterService(serviceName, &ttrpc.ServiceDesc{
		Methods: methods,
		Streams: map[string]ttrpc.Stream{
			"List":   {Handler: list, StreamingServer: true},
			"Blocks": {Handler: blocks, StreamingServer: true},
			"Join":   {Handler: join, StreamingClient: true},
			"Chat":   {Handler: chat, StreamingClient: true, StreamingServer: true},
		},
	})
	fmt.Println("serving")
	if err := server.Serve(context.Background(), listener); err != nil && !errors.Is(err, ttrpc.ErrServerClosed) {
		fail("%v", err)
	}
}

func unary(answer func(context.Context, string) (string, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		var request wrapperspb.StringValue
		if err := unmarshal(&request); err != nil {
			return nil, err
		}
		text, err := answer(ctx, request.Value)
		if err != nil {
			return nil, err
		}
		return wrapperspb.String(text), nil
	}
}

func echoBytes(_ context.Context, unmarshal func(any) error) (any, error) {
	var request wrapperspb.BytesValue
	if err := unmarshal(&request); err != nil {
		return nil, err
	}
	return &request, nil
}

// late answers after as many milliseconds as its text begins with.
func late(_ context.Context, text string) (string, error) {
	time.Sleep(time.Duration(number(text)) * time.Millisecond)
	return text, nil
}

// failure is the error that a text asks for: `CODE DETAILS`, or anything for an error that is no status.
func failure(text string) error {
	code, details, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(code)
	if err != nil {
		return errors.New(text)
	}
	s := status.New(codes.Code(n), "failed with "+code)
	for _, detail := range strings.Fields(details) {
		if s, err = s.WithDetails(protoadapt.MessageV1Of(wrapperspb.String(detail))); err != nil {
			return err
		}
	}
	return s.Err()
}

// words says what the metadata has for each key of its text.
func words(ctx context.Context, keys string) (string, error) {
	md, _ := ttrpc.GetMetadata(ctx)
	var found []string
	for _, key := range strings.Fields(keys) {
		values, ok := md.Get(key)
		found = append(found, fmt.Sprintf("%s=%s(%v)", key, strings.Join(values, ","), ok))
	}
	return strings.Join(found, " "), nil
}

// left says how many milliseconds its caller waits.
func left(ctx context.Context, _ string) (string, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return "none", nil
	}
	return strconv.FormatInt(time.Until(deadline).Milliseconds(), 10), nil
}

func wait(ctx context.Context, _ string) (string, error) {
	waiting.Add(1)
	defer waiting.Add(-1)
	<-ctx.Done()
	return "", ctx.Err()
}

// list gives as many numbers as its text begins with, and fails then where more words follow.
func list(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var request wrapperspb.StringValue
	if err := stream.RecvMsg(&request); err != nil {
		return nil, err
	}
	count, rest, fails := strings.Cut(request.Value, " ")
	for i := range number(count) {
		if err := stream.SendMsg(wrapperspb.String(strconv.Itoa(i))); err != nil {
			return nil, err
		}
	}
	if fails {
		return nil, failure(rest)
	}
	return nil, nil
}

// blocks gives eight messages of as many bytes as its text says.
func blocks(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var request wrapperspb.StringValue
	if err := stream.RecvMsg(&request); err != nil {
		return nil, err
	}
	for i := range 8 {
		if err := stream.SendMsg(wrapperspb.Bytes(pattern(number(request.Value), i))); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// join counts its messages and their bytes; one that says `fail` ends it at once.
func join(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	var count, size int
	for {
		var request wrapperspb.StringValue
		err := stream.RecvMsg(&request)
		if errors.Is(err, io.EOF) {
			return wrapperspb.String(fmt.Sprintf("%d messages, %d bytes", count, size)), nil
		}
		if err != nil {
			return nil, err
		}
		if rest, ok := strings.CutPrefix(request.Value, "fail "); ok {
			return nil, failure(rest)
		}
		count, size = count+1, size+len(request.Value)
	}
}

// chat answers each message; `fail` as above, and `stop` ends it although more may come.
func chat(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	waiting.Add(1)
	defer waiting.Add(-1)
	for {
		var request wrapperspb.StringValue
		err := stream.RecvMsg(&request)
		if errors.Is(err, io.EOF) || request.Value == "stop" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if rest, ok := strings.CutPrefix(request.Value, "fail "); ok {
			return nil, failure(rest)
		}
		if err := stream.SendMsg(wrapperspb.String(request.Value + "!")); err != nil {
			return nil, err
		}
	}
}

func number(text string) int {
	n, _ := strconv.Atoi(strings.Fields(text)[0])
	return n
}

// pattern is as many bytes, which no other seed and no shift gives.
func pattern(size, seed int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = byte((i*31 + i>>8 + seed*7) % 251)
	}
	return bytes
}
