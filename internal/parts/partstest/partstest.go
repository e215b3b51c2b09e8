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

// Installed skips a test, or fails it where parts are required, unless a program that tests start themselves is there.
func Installed(t testing.TB, name string) {
	t.Helper()
	if parts.Installed(name) {
		return
	}
	if os.Getenv(parts.Required) != "" {
		t.Fatalf("%s is not installed: run scripts/parts.sh", name)
	}
	t.Skipf("needs %s: run scripts/parts.sh", name)
}
