package auth_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// TestWholeLife is one body over every protocol: a device, a guest, a user, its profile, its devices, its end.
func TestWholeLife(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w, ctx := serve(t), t.Context()
		client := w.client(options...)

		device, err := client.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{
			Platform: authv1.Platform_PLATFORM_ANDROID, Model: "Pixel", AppVersion: "2.1",
		})
		if err != nil {
			t.Fatal(err)
		}
		id := device.GetDeviceId()
		if !strings.HasPrefix(id, "dev_") || len(id) != len("dev_")+32 {
			t.Errorf("device id %q", id)
		}

		guest, err := client.SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: id})
		if err != nil {
			t.Fatal(err)
		}
		if u := guest.GetUser(); u.GetRole() != authv1.Role_ROLE_GUEST || u.GetUsername() != "" ||
			!strings.HasPrefix(u.GetNickname(), "Guest-") || len(u.GetId()) != 26 {
			t.Errorf("guest %v", u)
		}

		up, err := client.SignUp(ctx, &authv1.SignUpRequest{DeviceId: id, Username: "Ada", Password: password, Nickname: " Ada L. "})
		if err != nil {
			t.Fatal(err)
		}
		user := up.GetUser()
		if user.GetId() == guest.GetUser().GetId() || user.GetUsername() != "ada" || user.GetNickname() != "Ada L." ||
			user.GetRole() != authv1.Role_ROLE_USER {
			t.Errorf("user %v", user)
		}
		p := w.principal(up.GetAccessToken())
		if p.UserID != user.GetId() || p.DeviceID != id || p.Role != authv1.Role_ROLE_USER ||
			!p.ExpiresAt.Equal(up.GetExpiresAt().AsTime()) ||
			!p.ExpiresAt.Equal(w.clock.Now().Add(accessLifetime).Truncate(time.Second)) {
			t.Errorf("principal %+v, expires_at %v", p, up.GetExpiresAt().AsTime())
		}

		in, err := client.SignIn(ctx, &authv1.SignInRequest{DeviceId: id, Username: "aDA", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		w.wantRevoked(up.GetAccessToken())
		if !proto.Equal(in.GetUser(), user) {
			t.Errorf("signed in as %v, up as %v", in.GetUser(), user)
		}
		wantError(t, w.me(up.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")

		next, err := client.RefreshToken(ctx, &authv1.RefreshTokenRequest{RefreshToken: in.GetRefreshToken()})
		if err != nil {
			t.Fatal(err)
		}
		if next.GetRefreshToken() == in.GetRefreshToken() || next.GetAccessToken() == in.GetAccessToken() {
			t.Error("a refresh changed nothing")
		}
		me := w.as(next.GetAccessToken(), options...)
		changed, err := me.UpdateProfile(ctx, &authv1.UpdateProfileRequest{
			Nickname: "Countess", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nickname"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := me.GetMe(ctx, &authv1.GetMeRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got.GetUser(), changed.GetUser()) || got.GetUser().GetNickname() != "Countess" {
			t.Errorf("changed to %v, read %v", changed.GetUser(), got.GetUser())
		}
		if event := <-w.changed; !proto.Equal(event.GetUser(), got.GetUser()) {
			t.Errorf("told the others %v", event)
		}

		devices, err := me.ListDevices(ctx, &authv1.ListDevicesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		want := &authv1.Device{
			Id: id, Platform: authv1.Platform_PLATFORM_ANDROID, Model: "Pixel", AppVersion: "2.1", Current: true,
			LastSeenAt: timestamppb.New(w.clock.Now().Truncate(time.Millisecond)),
		}
		if len(devices.GetDevices()) != 1 || !proto.Equal(devices.GetDevices()[0], want) {
			t.Errorf("devices %v, want %v", devices.GetDevices(), want)
		}

		if _, err := me.SignOut(ctx, &authv1.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
		w.wantRevoked(next.GetAccessToken())
		wantError(t, w.me(next.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
		_, err = client.RefreshToken(ctx, &authv1.RefreshTokenRequest{RefreshToken: next.GetRefreshToken()})
		wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
	})
}

func TestTheSameDeviceStaysTheSameGuest(t *testing.T) {
	w := serve(t)
	device := w.device()
	first := w.guest(device)
	again := w.guest(device)
	if first.GetUser().GetId() != again.GetUser().GetId() {
		t.Error("a guest came back as another one")
	}
	w.wantRevoked(first.GetAccessToken())
	if _, err := w.as(again.GetAccessToken()).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	if back := w.guest(device); back.GetUser().GetId() != first.GetUser().GetId() {
		t.Error("a guest came back from signing out as another one")
	}
	if other := w.guest(w.device()); other.GetUser().GetId() == first.GetUser().GetId() {
		t.Error("two devices are one guest")
	}
	w.signUp(device, "somebody")
	if after := w.guest(device); after.GetUser().GetId() == first.GetUser().GetId() || after.GetUser().GetRole() != authv1.Role_ROLE_GUEST {
		t.Errorf("after a user the device is the guest %v", after.GetUser())
	}
}

// TestAGuestBecomesAUser holds that what a guest has open goes on: the session stays, with a new person and new tokens.
func TestAGuestBecomesAUser(t *testing.T) {
	for name, come := range map[string]func(w *world, device string) (access string){
		"signs up": func(w *world, device string) string { return w.signUp(device, "ada").GetAccessToken() },
		"signs in": func(w *world, device string) string {
			w.signUp(w.device(), "ada")
			return w.signIn(device, "ada").GetAccessToken()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			device := w.device()
			guest := w.guest(device)
			access := come(w, device)
			before, after := w.principal(guest.GetAccessToken()), w.principal(access)
			if before.SessionID != after.SessionID {
				t.Errorf("the session %s became %s", before.SessionID, after.SessionID)
			}
			if before.UserID == after.UserID || after.Role != authv1.Role_ROLE_USER {
				t.Errorf("the guest %+v became %+v", before, after)
			}
			// Nobody gets the user's session by what the guest had.
			_, err := w.refresh(guest.GetRefreshToken())
			wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
			if err := w.me(access); err != nil {
				t.Errorf("the user's session ended by the guest's token: %v", err)
			}
			// The end of the user's session is the end of what the guest had open.
			if _, err := w.as(access).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
				t.Fatal(err)
			}
			w.wantRevoked(guest.GetAccessToken())
			wantError(t, w.me(guest.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
		})
	}
}

func TestGuestsMayNotChangeTheirProfile(t *testing.T) {
	w := serve(t)
	_, err := w.as(w.guest(w.device()).GetAccessToken()).UpdateProfile(t.Context(), &authv1.UpdateProfileRequest{
		Nickname: "Me", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nickname"}},
	})
	wantError(t, err, connect.CodePermissionDenied, "FORBIDDEN")
}

func TestNobodySignsInOnAnUnknownDevice(t *testing.T) {
	w, ctx := serve(t), t.Context()
	w.signUp(w.device(), "known")
	const device = "dev_00000000000000000000000000000000"
	_, up := w.client().SignUp(ctx, &authv1.SignUpRequest{DeviceId: device, Username: "new", Password: password})
	_, in := w.client().SignIn(ctx, &authv1.SignInRequest{DeviceId: device, Username: "known", Password: password})
	_, guest := w.client().SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: device})
	for _, err := range []error{up, in, guest} {
		wantError(t, err, connect.CodeNotFound, "DEVICE_NOT_FOUND")
	}
}

func TestDevicesAndTheirRevocation(t *testing.T) {
	w, ctx := serve(t), t.Context()
	phone, laptop, tv := w.device(), w.device(), w.device()
	w.signUp(phone, "ada")
	onPhone := w.signIn(phone, "ada")
	<-w.revoked // of the sign-up's
	w.clock.move(time.Second)
	onLaptop := w.signIn(laptop, "ada")
	onTV := w.signIn(tv, "ada") // at the same moment as the laptop
	me := w.as(onPhone.GetAccessToken())

	var ids []string
	var token string
	for {
		res, err := me.ListDevices(ctx, &authv1.ListDevicesRequest{PageSize: 1, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range res.GetDevices() {
			ids = append(ids, d.GetId())
			if d.GetCurrent() != (d.GetId() == phone) {
				t.Errorf("%s is current: %v", d.GetId(), d.GetCurrent())
			}
		}
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(ids) != 3 || ids[0] != tv || ids[1] != laptop || ids[2] != phone {
		t.Errorf("devices %v, want %v", ids, []string{tv, laptop, phone})
	}
	_, err := me.ListDevices(ctx, &authv1.ListDevicesRequest{PageToken: "nonsense"})
	wantError(t, err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")

	if _, err := me.RevokeDevice(ctx, &authv1.RevokeDeviceRequest{DeviceId: laptop}); err != nil {
		t.Fatal(err)
	}
	w.wantRevoked(onLaptop.GetAccessToken())
	wantError(t, w.me(onLaptop.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
	if err := w.me(onTV.GetAccessToken()); err != nil {
		t.Error("another device was signed out:", err)
	}
	stranger := w.signUp(w.device(), "bob")
	for name, call := range map[string]func() error{
		"again": func() error {
			_, err := me.RevokeDevice(ctx, &authv1.RevokeDeviceRequest{DeviceId: laptop})
			return err
		},
		"of another user": func() error {
			_, err := w.as(stranger.GetAccessToken()).RevokeDevice(ctx, &authv1.RevokeDeviceRequest{DeviceId: tv})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, call(), connect.CodeNotFound, "DEVICE_NOT_FOUND") })
	}
	if w.counter("stoa_auth_revoked_sessions_total", "device_revoked") != 1 {
		t.Error("the revocation was not counted")
	}
}

func TestNoSecretIsStoredOrLogged(t *testing.T) {
	p := newPlace(t)
	w := serveAt(t, p)
	up := w.signUp(w.device(), "ada")
	next, err := w.refresh(up.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.refresh(up.GetRefreshToken()) // reuse is logged
	setup := w.service.SetupToken()
	w.firstAdmin(setup, w.device(), "root1")
	operator, err := os.ReadFile(filepath.Join(p.dataDir, "operator.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client().SignInAsOperator(t.Context(), &authv1.SignInAsOperatorRequest{OperatorKey: string(operator)}); err != nil {
		t.Fatal(err)
	}
	stored := onDisk(t, p.storeURL)
	if !bytes.Contains(stored, []byte("$argon2id$v=19$m=64,t=1,p=1$")) {
		t.Fatal("this looks at the wrong files")
	}
	for _, secret := range []string{
		password, setup, up.GetRefreshToken(), next.GetRefreshToken(), up.GetAccessToken(), strings.TrimSpace(string(operator)),
	} {
		if bytes.Contains(stored, []byte(secret)) {
			t.Errorf("stored: %s", secret)
		}
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("logged: %s", secret)
		}
	}
}

// onDisk is everything that the service wrote to its database.
func onDisk(t testing.TB, storeURL string) []byte {
	t.Helper()
	return storetest.Contents(t, storeURL, "auth", os.DirFS("."))
}
