package auth_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// painted is a PNG of one colour.
func painted(t testing.TB, width, height int, c color.Color) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// get asks for an address relative to the API's.
func (w *world) get(address string) (*http.Response, []byte) {
	w.t.Helper()
	res, err := w.server.Client().Get(w.server.URL() + address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res, body
}

// wantColour checks what stands at an address, to a JPEG's precision.
func (w *world) wantColour(address string, want color.RGBA) {
	w.t.Helper()
	res, body := w.get(address)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "image/jpeg" ||
		res.Header.Get("X-Content-Type-Options") != "nosniff" {
		w.t.Fatalf("%s: %s %v %s", address, res.Status, res.Header, body)
	}
	m, err := jpeg.Decode(bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if m.Bounds() != image.Rect(0, 0, 256, 256) {
		w.t.Errorf("bounds %v", m.Bounds())
	}
	r, g, b, _ := m.At(128, 128).RGBA()
	for _, c := range [][2]int{{int(r >> 8), int(want.R)}, {int(g >> 8), int(want.G)}, {int(b >> 8), int(want.B)}} {
		if d := c[0] - c[1]; d < -6 || d > 6 {
			w.t.Errorf("colour %d %d %d, want %v", r>>8, g>>8, b>>8, want)
			break
		}
	}
}

// wantGone checks that there is no picture at an address.
func (w *world) wantGone(address string) {
	w.t.Helper()
	res, body := w.get(address)
	if res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" || !bytes.Contains(body, []byte("NOT_FOUND")) {
		w.t.Errorf("%s: %s %v %s", address, res.Status, res.Header, body)
	}
}

var (
	red   = color.RGBA{R: 200, A: 255}
	green = color.RGBA{G: 200, A: 255}
)

func TestAvatars(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		p := newPlace(t)
		w, ctx := serveAt(t, p), t.Context()
		up := w.signUp(w.device(), "ada")
		id, me := up.GetUser().GetId(), w.as(up.GetAccessToken(), options...)
		upload := func(image []byte) *authv1.User {
			t.Helper()
			res, err := me.UploadAvatar(ctx, &authv1.UploadAvatarRequest{Image: image})
			if err != nil {
				t.Fatal(err)
			}
			if event := <-w.changed; !proto.Equal(event.GetUser(), res.GetUser()) {
				t.Errorf("told the others %v, the user %v", event, res.GetUser())
			}
			return res.GetUser()
		}
		first := upload(painted(t, 400, 300, red)).GetAvatarUrl()
		if !strings.HasPrefix(first, "/auth/avatars/"+id+".jpg?v=") {
			t.Errorf("address %q", first)
		}
		w.wantColour(first, red)
		if again := upload(painted(t, 400, 300, red)).GetAvatarUrl(); again != first {
			t.Errorf("the same picture moved from %s to %s", first, again)
		}
		second := upload(painted(t, 300, 400, green))
		if second.GetAvatarUrl() == first {
			t.Error("another picture has the same address")
		}
		w.wantColour(second.GetAvatarUrl(), green)

		batch, err := w.directory(options...).BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: []string{id}})
		if err != nil || len(batch.GetUsers()) != 1 || !proto.Equal(batch.GetUsers()[0], second) {
			t.Errorf("neighbours see %v, %v", batch, err)
		}
		again := serveAt(t, p) // a restart keeps it
		again.wantColour(second.GetAvatarUrl(), green)

		for range 2 { // having none is no error
			res, err := me.DeleteAvatar(ctx, &authv1.DeleteAvatarRequest{})
			if err != nil || res.GetUser().GetAvatarUrl() != "" {
				t.Fatalf("%v, %v", res, err)
			}
			if event := <-w.changed; event.GetUser().GetAvatarUrl() != "" {
				t.Errorf("told the others %v", event)
			}
		}
		w.wantGone(second.GetAvatarUrl())
		if files, err := os.ReadDir(filepath.Join(p.dataDir, "avatars")); err != nil || len(files) != 0 {
			t.Errorf("left behind: %v, %v", files, err)
		}
	})
}

