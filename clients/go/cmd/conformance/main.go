// Command conformance executes the commands of tests/conformance/README.md, one JSON object per line: the tests drive
// this client through it. It returns only the SHA-256 of a credential's fields.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	codevector "codevector.internal/providers/go"
)

// The registry is killed repeatedly: reconnect quickly.
const maxBackoff = 500 * time.Millisecond

func main() {
	registry := flag.String("registry", "", "host:port of the registry")
	socket := flag.String("kms-socket", "", "the router's socket of its key sidecar")
	loopbackHTTP := flag.Bool("allow-loopback-http", false, "let providers on this machine be reached without TLS")
	flag.Parse()
	client, err := codevector.New(codevector.Config{
		Registry: *registry, KMSSocket: *socket, AllowLoopbackHTTP: *loopbackHTTP, MaxBackoff: maxBackoff,
	})
	if err == nil {
		err = answerAll(&program{client: client, router: client.NewRouter(codevector.RouterConfig{}), stop: func() {}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answerAll(p *program) error {
	defer func() {
		p.stop()
		_ = p.client.Close()
	}()
	requests, answers := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if len(line) == 0 {
			return nil // the end of input
		}
		if err := answers.Encode(p.answer(line)); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}

type answer = map[string]any

func (p *program) answer(line []byte) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{"ok": false, "reason": "MALFORMED_COMMAND"}
	}
	command, known := commands[asked.Do]
	if !known {
		return answer{"ok": false, "reason": "UNKNOWN_COMMAND"}
	}
	result, err := command(p, asked)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return answer{"ok": false, "reason": reason(err)}
	}
	if result == nil {
		result = answer{}
	}
	result["ok"] = true
	return result
}

func reason(err error) string {
	var typed *codevector.Error
	switch {
	case errors.As(err, &typed):
		return typed.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return "TIMEOUT"
	}
	return "INTERNAL"
}
