// Package partstest gives tests the real parts that run beside them.
package partstest

import (
	"os"
	"testing"

	"github.com/stoa-live/stoa/internal/parts"
)

// URL returns how a part is reached. Whoever started it is told by the environment (scripts/parts): without that the test is
// skipped, or fails where parts are required.
func URL(t testing.TB, name string) string {
	t.Helper()
	url := os.Getenv(parts.Variable(name))
	if url != "" {
		return url
	}
	if os.Getenv(parts.Required) != "" {
		t.Fatalf("there is no %s: %s is not set, run this by scripts/parts", name, parts.Variable(name))
	}
	t.Skipf("needs %s: go run ./scripts/parts -only %s go test …", name, name)
	return ""
}

// Envoy skips a test, or fails it where parts are required, unless Envoy is installed: tests start their own.
func Envoy(t testing.TB) {
	t.Helper()
	if parts.HasEnvoy() {
		return
	}
	if os.Getenv(parts.Required) != "" {
		t.Fatal("Envoy is not installed: run scripts/parts.sh envoy")
	}
	t.Skip("needs Envoy: run scripts/parts.sh envoy")
}
