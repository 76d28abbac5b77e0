package codevector

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pb "codevector.internal/providers/go/gen/providers/v1"
)

// Role is what is sent to a destination.
type Role string

const (
	RoleAPI     Role = "api"     // API keys and minted tokens
	RoleControl Role = "control" // calls that list what the account offers
	RoleToken   Role = "token"   // what turns an identity into a token
)

// Destination is where a credential may be sent: scheme, host, port and, if the administrator set the base URL, a path
// without a trailing slash. The host is spelled as in a URL: an IPv6 address in brackets.
type Destination struct {
	Role         Role
	Scheme, Host string
	Port         int
	Path         string
}

// URL is scheme://host[:port][path], a default port left out.
func (d Destination) URL() string {
	port := ""
	if d.Port != defaultPorts[d.Scheme] {
		port = ":" + strconv.Itoa(d.Port)
	}
	return d.Scheme + "://" + d.Host + port + d.Path
}

// String is the form that is sealed: the role, a space, the URL.
func (d Destination) String() string { return string(d.Role) + " " + d.URL() }

var defaultPorts = map[string]int{"https": 443, "http": 80}

// The one spelling of URLs that the registry accepts.
var urlForm = regexp.MustCompile(`^(https?)://(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)` +
	`(?::([1-9][0-9]{0,4}))?((?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*)/?$`)

func parseDestination(role Role, address string) (Destination, error) {
	parts := urlForm.FindStringSubmatch(address)
	if parts == nil || slices.ContainsFunc(strings.Split(parts[4], "/"), isDots) {
		return Destination{}, fail(ErrDestinationRefused, "a URL is not in the form https://host[:port][/path]")
	}
	port := defaultPorts[parts[1]]
	if parts[3] != "" {
		port, _ = strconv.Atoi(parts[3])
	}
	return Destination{role, parts[1], parts[2], port, parts[4]}, nil
}

func parseAllowed(addresses []string) ([]Destination, error) {
	allowed := make([]Destination, len(addresses))
	for i, address := range addresses {
		var err error
		if allowed[i], err = parseDestination(RoleAPI, address); err != nil {
			return nil, errors.New("codevector: AllowedDestinations are URLs in the form https://host[:port][/path]")
		}
	}
	return allowed, nil
}

var defaultURLs = map[pb.ProviderKind]string{
	pb.ProviderKind_PROVIDER_KIND_OPENAI:    "https://api.openai.com",
	pb.ProviderKind_PROVIDER_KIND_ANTHROPIC: "https://api.anthropic.com",
	pb.ProviderKind_PROVIDER_KIND_GOOGLE:    "https://generativelanguage.googleapis.com",
	pb.ProviderKind_PROVIDER_KIND_GROQ:      "https://api.groq.com",
	pb.ProviderKind_PROVIDER_KIND_COHERE:    "https://api.cohere.com",
	pb.ProviderKind_PROVIDER_KIND_DEEPSEEK:  "https://api.deepseek.com",
	pb.ProviderKind_PROVIDER_KIND_MOONSHOT:  "https://api.moonshot.ai",
}

var (
	bedrockRegion  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
	vertexLocation = regexp.MustCompile(`^(global|us|eu|[a-z]+-[a-z]+[0-9]+)$`)
)

// derive returns the destinations of a provider as configured, those of the api role first. The list sent with a sealed
// credential is never trusted alone: otherwise anyone who may edit a base URL would get the key. Source:
// docs/formats/envelope.md, "Destinations by kind".
func derive(provider *pb.RoutingProvider) ([]Destination, error) {
	config := provider.GetConfig()
	switch kind := provider.GetKind(); kind {
	case pb.ProviderKind_PROVIDER_KIND_AZURE:
		return destinations("api "+config.GetAzure().GetEndpoint(), azureLogin(provider))
	case pb.ProviderKind_PROVIDER_KIND_BEDROCK:
		region := config.GetBedrock().GetRegion()
		if !bedrockRegion.MatchString(region) {
			return nil, fail(ErrDestinationRefused, "the provider's region is not the name of a region")
		}
		api := config.GetBedrock().GetEndpointUrl()
		if api == "" {
			api = "https://bedrock-runtime." + region + ".amazonaws.com"
		}
		return destinations("api "+api, "control https://bedrock."+region+".amazonaws.com",
			"token https://sts."+region+".amazonaws.com")
	case pb.ProviderKind_PROVIDER_KIND_VERTEX:
		return vertex(config.GetVertex().GetLocation())
	case pb.ProviderKind_PROVIDER_KIND_VERTEX_ANTHROPIC:
		return vertex(config.GetVertexAnthropic().GetLocation())
	case pb.ProviderKind_PROVIDER_KIND_OPENAI_COMPATIBLE:
		return destinations("api " + config.GetOpenaiCompatible().GetBaseUrl())
	default:
		api, known := defaultURLs[kind]
		if !known {
			return nil, fail(ErrDestinationRefused, "this package does not know the provider's kind: upgrade it")
		}
		if own := ownBaseURL(kind, config); own != "" {
			api = own
		}
		return destinations("api " + api)
	}
}

