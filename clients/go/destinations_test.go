package codevector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "codevector.internal/providers/go/gen/providers/v1"
)

func openAIAt(url string) *pb.ProviderConfig {
	return &pb.ProviderConfig{Kind: &pb.ProviderConfig_Openai{Openai: &pb.OpenAIConfig{BaseUrl: url}}}
}

func compatible(url string) *pb.RoutingProvider {
	return &pb.RoutingProvider{Name: "providers/p", Kind: pb.ProviderKind_PROVIDER_KIND_OPENAI_COMPATIBLE, Config: &pb.ProviderConfig{
		Kind: &pb.ProviderConfig_OpenaiCompatible{OpenaiCompatible: &pb.OpenAICompatibleConfig{BaseUrl: url}}}}
}

func azure(endpoint string, of pb.CredentialType) *pb.RoutingProvider {
	return &pb.RoutingProvider{Name: "providers/p", Kind: pb.ProviderKind_PROVIDER_KIND_AZURE, CredentialType: of,
		Config: &pb.ProviderConfig{Kind: &pb.ProviderConfig_Azure{Azure: &pb.AzureConfig{Endpoint: endpoint}}}}
}

func bedrock(region, endpoint string, of pb.CredentialType) *pb.RoutingProvider {
	return &pb.RoutingProvider{Name: "providers/p", Kind: pb.ProviderKind_PROVIDER_KIND_BEDROCK, CredentialType: of, Config: &pb.ProviderConfig{
		Kind: &pb.ProviderConfig_Bedrock{Bedrock: &pb.BedrockConfig{Region: region, EndpointUrl: endpoint}}}}
}

func vertexAt(location string) *pb.RoutingProvider {
	return &pb.RoutingProvider{Kind: pb.ProviderKind_PROVIDER_KIND_VERTEX, Config: &pb.ProviderConfig{
		Kind: &pb.ProviderConfig_Vertex{Vertex: &pb.VertexConfig{ProjectId: "my-project", Location: location}}}}
}

const (
	secret  = pb.CredentialType_CREDENTIAL_TYPE_AZURE_CLIENT_SECRET
	ambient = pb.CredentialType_CREDENTIAL_TYPE_AMBIENT
	apiKey  = pb.CredentialType_CREDENTIAL_TYPE_API_KEY
)

