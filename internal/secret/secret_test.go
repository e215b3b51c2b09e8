package secret_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stoa-live/stoa/internal/secret"
)

func TestFileIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	first, err := secret.File(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 43 {
		t.Errorf("key has %d characters, want 43", len(first))
	}
	second, err := secret.File(path)
	if err != nil || second != first {
		t.Errorf("second look: %q, %v; want the first key", second, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	left, _ := filepath.Glob(path + ".*")
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	other, err := secret.File(filepath.Join(t.TempDir(), "b.key"))
	if err != nil || other == first {
		t.Errorf("another key is %q, %v", other, err)
	}
}

func TestFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := secret.File(path); err == nil {
		t.Errorf("a short key is taken: %q", key)
	}
	if b, _ := os.ReadFile(path); string(b) != "short\n" {
		t.Error("a refused key was changed")
	}
	if _, err := secret.File(filepath.Join(t.TempDir(), "no", "folder", "a.key")); err == nil {
		t.Error("a key without a folder is made")
	}
}
