package picture

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stoa-live/stoa/internal/errs"
)

// Folder keeps JPEGs, one a name, and serves them below a prefix as {name}.jpg. It is an http.Handler.
type Folder struct {
	dir    string
	prefix string
}

// validName is that of an ULID, which all owners of pictures have.
var validName = regexp.MustCompile(`^[0-9A-Z]{26}$`)

// OpenFolder makes the folder where it is missing. prefix is the path before the names, such as "/auth/avatars/".
func OpenFolder(dir, prefix string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make picture folder: %w", err)
	}
	return &Folder{dir: dir, prefix: prefix}, nil
}

// Put stores a picture in place of the one that the name had; readers see the old one or the new one, whole.
func (f *Folder) Put(name string, jpeg []byte) error {
	path := f.path(name)
	if err := os.WriteFile(path+".new", jpeg, 0o600); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("replace picture: %w", err)
	}
	return nil
}

// Remove takes a picture away; removing none is no error.
func (f *Folder) Remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove picture: %w", err)
	}
	return nil
}

// URL is where a picture is served, relative to the API's address. version changes with the picture, so that the answer
// may be cached.
func (f *Folder) URL(name string, version int64) string {
	return fmt.Sprintf("%s%s.jpg?v=%d", f.prefix, name, version)
}

func (f *Folder) path(name string) string { return filepath.Join(f.dir, name+".jpg") }

// ServeHTTP serves {prefix}{name}.jpg.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, isJPEG := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, f.prefix), ".jpg")
	if !isJPEG || !validName.MatchString(name) || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		notFound(w, r)
		return
	}
	file, err := os.Open(f.path(name))
	if err != nil {
		notFound(w, r)
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		errs.WriteHTTP(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	http.ServeContent(w, r, "", info.ModTime(), file)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	errs.WriteHTTP(w, r, errs.NotFound("NOT_FOUND", "There is no picture at this address."))
}
