package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	codevector "codevector.internal/providers/go"
	pb "codevector.internal/providers/go/gen/providers/v1"
	"codevector.internal/providers/go/internal/vectors"

	"google.golang.org/protobuf/types/known/durationpb"
)

type program struct {
	client *codevector.Client
	router *codevector.Router
	stop   func() // stops the router's Run and waits for its end
}

type request struct {
	Do                 string          `json:"do"`
	Filter             string          `json:"filter"`
	PageSize           int32           `json:"page_size"`
	WatcherID          string          `json:"watcher_id"`
	BookmarkIntervalMS *int64          `json:"bookmark_interval_ms"`
	Revision           int64           `json:"revision"`
	TimeoutMS          int64           `json:"timeout_ms"`
	Name               string          `json:"name"`
	ResumeRevision     int64           `json:"resume_revision"`
	StoreID            string          `json:"store_id"`
	ResumeToken        string          `json:"resume_token"`
	Token              string          `json:"token"`
	StrictResume       bool            `json:"strict_resume"`
	Messages           int             `json:"messages"`
	Stopping           bool            `json:"stopping"`
	Provider           string          `json:"provider"`
	URL                string          `json:"url"`
	Vector             json.RawMessage `json:"vector"`
	Changed            json.RawMessage `json:"changed"`
}

func (r request) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(r.TimeoutMS)*time.Millisecond)
}

var commands = map[string]func(*program, request) (answer, error){
	"list":        (*program).list,
	"start":       (*program).start,
	"wait":        (*program).wait,
	"table":       (*program).table,
	"model":       (*program).model,
	"watch":       (*program).watch,
	"report":      (*program).report,
	"open":        (*program).open,
	"open_vector": (*program).openVector,
	"check_url":   (*program).checkURL,
	"stop":        (*program).stopRouter,
}

func (p *program) list(r request) (answer, error) {
	listing, err := p.client.ListPaged(context.Background(), r.Filter, r.PageSize)
	if err != nil {
		return nil, err
	}
	return answer{
		"revision": listing.Revision, "store_id": listing.StoreID, "token": listing.Token, "names": names(listing.Models),
	}, nil
}

func (p *program) start(r request) (answer, error) {
	p.stop()
	config := codevector.RouterConfig{WatcherID: r.WatcherID}
	if r.BookmarkIntervalMS != nil {
		config.BookmarkInterval = time.Duration(*r.BookmarkIntervalMS) * time.Millisecond
	}
	p.router = p.client.NewRouter(config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.router.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-ended
	}
	return nil, nil
}

func (p *program) stopRouter(request) (answer, error) {
	p.stop()
	return nil, nil
}

func (p *program) wait(r request) (answer, error) {
	ctx, cancel := r.timeout()
	defer cancel()
	table, err := p.router.WaitFor(ctx, r.Revision)
	if err != nil {
		return nil, err
	}
	return answer{"revision": table.Revision()}, nil
}

func (p *program) table(request) (answer, error) {
	table := p.router.Table()
	backends := map[string][][]any{}
	for _, model := range table.Models() {
		for _, backend := range model.GetBackends() {
			wire := []any{backend.GetProviderModel(), backend.GetPriority(), backend.GetWeight()}
			backends[model.GetName()] = append(backends[model.GetName()], wire)
		}
	}
	return answer{
		"revision": table.Revision(), "store_id": table.StoreID(), "token": table.Token(), "providers": names(table.Providers()),
		"provider_models": names(table.ProviderModels()), "models": names(table.Models()), "backends": backends,
		"resets": append([]string{}, p.router.Resets()...), "connected": p.router.Connected(),
	}, nil
}

func (p *program) model(r request) (answer, error) {
	model := p.router.Table().ProviderModel(r.Name)
	if model == nil {
		return nil, codevector.ErrNotFound
	}
	var inputPrice any
	if pricing := model.GetPricing(); pricing != nil && pricing.InputPerMillionTokens != nil {
		inputPrice = pricing.GetInputPerMillionTokens()
	}
	labels := map[string]string{}
	for key, value := range model.GetLabels() {
		labels[key] = value
	}
	return answer{
		"upstream_model_id": model.GetUpstreamModelId(), "context_window": model.GetContextWindow(),
		"input_price": inputPrice, "labels": labels,
	}, nil
}

