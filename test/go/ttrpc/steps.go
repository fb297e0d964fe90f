package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// call makes every call, and prints what comes of it.
func call(path string) {
	ctx := context.Background()
	p := connect(path)
	for _, step := range []func(context.Context, *peer){unaryCalls, errorsOf, metadataOf, deadlines, cancellation, sizes, many, listing, joining, chatting} {
		step(ctx, p)
	}
	leaving(ctx, p)
}

func unaryCalls(ctx context.Context, p *peer) {
	for _, text := range []string{"hello", "", "äöü €\x00\n"} {
		reply, err := p.say(ctx, "Say", text)
		fmt.Printf("say %q: %q %s\n", text, reply, told(err))
	}
	_, err := p.say(ctx, "Nobody", "")
	fmt.Println("no such method:", told(err))
	err = p.Call(ctx, "hawser.test.Nobody", "Say", wrapperspb.String(""), &wrapperspb.StringValue{})
	fmt.Println("no such service:", told(err))
}

func errorsOf(ctx context.Context, p *peer) {
	for code := 1; code <= 17; code++ {
		_, err := p.say(ctx, "Fail", fmt.Sprint(code))
		fmt.Println("fail:", told(err))
	}
	for _, text := range []string{"5 one", "9 one two", "in words", ""} {
		_, err := p.say(ctx, "Fail", text)
		fmt.Printf("fail %q: %s\n", text, told(err))
	}
}

func metadataOf(ctx context.Context, p *peer) {
	md := ttrpc.MD{}
	md.Set("a", "1", "2")
	md.Set("Upper", "3")
	md.Set("empty", "")
	reply, err := p.say(ttrpc.WithMetadata(ctx, md), "Words", "a upper UPPER empty none")
	fmt.Println("metadata:", reply, told(err))
	reply, err = p.say(ctx, "Words", "a")
	fmt.Println("no metadata:", reply, told(err))
}

func deadlines(ctx context.Context, p *peer) {
	reply, err := p.say(ctx, "Left", "")
	fmt.Println("without a deadline:", reply, told(err))
	limited, done := context.WithTimeout(ctx, time.Hour)
	reply, err = p.say(limited, "Left", "")
	done()
	left := number(reply)
	fmt.Println("within an hour:", left > 0 && left <= 3_600_000, told(err))
	limited, done = context.WithTimeout(ctx, 50*time.Millisecond)
	_, err = p.say(limited, "Wait", "")
	done()
	fmt.Println("too late:", told(err))
	until(p.path, "0")
	fmt.Println("the handler's time is over too")
	limited, done = context.WithTimeout(ctx, 50*time.Millisecond)
	stream := p.open(limited, bothStream, "Chat", nil)
	_, err = next(stream)
	done()
	fmt.Println("too late for a stream:", told(err))
	// Whether its handler was told is the client's affair.
	_ = stream.CloseSend()
	until(p.path, "0")
}

func cancellation(ctx context.Context, p *peer) {
	other := connect(p.path)
	limited, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() {
		_, err := other.say(limited, "Wait", "")
		ended <- err
	}()
	until(p.path, "1")
	cancel()
	fmt.Println("cancelled:", told(<-ended))
	limited, cancel = context.WithCancel(ctx)
	stream := other.open(limited, bothStream, "Chat", nil)
	go func() {
		_, err := next(stream)
		ended <- err
	}()
	until(p.path, "2")
	cancel()
	fmt.Println("cancelled stream:", told(<-ended))
	reply, err := other.say(ctx, "Say", "still here")
	fmt.Println("its connection:", reply, told(err))
	reply, err = p.say(ctx, "Waiting", "")
	fmt.Println("handlers that have not been told:", reply, told(err))
	go func() {
		_, err := other.say(ctx, "Wait", "")
		ended <- err
	}()
	until(p.path, "3")
	_ = other.Close()
	fmt.Println("closed:", told(<-ended))
	until(p.path, "0")
	fmt.Println("handlers end with their connection")
	_, err = other.say(ctx, "Say", "")
	fmt.Println("after the end:", told(err))
}

func sizes(ctx context.Context, p *peer) {
	// With its envelope the last one is as long as a message may be.
	for _, size := range []int{0, 1, 127, 128, 4085, 65_536, 1 << 20, 4<<20 - 60} {
		data := pattern(size, size)
		var reply wrapperspb.BytesValue
		err := p.Call(ctx, serviceName, "Bytes", wrapperspb.Bytes(data), &reply)
		fmt.Printf("%d bytes: %v %s\n", size, bytes.Equal(data, reply.Value), told(err))
	}
	for _, size := range []int{4<<20 - 10, 4 << 20, 5 << 20} {
		err := p.Call(ctx, serviceName, "Bytes", wrapperspb.Bytes(make([]byte, size)), &wrapperspb.BytesValue{})
		fmt.Printf("%d bytes: %s\n", size, codeOf(err))
	}
	reply, err := p.say(ctx, "Say", "still here")
	fmt.Println("afterwards:", reply, told(err))
}

func many(ctx context.Context, p *peer) {
	var calls sync.WaitGroup
	var right atomic.Int64
	for i := range 1000 {
		calls.Go(func() {
			text := fmt.Sprintf("%d %d %s", (i*7)%20, i, strings.Repeat("x", i*13%5000))
			if reply, err := p.say(ctx, "Late", text); err == nil && reply == text {
				right.Add(1)
			}
		})
	}
	for i := range 20 {
		calls.Go(func() {
			stream := p.open(ctx, bothStream, "Chat", nil)
			for j := range 50 {
				text := fmt.Sprint(i, j)
				if stream.SendMsg(wrapperspb.String(text)) != nil {
					return
				}
				if reply, err := next(stream); err != nil || reply != text+"!" {
					return
				}
			}
			if rest, err := all(closing(stream)); err == nil && len(rest) == 0 {
				right.Add(1)
			}
		})
	}
	calls.Wait()
	fmt.Println("of 1000 calls and 20 streams at once:", right.Load())
}

