// Package vectors reads the frozen envelopes of tests/vectors/envelope, which every client opens or refuses alike.
package vectors

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	pb "codevector.internal/providers/go/gen/providers/v1"

	"google.golang.org/protobuf/encoding/protojson"
)

// Vector is one file.
type Vector struct {
	Opens        bool              `json:"opens"`
	DeploymentID Hex               `json:"deployment_id"`
	ProviderUID  string            `json:"provider_uid"`
	Kind         int32             `json:"kind"`
	Type         int32             `json:"type"`
	Version      int64             `json:"credential_version,string"`
	Config       map[string]string `json:"config"`
	Destinations []string          `json:"destinations"`
	DEK          Hex               `json:"dek"`
	Fields       map[string]string `json:"fields"`
	Context      Hex               `json:"context"`
	Commitment   Hex               `json:"commitment"`
	Envelope     Hex               `json:"envelope"`
}

// Hex is bytes that JSON has as hexadecimal digits.
type Hex []byte

// UnmarshalText reads the digits.
func (h *Hex) UnmarshalText(digits []byte) (err error) {
	*h, err = hex.DecodeString(string(digits))
	return err
}

// Provider is the routing table's entry that the vector's credential belongs to.
func (v *Vector) Provider() (*pb.RoutingProvider, error) {
	kind := pb.ProviderKind(v.Kind)
	member := strings.ToLower(strings.TrimPrefix(kind.String(), "PROVIDER_KIND_"))
	settings, err := json.Marshal(map[string]any{member: v.Config})
	if err != nil {
		return nil, err
	}
	config := &pb.ProviderConfig{}
	if err := protojson.Unmarshal(settings, config); err != nil {
		return nil, err
	}
	return &pb.RoutingProvider{
		Name: "providers/vector", Uid: v.ProviderUID, Kind: kind, Config: config,
		CredentialType: pb.CredentialType(v.Type), CredentialVersion: v.Version,
	}, nil
}

// Sealed is what the registry would answer.
func (v *Vector) Sealed() *pb.SealedCredential {
	return &pb.SealedCredential{
		Provider: "providers/vector", ProviderUid: v.ProviderUID, Kind: pb.ProviderKind(v.Kind),
		Type: pb.CredentialType(v.Type), CredentialVersion: v.Version, Envelope: v.Envelope, Context: v.Context,
		Commitment: v.Commitment, Destinations: v.Destinations,
	}
}
