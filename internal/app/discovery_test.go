package app_test

import (
	"crypto/rand"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/testkit"
)

// A process announces its services once they answer, and takes that back when it has drained.
func TestServicesAreAnnounced(t *testing.T) {
	agent := partstest.URL(t, "consul") + "?prefix=t-" + strings.ToLower(rand.Text()[:10]) + "-"
	other, err := registry.Open(t.Context(), agent)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // a test
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := testkit.Start(t, func(c *config.Serve) {
		c.HTTPAddr, c.Registry, c.Node, c.Zone, c.Advertise = address, agent, "n1", "east", "http://"+address
	})
	all := []string{"admin", "auth", "chat", "edge", "live", "presence", "site"}
	for _, name := range all {
		testkit.Eventually(t, 10*time.Second, name+" is found", func() bool {
			list, err := other.Instances(t.Context(), name)
			return err == nil && len(list) == 1 && list[0].URL == "http://"+address && list[0].Zone == "east"
		})
	}
	if names, err := other.Names(t.Context()); err != nil || !slices.Equal(names, all) {
		t.Errorf("names are %v, %v", names, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := other.Names(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("after the end names are %v, %v", names, err)
	}
}