func closing(stream ttrpc.ClientStream) ttrpc.ClientStream {
	if err := stream.CloseSend(); err != nil {
		fmt.Println("closing:", told(err))
	}
	return stream
}

func listing(ctx context.Context, p *peer) {
	for _, request := range []string{"0", "1", "3", "3 9 detail", "0 5", "2 plain", "3000"} {
		texts, err := all(p.open(ctx, serverStreams, "List", wrapperspb.String(request)))
		if len(texts) > 3 {
			fmt.Printf("list %s: %d, the last %s %s\n", request, len(texts), texts[len(texts)-1], told(err))
		} else {
			fmt.Printf("list %s: %q %s\n", request, texts, told(err))
		}
	}
	for _, size := range []int{0, 1 << 20, 4<<20 - 5} {
		stream := p.open(ctx, serverStreams, "Blocks", wrapperspb.String(fmt.Sprint(size)))
		right := 0
		for i := range 8 {
			var block wrapperspb.BytesValue
			if err := stream.RecvMsg(&block); err == nil && bytes.Equal(block.Value, pattern(size, i)) {
				right++
			}
		}
		_, err := next(stream)
		fmt.Printf("blocks of %d: %d, %s\n", size, right, told(err))
	}
	limited, cancel := context.WithCancel(ctx)
	stream := p.open(limited, serverStreams, "List", wrapperspb.String("20"))
	text, err := next(stream)
	fmt.Println("the first of 20:", text, told(err))
	cancel()
	reply, err := p.say(ctx, "Say", "still here")
	fmt.Println("the rest is not read:", reply, told(err))
	_, err = next(p.open(ctx, serverStreams, "Nobody", wrapperspb.String("")))
	fmt.Println("no such stream:", told(err))
}

func joining(ctx context.Context, p *peer) {
	for _, texts := range [][]string{{}, {""}, {"one", "", "three"}, strings.Split(strings.Repeat("many,", 3000), ","), {strings.Repeat("x", 4<<20-5), "y"}} {
		stream := p.open(ctx, clientStreams, "Join", nil)
		for _, text := range texts {
			if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
				fmt.Println("send:", told(err))
			}
		}
		reply, err := next(closing(stream))
		fmt.Printf("join: %s %s\n", reply, told(err))
		fmt.Println("send afterwards:", told(stream.SendMsg(wrapperspb.String("late"))))
	}
	for _, text := range []string{"fail 9 detail", "fail in words"} {
		stream := p.open(ctx, clientStreams, "Join", nil)
		fmt.Println("send:", told(stream.SendMsg(wrapperspb.String(text))))
		_, err := next(stream)
		fmt.Println("join:", told(err))
	}
	stream := p.open(ctx, clientStreams, "Join", nil)
	fmt.Println("send too much:", codeOf(stream.SendMsg(wrapperspb.String(strings.Repeat("x", 4<<20)))))
	reply, err := next(closing(stream))
	fmt.Println("join:", reply, told(err))
}

func chatting(ctx context.Context, p *peer) {
	stream := p.open(ctx, bothStream, "Chat", nil)
	for _, text := range []string{"one", "", "three"} {
		fmt.Println("send:", told(stream.SendMsg(wrapperspb.String(text))))
		reply, err := next(stream)
		fmt.Printf("chat: %q %s\n", reply, told(err))
	}
	rest, err := all(closing(stream))
	fmt.Printf("rest: %q %s\n", rest, told(err))
	_, err = next(stream)
	fmt.Println("after the end:", told(err))

	// More at once than either side keeps for a reader.
	stream = p.open(ctx, bothStream, "Chat", nil)
	go func() {
		for i := range 2000 {
			if err := stream.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
				fmt.Println("send:", told(err))
			}
		}
		closing(stream)
	}()
	texts, err := all(stream)
	right := 0
	for i, text := range texts {
		if text == fmt.Sprintf("%d!", i) {
			right++
		}
	}
	fmt.Println("of 2000 in order:", right, told(err))

	for _, text := range []string{"fail 9 detail", "fail in words", "stop"} {
		stream := p.open(ctx, bothStream, "Chat", nil)
		fmt.Println("send:", told(stream.SendMsg(wrapperspb.String("before"))))
		fmt.Println("send:", told(stream.SendMsg(wrapperspb.String(text))))
		texts, err := all(stream)
		fmt.Printf("chat: %q %s\n", texts, told(err))
	}
	until(p.path, "0")
}

// leaving makes the server go while calls are under way.
func leaving(ctx context.Context, p *peer) {
	stream := p.open(ctx, bothStream, "Chat", nil)
	ended, over := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.say(ctx, "Wait", "")
		ended <- err
	}()
	go func() {
		_, err := next(stream)
		over <- err
	}()
	until(p.path, "2")
	other := connect(p.path)
	// Its answer may or may not be sent before the end.
	_, _ = other.say(ctx, "Leave", "")
	fmt.Println("the server is gone, a call:", told(<-ended))
	fmt.Println("the server is gone, a stream:", told(<-over))
}
