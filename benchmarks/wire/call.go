package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// window is so large that the server never waits for a client to let it send.
const window = 32 << 20

// called is the line on stdout.
type called struct {
	Seconds float64 `json:"seconds"`
	P50     int64   `json:"p50_ns"`
	P99     int64   `json:"p99_ns"`
	Bytes   int     `json:"bytes"`
}

// call makes so many unary calls over one connection. All have to succeed, and to answer as many bytes.
func call(arguments []string) error {
	flags := flag.NewFlagSet("call", flag.ExitOnError)
	address := flags.String("address", "", "of the server")
	method := flags.String("method", "", "as /package.Service/Method")
	var request base64
	flags.Var(&request, "request", "its bytes in base64")
	calls := flags.Int("calls", 1000, "how many")
	concurrency := flags.Int("concurrency", 1, "how many at once")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	conn, err := dial(*address, grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := []byte(request)
	var first []byte
	if err := conn.Invoke(context.Background(), *method, &sent, &first); err != nil {
		return err
	}

	times := make([]int64, *calls)
	var next atomic.Int64
	var failure atomic.Pointer[error]
	var workers sync.WaitGroup
	begun := time.Now()
	for range *concurrency {
		workers.Go(func() {
			for failure.Load() == nil {
				number := int(next.Add(1)) - 1
				if number >= *calls {
					return
				}
				started := time.Now()
				var answer []byte
				err := conn.Invoke(context.Background(), *method, &sent, &answer)
				times[number] = int64(time.Since(started))
				if err == nil && len(answer) != len(first) {
					err = fmt.Errorf("%d bytes after %d", len(answer), len(first))
				}
				if err != nil {
					failure.Store(&err)
				}
			}
		})
	}
	workers.Wait()
	seconds := time.Since(begun).Seconds()
	if failed := failure.Load(); failed != nil {
		return *failed
	}
	slices.Sort(times)
	return json.NewEncoder(os.Stdout).Encode(
		called{seconds, times[*calls/2], times[*calls*99/100], len(first)},
	)
}