func ownBaseURL(kind pb.ProviderKind, config *pb.ProviderConfig) string {
	switch kind {
	case pb.ProviderKind_PROVIDER_KIND_OPENAI:
		return config.GetOpenai().GetBaseUrl()
	case pb.ProviderKind_PROVIDER_KIND_ANTHROPIC:
		return config.GetAnthropic().GetBaseUrl()
	case pb.ProviderKind_PROVIDER_KIND_GOOGLE:
		return config.GetGoogle().GetBaseUrl()
	case pb.ProviderKind_PROVIDER_KIND_GROQ:
		return config.GetGroq().GetBaseUrl()
	case pb.ProviderKind_PROVIDER_KIND_COHERE:
		return config.GetCohere().GetBaseUrl()
	case pb.ProviderKind_PROVIDER_KIND_DEEPSEEK:
		return config.GetDeepseek().GetBaseUrl()
	case pb.ProviderKind_PROVIDER_KIND_MOONSHOT:
		return config.GetMoonshot().GetBaseUrl()
	}
	return ""
}

func azureLogin(provider *pb.RoutingProvider) string {
	switch provider.GetCredentialType() {
	case pb.CredentialType_CREDENTIAL_TYPE_AZURE_CLIENT_SECRET, pb.CredentialType_CREDENTIAL_TYPE_AMBIENT:
	default:
		return ""
	}
	endpoint, _ := parseDestination(RoleAPI, provider.GetConfig().GetAzure().GetEndpoint())
	switch {
	case strings.HasSuffix(endpoint.Host, ".azure.us"):
		return "token https://login.microsoftonline.us"
	case strings.HasSuffix(endpoint.Host, ".azure.cn"):
		return "token https://login.partner.microsoftonline.cn"
	}
	return "token https://login.microsoftonline.com"
}

func vertex(location string) ([]Destination, error) {
	if !vertexLocation.MatchString(location) {
		return nil, fail(ErrDestinationRefused, "the provider's location is not the name of a location")
	}
	host := location + "-aiplatform"
	switch location {
	case "global":
		host = "aiplatform"
	case "us", "eu":
		host = "aiplatform." + location + ".rep"
	}
	return destinations("api https://"+host+".googleapis.com", "token https://oauth2.googleapis.com")
}

func destinations(items ...string) ([]Destination, error) {
	var parsed []Destination
	for _, item := range items {
		if item == "" {
			continue
		}
		role, address, _ := strings.Cut(item, " ")
		destination, err := parseDestination(Role(role), address)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, destination)
	}
	return parsed, nil
}

// permitted returns the derived destinations if this router's own rules allow all of them.
func (c *Client) permitted(provider *pb.RoutingProvider) ([]Destination, error) {
	derived, err := derive(provider)
	if err != nil {
		return nil, err
	}
	for _, d := range derived {
		if d.Scheme == "http" && !(c.config.AllowLoopbackHTTP && d.isLoopback()) {
			return nil, fail(ErrDestinationRefused, "%s uses plain http: only allowed to this machine, with AllowLoopbackHTTP",
				provider.GetName())
		}
		if d.Role != RoleAPI {
			continue
		}
		named := slices.ContainsFunc(c.allowed, func(a Destination) bool { return a.covers(d.Scheme, d.Host, d.Port, d.Path) })
		if len(c.allowed) > 0 && !named {
			return nil, fail(ErrDestinationRefused, "%s has a destination that is not in this router's AllowedDestinations",
				provider.GetName())
		}
		if provider.GetCredentialType() == pb.CredentialType_CREDENTIAL_TYPE_AMBIENT && !named && !d.inCloudOf(provider.GetKind()) {
			return nil, fail(ErrDestinationRefused, "%s asks for this router's own identity at a host outside its cloud: "+
				"name the destination in AllowedDestinations if that is meant", provider.GetName())
		}
	}
	return derived, nil
}

