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

// validName is that of a ULID, which all owners of pictures have. So no name leads out of the folder.
var validName = regexp.MustCompile(`^[0-9A-Z]{26}$`)

// unfinished is how the names of files begin that Put is writing.
const unfinished = "new-"

// OpenFolder makes the folder where it is missing, and clears away what a crash left unfinished. prefix is the path
// before the names, such as "/auth/avatars/".
func OpenFolder(dir, prefix string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make picture folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
	if err != nil {
		return nil, fmt.Errorf("look into picture folder: %w", err)
	}
	for _, file := range left {
		if err := os.Remove(file); err != nil {
			return nil, fmt.Errorf("clear picture folder: %w", err)
		}
	}
	return &Folder{dir: dir, prefix: prefix}, nil
}

// Put stores a picture in place of the one that the name had; readers see the old one or the new one, whole.
func (f *Folder) Put(name string, jpeg []byte) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(f.dir, unfinished) // a name of its own: two may be put at the same time
	if err != nil {
		return fmt.Errorf("make picture file: %w", err)
	}
	_, err = file.Write(jpeg)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write picture: %w", err), os.Remove(file.Name()))
	}
	return nil
}

// Remove takes a picture away; removing none is no error.
func (f *Folder) Remove(name string) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove picture: %w", err)
	}
	return nil
}

// URL is where a picture is served, relative to the API's address. version changes with the picture, so that the answer
// may be cached.
func (f *Folder) URL(name string, version int64) string {
	return fmt.Sprintf("%s%s.jpg?v=%d", f.prefix, name, version)
}

// Name returns whose picture a request asks for, false if it is for none.
func (f *Folder) Name(r *http.Request) (name string, ok bool) {
	name, inside := strings.CutPrefix(r.URL.Path, f.prefix)
	name, isJPEG := strings.CutSuffix(name, ".jpg")
	return name, inside && isJPEG && validName.MatchString(name)
}

func (f *Folder) path(name string) (string, error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("%q cannot name a picture", name)
	}
	return filepath.Join(f.dir, name+".jpg"), nil
}

// ServeHTTP serves {prefix}{name}.jpg. Errors: NOT_FOUND.
func (f *Folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := f.Name(r)
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		errs.WriteHTTP(w, r, NotFound())
		return
	}
	file, err := os.Open(filepath.Join(f.dir, name+".jpg"))
	if errors.Is(err, fs.ErrNotExist) {
		errs.WriteHTTP(w, r, NotFound())
		return
	}
	if err != nil {
		errs.WriteHTTP(w, r, fmt.Errorf("open picture: %w", err))
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		errs.WriteHTTP(w, r, fmt.Errorf("look at picture: %w", err))
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	http.ServeContent(w, r, "", info.ModTime(), file)
}

// NotFound is what a request for no picture is answered with.
func NotFound() *errs.Error {
	return errs.NotFound("NOT_FOUND", "There is no picture at this address.")
}
