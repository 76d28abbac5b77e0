// Command router is a one-page router: it lists the active models, follows every change, and opens the credentials.
//
//	router -registry 127.0.0.1:50051 -kms-socket var/kms/router.sock
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	codevector "codevector.internal/providers/go"
)

func main() {
	registry := flag.String("registry", "127.0.0.1:50051", "host:port of the registry")
	socket := flag.String("kms-socket", "var/kms/router.sock", "the router's socket of its key sidecar")
	watcherID := flag.String("watcher-id", "", "what operators see this router as; empty: not counted")
	loopbackHTTP := flag.Bool("allow-loopback-http", false, "let providers on this machine be reached without TLS")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config := codevector.Config{Registry: *registry, KMSSocket: *socket, AllowLoopbackHTTP: *loopbackHTTP}
	if err := route(ctx, config, *watcherID); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func route(ctx context.Context, config codevector.Config, watcherID string) error {
	client, err := codevector.New(config)
	if err != nil {
		return err
	}
	defer client.Close()

	listing, err := client.List(ctx, "")
	if err != nil {
		return err
	}
	for _, model := range listing.Models {
		fmt.Println("active:", model.GetName(), "is", model.GetUpstreamModelId())
	}

	router := client.NewRouter(codevector.RouterConfig{WatcherID: watcherID})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = router.Run(ctx) // until ctx ends; the error says so
	}()
	follow(ctx, router)
	<-ended
	return nil
}

// follow shows each revision, and every credential that is new in it.
func follow(ctx context.Context, router *codevector.Router) {
	versions := map[string]int64{}
	for table := router.Table(); ; {
		var err error
		if table, err = router.Next(ctx, table); err != nil {
			return
		}
		fmt.Printf("revision %d: %d providers, %d provider models, %d models\n", table.Revision(),
			len(table.Providers()), len(table.ProviderModels()), len(table.Models()))
		for _, provider := range table.Providers() {
			if name := provider.GetName(); versions[name] != provider.GetCredentialVersion() {
				versions[name] = provider.GetCredentialVersion()
				show(router.Credential(ctx, name))
			}
		}
	}
}

// show prints what is not secret about an opened credential. A real router passes Reveal("api_key") to its HTTP client,
// for requests that CheckURL allows.
func show(credential *codevector.Credential, err error) {
	switch {
	case errors.Is(err, codevector.ErrCredentialCorrupt):
		fmt.Println("set this credential again:", err) // the other providers still work
	case err != nil:
		fmt.Println("not opened:", err)
	default:
		fmt.Println("opened:", credential, "for", credential.Destinations)
	}
}
