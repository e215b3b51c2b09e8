// Package secret keeps random keys in files that only their owner can read. A key must never be half written, logged,
// or made anew while one is there.
package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	size = 32 // random bytes
	// minLength is of a key's text: 256 bits in base64, without its padding.
	minLength = 43
)

// File returns the key in the file at path: text without white space, of 256 random bits in base64url where File made
// it, which it does when there is none. An operator may put one of their own there, of at least 43 characters.
func File(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return "", fmt.Errorf("read key: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if len(key) < minLength {
		return "", fmt.Errorf("%s holds fewer than %d characters: remove it to have it made anew", path, minLength)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return "", fmt.Errorf("protect key: %w", err)
	}
	return key, nil
}

// create makes the file in one step, so that a crash leaves no half of it.
func create(path string) (string, error) {
	random := make([]byte, size)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	key := base64.RawURLEncoding.EncodeToString(random)
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("make key file: %w", err)
	}
	_, err = file.WriteString(key + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("write key: %w", err), os.Remove(file.Name()))
	}
	return key, nil
}
