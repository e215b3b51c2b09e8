package picture_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stoa-live/stoa/internal/picture"
)

const (
	prefix = "/things/pictures/"
	name   = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
)

func open(t *testing.T, dir string) *picture.Folder {
	t.Helper()
	folder, err := picture.OpenFolder(dir, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func ask(folder *picture.Folder, method, path string, header http.Header) *http.Response {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "http://stoa.example"+path, http.NoBody)
	for key, values := range header {
		r.Header[key] = values
	}
	folder.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAFolderKeepsAndServes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "it")
	folder := open(t, dir)
	address := folder.URL(name, 7)
	if want := prefix + name + ".jpg?v=7"; address != want {
		t.Errorf("address %q, want %q", address, want)
	}
	if res := ask(folder, http.MethodGet, address, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("before: %s", res.Status)
	}
	for _, content := range [][]byte{[]byte("one"), []byte("another one")} {
		if err := folder.Put(name, content); err != nil {
			t.Fatal(err)
		}
		res := ask(open(t, dir), http.MethodGet, address, nil) // also after a restart
		if got := body(t, res); res.StatusCode != http.StatusOK || !bytes.Equal(got, content) ||
			res.Header.Get("Content-Type") != "image/jpeg" || res.Header.Get("X-Content-Type-Options") != "nosniff" ||
			res.Header.Get("Cache-Control") != "public, max-age=86400" {
			t.Errorf("%s %v %q", res.Status, res.Header, got)
		}
	}
	head := ask(folder, http.MethodHead, address, nil)
	if head.StatusCode != http.StatusOK || head.ContentLength != int64(len("another one")) || len(body(t, head)) != 0 {
		t.Errorf("HEAD: %s %d", head.Status, head.ContentLength)
	}
	known := http.Header{"If-Modified-Since": head.Header["Last-Modified"]}
	if res := ask(folder, http.MethodGet, address, known); res.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %s", res.Status)
	}
	for range 2 { // removing none is no error
		if err := folder.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if res := ask(folder, http.MethodGet, address, nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("removed: %s", res.Status)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	dir := t.TempDir()
	folder := open(t, filepath.Join(dir, "pictures"))
	if err := folder.Put(name, []byte("picture")); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{filepath.Join(dir, "secret.jpg"), filepath.Join(dir, "pictures", "secret.jpg")} {
		if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		prefix, prefix + name, prefix + name + ".png", prefix + name + ".jpg.jpg", prefix + name + ".jpg/", prefix + "secret.jpg",
		prefix + "../secret.jpg", prefix + "..%2fsecret.jpg", prefix + name + "%00.jpg", prefix + "/" + name + ".jpg",
		prefix + "01arz3ndektsv4rrffq69g5fav.jpg", "/" + name + ".jpg", "/elsewhere/" + name + ".jpg",
	} {
		if res := ask(folder, http.MethodGet, path, nil); res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", path, res.Status, res.Header)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if res := ask(folder, method, prefix+name+".jpg", nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
	for _, wrong := range []string{"", "..", "../" + name[3:], name + "x", "new-" + name[4:]} {
		if folder.Put(wrong, nil) == nil || folder.Remove(wrong) == nil {
			t.Errorf("%q names a picture", wrong)
		}
	}
}

func TestPicturesAreWholeAlsoWhenManyArePutAtOnce(t *testing.T) {
	dir := t.TempDir()
	folder := open(t, dir)
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 100_000) }
	if err := folder.Put(name, content(0)); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for range 20 {
				if err := folder.Put(name, content(i)); err != nil {
					t.Error(err)
				}
				res := ask(folder, http.MethodGet, prefix+name+".jpg", nil)
				if b := body(t, res); len(b) != 100_000 || !bytes.Equal(b, bytes.Repeat(b[:1], len(b))) {
					t.Errorf("%s: %d bytes of several pictures", res.Status, len(b))
				}
			}
		})
	}
	calls.Wait()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestWhatACrashLeftIsClearedAway(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Put(name, []byte("picture")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new-12345"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 || files[0].Name() != name+".jpg" {
		t.Errorf("in the folder: %v, %v", files, err)
	}
	file := filepath.Join(dir, name+".jpg")
	if _, err := picture.OpenFolder(file, prefix); err == nil {
		t.Error("a file was opened as a folder")
	}
}