func (p *program) watch(r request) (answer, error) {
	ctx, cancel := r.timeout()
	defer cancel()
	wish := &pb.WatchRoutingRequest{
		ResumeToken: r.ResumeToken, ResumeRevision: r.ResumeRevision, StoreId: r.StoreID, StrictResume: r.StrictResume,
	}
	if r.BookmarkIntervalMS != nil {
		wish.BookmarkInterval = durationpb.New(time.Duration(*r.BookmarkIntervalMS) * time.Millisecond)
	}
	events := []answer{}
	for message, err := range p.client.Watch(ctx, wish) {
		if err != nil {
			return nil, err
		}
		events = append(events, event(message))
		if len(events) >= r.Messages {
			break
		}
	}
	return answer{"events": events}, nil
}

func event(message *pb.WatchRoutingResponse) answer {
	switch of := message.GetEvent().(type) {
	case *pb.WatchRoutingResponse_SnapshotChunk:
		chunk := of.SnapshotChunk
		reason := strings.TrimPrefix(chunk.GetReason().String(), "REASON_")
		return answer{"type": "chunk", "first": chunk.GetFirst(), "last": chunk.GetLast(), "reason": reason,
			"revision": message.GetRevision()}
	case *pb.WatchRoutingResponse_ChangeSet:
		put, removed := []string{}, []string{}
		for _, change := range of.ChangeSet.GetChanges() {
			switch entry := change.GetChange().(type) {
			case *pb.RoutingChange_Provider:
				put = append(put, entry.Provider.GetName())
			case *pb.RoutingChange_ProviderModel:
				put = append(put, entry.ProviderModel.GetName())
			case *pb.RoutingChange_Model:
				put = append(put, entry.Model.GetName())
			case *pb.RoutingChange_Removed:
				removed = append(removed, entry.Removed)
			}
		}
		return answer{"type": "change_set", "revision": message.GetRevision(), "put": put, "removed": removed}
	case *pb.WatchRoutingResponse_Bookmark:
		return answer{"type": "bookmark", "revision": message.GetRevision(), "draining": of.Bookmark.GetDraining()}
	}
	return answer{"type": "unknown"}
}

func (p *program) report(r request) (answer, error) {
	return nil, p.client.ReportAppliedRevision(context.Background(), &pb.ReportAppliedRevisionRequest{
		WatcherId: r.WatcherID, Token: r.Token, Revision: r.Revision, StoreId: r.StoreID, Stopping: r.Stopping,
	})
}

func (p *program) open(r request) (answer, error) {
	credential, err := p.router.Credential(context.Background(), r.Provider)
	if err != nil {
		return nil, err
	}
	return shown(credential), nil
}

func (p *program) openVector(r request) (answer, error) {
	var known vectors.Vector
	if err := json.Unmarshal(r.Vector, &known); err != nil {
		return nil, err
	}
	provider, err := known.Provider()
	if err != nil {
		return nil, err
	}
	claimed := known
	if err := json.Unmarshal(r.Changed, &claimed); err != nil {
		return nil, codevector.ErrCredentialCorrupt // e.g. a version that no int64 holds
	}
	credential, err := codevector.OpenSealed(known.DeploymentID, provider, claimed.Sealed(), known.DEK)
	if err != nil {
		return nil, err
	}
	return shown(credential), nil
}

func (p *program) checkURL(r request) (answer, error) {
	provider := p.router.Table().Provider(r.Provider)
	if provider == nil {
		return nil, codevector.ErrNotFound
	}
	return nil, p.client.CheckURL(provider, r.URL)
}

func shown(credential *codevector.Credential) answer {
	fields := map[string]string{}
	for _, name := range credential.FieldNames() {
		value, _ := credential.Reveal(name)
		digest := sha256.Sum256([]byte(value))
		fields[name] = hex.EncodeToString(digest[:])
	}
	destinations := []string{}
	for _, destination := range credential.Destinations {
		destinations = append(destinations, destination.String())
	}
	return answer{
		"type":    strings.TrimPrefix(credential.Type.String(), "CREDENTIAL_TYPE_"),
		"version": credential.Version, "fields": fields, "destinations": destinations,
	}
}

func names[E interface{ GetName() string }](entries []E) []string {
	all := []string{}
	for _, entry := range entries {
		all = append(all, entry.GetName())
	}
	return all
}
