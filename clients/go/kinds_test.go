package codevector

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	pb "codevector.internal/providers/go/gen/providers/v1"
	"codevector.internal/providers/go/internal/vectors"
)

// kindTable is what every implementation derives from a provider's kind and settings.
type kindTable struct {
	Kinds []struct {
		Kind            string           `json:"kind"`
		Number          int32            `json:"number"`
		CredentialTypes map[string]int32 `json:"credential_types"`
		Destinations    []struct {
			Config         map[string]string `json:"config"`
			CredentialType string            `json:"credential_type"`
			Items          []string          `json:"items"`
		} `json:"destinations"`
	} `json:"kinds"`
	Hosts map[string]string `json:"hosts"`
}

func readKindTable(t *testing.T) *kindTable {
	t.Helper()
	content, err := os.ReadFile("../../tests/vectors/kinds/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	table := &kindTable{}
	if err := json.Unmarshal(content, table); err != nil {
		t.Fatal(err)
	}
	if len(table.Kinds) != len(pb.ProviderKind_name)-1 || len(table.Hosts) == 0 {
		t.Fatalf("%d kinds, %d hosts", len(table.Kinds), len(table.Hosts))
	}
	return table
}

func TestKindTable(t *testing.T) {
	for _, kind := range readKindTable(t).Kinds {
		if name := pb.ProviderKind(kind.Number).String(); name != "PROVIDER_KIND_"+strings.ToUpper(kind.Kind) {
			t.Errorf("%s has number %d, which is %s", kind.Kind, kind.Number, name)
		}
		for word, number := range kind.CredentialTypes {
			if name := pb.CredentialType(number).String(); name != "CREDENTIAL_TYPE_"+strings.ToUpper(word) {
				t.Errorf("%s has number %d, which is %s", word, number, name)
			}
		}
		for _, known := range kind.Destinations {
			vector := &vectors.Vector{Kind: kind.Number, Type: kind.CredentialTypes[known.CredentialType], Config: known.Config}
			derived, err := derive(providerOf(t, vector))
			var items []string
			for _, destination := range derived {
				items = append(items, destination.String())
			}
			want := strings.Join(known.Items, ", ")
			if got := strings.Join(items, ", "); err != nil || got != want {
				t.Errorf("%s %v: got %s, %v; want %s", kind.Kind, known.Config, got, err, want)
			}
		}
	}
}

func TestThisMachineByItsSpelling(t *testing.T) {
	for host, reach := range readKindTable(t).Hosts {
		derived, err := derive(compatible("https://" + host))
		if err != nil {
			t.Fatal(host, err)
		}
		if derived[0].isLoopback() != (reach == "loopback") {
			t.Errorf("%s is %s", host, reach)
		}
	}
}