// Every kind with its defaults is in the vectors; here is what they leave out.
func TestDerive(t *testing.T) {
	for want, provider := range map[string]*pb.RoutingProvider{
		"api https://gw.example/t1/v1": {Kind: pb.ProviderKind_PROVIDER_KIND_OPENAI, Config: openAIAt("https://gw.example/t1/v1")},
		"api http://127.0.0.1:8099/v1": compatible("http://127.0.0.1:8099/v1/"),
		"api http://[::1]/v1":          compatible("http://[::1]:80/v1"),
		"api https://a.example":        compatible("https://a.example:443/"),
		"api https://a.example:80":     compatible("https://a.example:80"),
		"api https://r.azure.cn, token https://login.partner.microsoftonline.cn": azure("https://r.azure.cn", secret),
		"api https://r.azure.com/x": azure("https://r.azure.com/x", apiKey),
		"api https://aiplatform.us.rep.googleapis.com, token https://oauth2.googleapis.com": vertexAt("us"),
	} {
		derived, err := derive(provider)
		var items []string
		for _, destination := range derived {
			items = append(items, destination.String())
		}
		if got := strings.Join(items, ", "); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

func TestSettingsThatLeadNowhere(t *testing.T) {
	refused := []*pb.RoutingProvider{
		{}, {Kind: 99}, {Kind: pb.ProviderKind_PROVIDER_KIND_AZURE}, {Kind: pb.ProviderKind_PROVIDER_KIND_OPENAI_COMPATIBLE},
		bedrock("", "", apiKey), bedrock("x.evil.example/", "", apiKey), vertexAt(""), vertexAt("evil.example/"),
		azure("", secret),
	}
	for _, url := range []string{
		"https://a@evil.example", "https://A.example", "ftp://a.example", "https://a.example/v1?x", "https://a.example/x/../y",
		"https://a.example/%2e%2e", `https://a.example\@evil.example`, "https://a.example/v1\n", "https://ä.example", "a.example",
		"https://a.example//x", "https://a.example:0", "https://a.example./", " https://a.example",
	} {
		refused = append(refused, compatible(url))
	}
	for _, provider := range refused {
		if derived, err := derive(provider); !errors.Is(err, ErrDestinationRefused) || derived != nil {
			t.Errorf("%v: %v, %v", provider, derived, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	client := &Client{}
	provider := compatible("https://gw.example/tenant-a/v1")
	for url, goes := range map[string]bool{
		"https://gw.example/tenant-a/v1":                              true,
		"https://gw.example:443/tenant-a/v1/chat/completions?x=../..": true,
		"HTTPS://GW.example/tenant-a/v1/":                             true,
		"https://gw.example/tenant-a/v1/models/a%2Fb":                 true,
		"https://gw.example/tenant-a/v10":                             false,
		"https://gw.example/tenant-a":                                 false,
		"https://gw.example/tenant-a/v1/../../tenant-b":               false,
		"https://gw.example/tenant-a/v1/%2e%2e/%2E%2E/tenant-b":       false,
		"https://gw.example/tenant-a/v1/%252e%252e/tenant-b":          false,
		"https://gw.example/tenant-a/v1/..%2ftenant-b":                false,
		"https://gw.example/tenant-a/v1/..%5ctenant-b":                false,
		"https://gw.example/tenant-a/v1/..;x/tenant-b":                false,
		`https://gw.example/tenant-a/v1/..\tenant-b`:                  false,
		"https://gw.example/tenant-a/v1/%25252525252e":                false,
		"https://gw.example/tenant-a/v1/models/my%20model":            true,
		"https://gw.example/tenant-a/v1/..%00/x":                      false,
		"https://gw.example/tenant-a/v1/..%20/x":                      false,
		"https://gw.example/tenant-a/v1/..%09/x":                      false,
		"https://gw.example/tenant-a/v1/.%0a./x":                      false,
		"https://gw.example/tenant-a/v1/%c0%ae%c0%ae/x":               false,
		"https://gw.example/tenant-a/v1/%u002e%u002e/x":               false,
		"https://gw.example/tenant-a/v1/%ef%bc%8e%ef%bc%8e/x":         false,
		"https://gw.example/tenant-a/v1/..%23/x":                      false,
		"https://gw.example/tenant-a/v1/.../x":                        false,
		"http://gw.example/tenant-a/v1":                               false,
		"http://gw.example:443/tenant-a/v1":                           false,
		"https://gw.example:8443/tenant-a/v1":                         false,
		"https://gw.example.evil.example/tenant-a/v1":                 false,
		"https://gw.example@evil.example/tenant-a/v1":                 false,
		"https://user@gw.example/tenant-a/v1":                         false,
		"https:gw.example/tenant-a/v1":                                false,
		"https://gw.example:99999999999/tenant-a/v1":                  false,
		"//gw.example/tenant-a/v1":                                    false,
		"":                                                            false,
		"https://gw.example/tenant-a/v1\x00":                          false,
	} {
		if err := client.CheckURL(provider, url); (err == nil) != goes || err != nil && !errors.Is(err, ErrDestinationRefused) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if err := client.CheckURL(azure("https://r.azure.com", secret), "https://login.microsoftonline.com/x"); err == nil {
		t.Error("an API key goes to a token destination")
	}
}

func TestPermitted(t *testing.T) {
	const loopback, own = "loopback http", "https://gw.example/t1"
	for _, test := range []struct {
		provider *pb.RoutingProvider
		option   string
		passes   bool
	}{
		{compatible("http://127.0.0.1:8099/v1"), loopback, true},
		{compatible("http://127.9.9.9"), loopback, true},
		{compatible("http://[::1]:8099"), loopback, true},
		{compatible("http://a.localhost"), loopback, true},
		{compatible("http://127.0.0.1:8099/v1"), "", false},
		{compatible("http://10.0.0.1"), loopback, false},
		{compatible("http://localhost.example"), loopback, false},
		{compatible("https://gw.example/t1/v1"), own, true},
		{compatible("https://gw.example/t2"), own, false},
		{compatible("https://gw.example:8443/t1"), own, false},
		{azure("https://r.openai.azure.com", ambient), "", true},
		{azure("https://r.services.ai.azure.com/api", ambient), "", true},
		{azure("https://x.eastus.cloudapp.azure.com", ambient), "", false},
		{azure("https://r.openai.azure.com:8443", ambient), "", false},
		{azure("https://evil.example", apiKey), "", true},
		{azure("https://gw.example/t1", ambient), own, true},
		{bedrock("eu-west-1", "", ambient), "", true},
		{bedrock("eu-west-1", "https://vpce-0a-1b.bedrock-runtime.eu-west-1.vpce.amazonaws.com", ambient), "", true},
		{bedrock("eu-west-1", "https://my-lb.eu-west-1.elb.amazonaws.com", ambient), "", false},
	} {
		t.Run(fmt.Sprint(test.provider.GetConfig(), test.option), func(t *testing.T) {
			client := &Client{}
			client.config.AllowLoopbackHTTP = test.option == loopback
			if test.option == own {
				client.allowed, _ = parseAllowed([]string{own})
			}
			if _, err := client.permitted(test.provider); (err == nil) != test.passes {
				t.Error(err)
			}
		})
	}
	for _, entry := range []string{"", "api.openai.com", "https://A.example", "https://*.example"} {
		if _, err := New(Config{AllowedDestinations: []string{"https://a.example", entry}}); err == nil {
			t.Errorf("%q is taken", entry)
		}
	}
}

func TestKindsOfTheContractAreAllKnown(t *testing.T) {
	for number := range pb.ProviderKind_name {
		kind := pb.ProviderKind(number)
		_, byDefault := defaultURLs[kind]
		own := []pb.ProviderKind{0, pb.ProviderKind_PROVIDER_KIND_AZURE, pb.ProviderKind_PROVIDER_KIND_BEDROCK,
			pb.ProviderKind_PROVIDER_KIND_VERTEX, pb.ProviderKind_PROVIDER_KIND_VERTEX_ANTHROPIC,
			pb.ProviderKind_PROVIDER_KIND_OPENAI_COMPATIBLE}
		if !byDefault && !slices.Contains(own, kind) {
			t.Errorf("no destination is known for %s", kind)
		}
	}
}
