package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// The lines on stdout. Times are nanoseconds since 1970, bytes are base64.
type (
	// opened is the first line: how many streams got a message within the time, and what ended the others.
	opened struct {
		Served  int            `json:"served"`
		Failed  map[string]int `json:"failed"`
		Seconds float64        `json:"seconds"`
		First   []byte         `json:"first_message"`
	}
	// delivered says that all streams which are served have got the same message.
	delivered struct {
		Message []byte `json:"message"`
		First   int64  `json:"first"`
		Last    int64  `json:"last"`
	}
	// answered is the outcome of a call.
	answered struct {
		Answer []byte `json:"answer"`
		Sent   int64  `json:"sent"`
		At     int64  `json:"answered"`
		Error  string `json:"error,omitempty"`
	}
	// lost says that a stream ended which was served.
	lost struct {
		Lost string `json:"lost"`
	}
)

// ordered is a line on stdin: a call to make.
type ordered struct {
	Method  string `json:"method"`
	Request []byte `json:"request"`
}

// output writes one line at a time.
type output struct {
	mutex sync.Mutex
	lines *json.Encoder
}

func (o *output) say(line any) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if err := o.lines.Encode(line); err != nil {
		fail(err)
	}
}

// arrivals counts how often each message has come, to know when all have it.
type arrivals struct {
	mutex  sync.Mutex
	all    int
	groups map[string]*group
	output *output
}

type group struct {
	count       int
	first, last int64
}

func (a *arrivals) add(message []byte, at int64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	seen := a.groups[string(message)]
	if seen == nil {
		seen = &group{first: at}
		a.groups[string(message)] = seen
	}
	seen.count++
	seen.first, seen.last = min(seen.first, at), max(seen.last, at)
	if seen.count == a.all {
		delete(a.groups, string(message))
		a.output.say(delivered{message, seen.first, seen.last})
	}
}

func (a *arrivals) expect(all int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.all = all
}

// watch opens streams, all at once, then makes the calls it reads from stdin, and says what arrives, until stdin
// ends.
func watch(arguments []string) error {
	flags := flag.NewFlagSet("watch", flag.ExitOnError)
	address := flags.String("address", "", "of the server")
	method := flags.String("method", "", "the streaming method, as /package.Service/Method")
	var request base64
	flags.Var(&request, "request", "the one message each stream sends, in base64")
	streams := flags.Int("streams", 1, "how many streams to open")
	connections := flags.Int("connections", 1, "over how many connections")
	seconds := flags.Float64("seconds", 60, "how long to wait for the first message of each")
	halfOpen := flags.Bool("half-open", false, "keep the streams' sending side open")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	conns := make([]*grpc.ClientConn, *connections+1)
	for i := range conns {
		conn, err := dial(*address)
		if err != nil {
			return err
		}
		defer conn.Close()
		conns[i] = conn
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	out := &output{lines: json.NewEncoder(os.Stdout)}
	counts := &arrivals{groups: map[string]*group{}, output: out}
	outcomes := make(chan outcome, *streams)
	begun := time.Now()
	for i := range *streams {
		stream := stream{conns[i%*connections], *method, request, *halfOpen}
		go stream.follow(ctx, outcomes, counts)
	}
	line := gather(outcomes, *streams, time.After(time.Duration(*seconds*float64(time.Second))))
	line.Seconds = time.Since(begun).Seconds()
	counts.expect(line.Served)
	out.say(line)

	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, maxMessage)
	for input.Scan() {
		var line ordered
		if err := json.Unmarshal(input.Bytes(), &line); err != nil {
			return err
		}
		out.say(invoke(ctx, conns[*connections], line))
	}
	return input.Err()
}

// outcome is a stream's first message, or what ended it before.
type outcome struct {
	first []byte
	err   error
}

func gather(outcomes <-chan outcome, streams int, timeout <-chan time.Time) opened {
	line := opened{Failed: map[string]int{}}
	for range streams {
		select {
		case got := <-outcomes:
			if got.err != nil {
				line.Failed[status.Convert(got.err).String()]++
				continue
			}
			line.Served++
			line.First = got.first
		case <-timeout:
			return line
		}
	}
	return line
}

type stream struct {
	conn     *grpc.ClientConn
	method   string
	request  []byte
	halfOpen bool
}

func (s stream) follow(ctx context.Context, outcomes chan<- outcome, counts *arrivals) {
	opened, first, err := s.open(ctx)
	outcomes <- outcome{first, err}
	if err != nil {
		return
	}
	for {
		var message []byte
		if err := opened.RecvMsg(&message); err != nil {
			if ctx.Err() == nil {
				counts.output.say(lost{err.Error()})
			}
			return
		}
		counts.add(message, time.Now().UnixNano())
	}
}

func (s stream) open(ctx context.Context) (grpc.ClientStream, []byte, error) {
	opened, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, s.method)
	if err != nil {
		return nil, nil, err
	}
	if err := opened.SendMsg(&s.request); err != nil {
		return nil, nil, fmt.Errorf("sending: %w", err)
	}
	if !s.halfOpen {
		if err := opened.CloseSend(); err != nil {
			return nil, nil, err
		}
	}
	var first []byte
	err = opened.RecvMsg(&first)
	return opened, first, err
}

func invoke(ctx context.Context, conn *grpc.ClientConn, call ordered) answered {
	line := answered{Sent: time.Now().UnixNano()}
	err := conn.Invoke(ctx, call.Method, &call.Request, &line.Answer)
	line.At = time.Now().UnixNano()
	if err != nil {
		line.Error = err.Error()
	}
	return line
}