// CheckURL returns nil if a request to the URL may carry the provider's API key, else ErrDestinationRefused. Call it
// for every request, including redirects.
func (c *Client) CheckURL(provider *pb.RoutingProvider, address string) error {
	permitted, err := c.permitted(provider)
	if err != nil {
		return err
	}
	return checkURL(permitted, address)
}

func checkURL(permitted []Destination, address string) error {
	refused := fail(ErrDestinationRefused, "the URL is not a destination of this provider")
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Opaque != "" {
		return refused
	}
	host, port := strings.ToLower(u.Hostname()), defaultPorts[u.Scheme]
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return refused
		}
	}
	for _, d := range permitted {
		if d.Role == RoleAPI && d.covers(u.Scheme, host, port, u.EscapedPath()) {
			return nil
		}
	}
	return refused
}

// covers reports whether a request goes here: same scheme, host and port, and a path at or below this one. A path that
// some server might read as leaving it (dot segments, also encoded) is not below it.
func (d Destination) covers(scheme, host string, port int, path string) bool {
	if scheme != d.Scheme || host != d.Host || port != d.Port {
		return false
	}
	return d.Path == "" || (path == d.Path || strings.HasPrefix(path, d.Path+"/")) && !mayClimb(path)
}

func (d Destination) isLoopback() bool {
	if d.Host == "localhost" || strings.HasSuffix(d.Host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(d.Host, "[]"))
	return err == nil && ip.IsLoopback()
}

// Only names under which the cloud itself serves.
var (
	azureHost   = regexp.MustCompile(`^[a-z0-9-]+\.(?:openai|cognitiveservices|services\.ai)\.azure\.(?:com|us|cn)$`)
	bedrockHost = regexp.MustCompile(`^(?:bedrock-runtime(?:-fips)?\.[a-z0-9-]+|` +
		`vpce-[a-z0-9-]+\.bedrock-runtime\.[a-z0-9-]+\.vpce)\.amazonaws\.com$`)
	vertexHost = regexp.MustCompile(`^(?:[a-z0-9-]+-)?aiplatform(?:\.(?:us|eu)\.rep)?\.googleapis\.com$`)
)

func (d Destination) inCloudOf(kind pb.ProviderKind) bool {
	if d.Port != 443 {
		return false
	}
	switch kind {
	case pb.ProviderKind_PROVIDER_KIND_AZURE:
		return azureHost.MatchString(d.Host)
	case pb.ProviderKind_PROVIDER_KIND_BEDROCK:
		return bedrockHost.MatchString(d.Host)
	case pb.ProviderKind_PROVIDER_KIND_VERTEX, pb.ProviderKind_PROVIDER_KIND_VERTEX_ANTHROPIC:
		return vertexHost.MatchString(d.Host)
	}
	return false
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

func isUnusual(r rune) bool { return r < ' ' || r > '~' }

var escaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// mayClimb reports whether a server that decodes more than we do, or in another way, could leave the path. Besides dot
// segments, such a server might skip control characters, or read %u002e, overlong UTF-8 and wide characters as dots:
// none of them occurs in the API of a provider.
func mayClimb(path string) bool {
	for range 4 {
		for _, segment := range strings.Split(strings.ReplaceAll(path, `\`, "/"), "/") {
			if name, _, _ := strings.Cut(segment, ";"); name == "." || strings.HasPrefix(segment, "..") {
				return true
			}
		}
		if strings.Contains(strings.ToLower(path), "%u") || strings.ContainsFunc(path, isUnusual) {
			return true
		}
		decoded := escaped.ReplaceAllStringFunc(path, func(code string) string {
			octet, _ := strconv.ParseUint(code[1:], 16, 8)
			return string([]byte{byte(octet)})
		})
		if decoded == path {
			return false
		}
		path = decoded
	}
	return true
}