func TestABannedUserHasNoAvatar(t *testing.T) {
	w, ctx := serve(t), t.Context()
	device := w.device()
	up := w.signUp(device, "ada")
	id := up.GetUser().GetId()
	set, err := w.as(up.GetAccessToken()).UploadAvatar(ctx, &authv1.UploadAvatarRequest{Image: painted(t, 300, 300, red)})
	if err != nil {
		t.Fatal(err)
	}
	<-w.changed
	address := set.GetUser().GetAvatarUrl()
	ban := &authv1.BanUserRequest{UserId: id, Ban: &authv1.Ban{Until: timestamppb.New(w.clock.Now().Add(time.Hour))}}
	res, err := w.directory().BanUser(ctx, ban)
	if err != nil || res.GetAccount().GetUser().GetAvatarUrl() != "" {
		t.Errorf("%v, %v", res, err)
	}
	if event := <-w.changed; event.GetUser().GetAvatarUrl() != "" {
		t.Errorf("told the others %v", event)
	}
	w.wantGone(address)
	w.clock.move(time.Hour) // the ban has ended, and was no verdict on the picture
	w.wantColour(address, red)
	if in := w.signIn(device, "ada"); in.GetUser().GetAvatarUrl() != address {
		t.Errorf("signed in as %v", in.GetUser())
	}
}

func TestWhoMayNotUploadWhat(t *testing.T) {
	w, ctx := serve(t), t.Context()
	good := painted(t, 10, 10, red)
	user := w.signUp(w.device(), "ada").GetAccessToken()
	for name, c := range map[string]struct {
		token  string
		image  []byte
		code   connect.Code
		reason string
	}{
		"a guest":      {w.guest(w.device()).GetAccessToken(), good, connect.CodePermissionDenied, "FORBIDDEN"},
		"the operator": {operatorToken(t, w), good, connect.CodePermissionDenied, "FORBIDDEN"},
		"nothing":      {user, nil, connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"too much":     {user, make([]byte, 700<<10+1), connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"no picture":   {user, []byte("<svg onload=alert(1)>"), connect.CodeInvalidArgument, "IMAGE_INVALID"},
		"half of one":  {user, good[:len(good)/2], connect.CodeInvalidArgument, "IMAGE_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.as(c.token).UploadAvatar(ctx, &authv1.UploadAvatarRequest{Image: c.image})
			wantError(t, err, c.code, c.reason)
		})
	}
	res, err := w.as(operatorToken(t, w)).DeleteAvatar(ctx, &authv1.DeleteAvatarRequest{})
	if err != nil || res.GetUser().GetId() != "operator" {
		t.Errorf("%v, %v", res, err)
	}
	for _, path := range []string{
		"", "x.jpg", "operator.jpg", "..%2foperator.key", "%2e%2e%2foperator.jpg", "00000000000000000000000000.jpg", "00000000000000000000000000.png",
	} {
		w.wantGone("/auth/avatars/" + path)
	}
}

func TestUploadsOfOneUserAreLimited(t *testing.T) {
	w, ctx := serve(t), t.Context()
	upload := func(token string) error {
		_, err := w.as(token).UploadAvatar(ctx, &authv1.UploadAvatarRequest{Image: painted(t, 1, 1, red)})
		return err
	}
	ada, bob := w.signUp(w.device(), "ada").GetAccessToken(), w.signUp(w.device(), "bob").GetAccessToken()
	for range 10 {
		if err := upload(ada); err != nil {
			t.Fatal(err)
		}
	}
	err := upload(ada)
	wantError(t, err, connect.CodeResourceExhausted, "RATE_LIMITED")
	if m := errs.Metadata(err); m["retry_after_ms"] != "60000" {
		t.Errorf("metadata %v", m)
	}
	if err := upload(bob); err != nil {
		t.Error("another user has to wait, too:", err)
	}
	w.clock.move(time.Minute)
	if err := upload(ada); err != nil {
		t.Error(err)
	}
	wantError(t, upload(ada), connect.CodeResourceExhausted, "RATE_LIMITED")
}

// TestUploadsAtOnceLeaveOneWholeAvatar and the address tells the truth about it.
func TestUploadsAtOnceLeaveOneWholeAvatar(t *testing.T) {
	w, ctx := serve(t), t.Context()
	token := w.signUp(w.device(), "ada").GetAccessToken()
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			var err error
			if i%4 == 3 {
				_, err = w.as(token).DeleteAvatar(ctx, &authv1.DeleteAvatarRequest{})
			} else {
				_, err = w.as(token).UploadAvatar(ctx, &authv1.UploadAvatarRequest{Image: painted(t, 300, 300, color.Gray{uint8(i * 30)})})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	me, err := w.as(token).GetMe(ctx, &authv1.GetMeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(w.deps.DataDir, "avatars"))
	if err != nil {
		t.Fatal(err)
	}
	address := me.GetUser().GetAvatarUrl()
	if address == "" {
		if len(files) != 0 {
			t.Errorf("without an avatar there are %v", files)
		}
		return
	}
	res, _ := w.get(address)
	if res.StatusCode != http.StatusOK || len(files) != 1 {
		t.Errorf("%s: %s, files %v", address, res.Status, files)
	}
}
