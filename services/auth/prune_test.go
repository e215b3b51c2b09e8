package auth_test

import (
	"os"
	"testing"
	"time"

	"connectrpc.com/connect"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/device"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	"github.com/stoa-live/stoa/gen/ent/auth/user"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

const day = 24 * time.Hour

// eventually waits for the background work.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still waiting for ", what)
		}
	}
}

func TestASessionThatEndedIsPrunedAfterADay(t *testing.T) {
	p := newPlace(t)
	w := serveAt(t, p)
	up := w.signUp(w.device(), "ada")
	if _, err := w.refresh(up.GetRefreshToken()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.as(up.GetAccessToken()).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	w.clock.move(grace)
	_, err := w.refresh(up.GetRefreshToken())
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	w.clock.move(25 * time.Hour)
	again := serveAt(t, p) // prunes when it starts
	deadline := time.Now().Add(10 * time.Second)
	for errs.Reason(err) != "REFRESH_TOKEN_INVALID" && time.Now().Before(deadline) {
		_, err = again.refresh(up.GetRefreshToken())
	}
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
}

func TestGuestsWhoDoNotComeBackAreForgotten(t *testing.T) {
	p := newPlace(t)
	w, ctx := serveAt(t, p), t.Context()
	gone, back, refreshed, banned, person := w.device(), w.device(), w.device(), w.device(), w.device()
	guests := make(map[string]string)
	tokens := make(map[string]string)
	for _, id := range []string{gone, back, refreshed, banned} {
		in := w.guest(id)
		guests[id], tokens[id] = in.GetUser().GetId(), in.GetRefreshToken()
	}
	former := w.guest(person).GetUser().GetId() // a guest until the sign-up
	ada := w.signUp(person, "ada")
	if _, err := w.directory().BanUser(ctx, &authv1.BanUserRequest{UserId: guests[banned], Ban: &authv1.Ban{}}); err != nil {
		t.Fatal(err)
	}
	w.clock.move(20 * day)
	w.guest(back)
	w.exchange(tokens[refreshed])
	w.clock.move(10*day + time.Second)

	w = serveAt(t, p) // prunes when it starts
	db := p.tables(t)
	has := func(id string) bool { return db.User.Query().Where(user.ID(id)).ExistX(ctx) }
	eventually(t, "the end of guests", func() bool { return !has(guests[gone]) && !has(former) })
	if db.Device.Query().Where(device.ID(gone)).ExistX(ctx) || db.Session.Query().Where(session.DeviceID(gone)).ExistX(ctx) {
		t.Error("the guest has left a device or a session")
	}
	for name, id := range map[string]string{
		"who came back": guests[back], "who stayed": guests[refreshed], "who is banned": guests[banned],
		"with an account": ada.GetUser().GetId(),
	} {
		if !has(id) {
			t.Errorf("a user %s was forgotten", name)
		}
	}
	_, err := w.refresh(tokens[gone])
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
	_, err = w.client().SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: gone})
	wantError(t, err, connect.CodeNotFound, "DEVICE_NOT_FOUND")
	_, err = w.client().SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: banned})
	wantError(t, err, connect.CodePermissionDenied, "BANNED")
	if in := w.guest(back); in.GetUser().GetId() != guests[back] {
		t.Error("a guest came back as another one")
	}
	w.signIn(person, "ada")
}

func TestManyGuestsArePrunedInBatches(t *testing.T) {
	p := newPlace(t)
	serveAt(t, p)
	db, ctx, start := p.tables(t), t.Context(), p.clock.Now().UTC()
	const guests = 1201 // more than two batches
	users, devices := make([]*entauth.UserCreate, guests), make([]*entauth.DeviceCreate, guests)
	for i := range guests {
		id := "guest" + time.Duration(i).String()
		users[i] = db.User.Create().SetID(id).SetNickname(id).SetRole(int(authv1.Role_ROLE_GUEST)).SetCreatedAt(start).
			SetUpdatedAt(start).SetGuestSeenAt(start)
		devices[i] = db.Device.Create().SetID("dev_" + id).SetPlatform(1).SetModel("").SetAppVersion("").SetUserID(id).
			SetCreatedAt(start)
	}
	db.User.CreateBulk(users...).SaveX(ctx)
	db.Device.CreateBulk(devices...).SaveX(ctx)
	p.clock.move(31 * day)
	serveAt(t, p)
	eventually(t, "the end of all guests", func() bool { return db.User.Query().CountX(ctx)+db.Device.Query().CountX(ctx) == 0 })
}

func TestADeviceThatNeverSignedInIsPrunedAfterADay(t *testing.T) {
	p := newPlace(t)
	w, ctx := serveAt(t, p), t.Context()
	old, used := w.device(), w.device()
	w.signUp(used, "ada")
	w.clock.move(day)
	young := w.device()
	w.clock.move(time.Second)
	serveAt(t, p)
	db := p.tables(t)
	has := func(id string) bool { return db.Device.Query().Where(device.ID(id)).ExistX(ctx) }
	eventually(t, "the end of the device", func() bool { return !has(old) })
	if !has(used) || !has(young) {
		t.Errorf("used is there: %v, young: %v", has(used), has(young))
	}
}

// tables are the rows of the service at a place.
func (p place) tables(t testing.TB) *entauth.Client {
	t.Helper()
	db := storetest.OpenAt(t, p.storeURL, "auth", os.DirFS("."))
	return entauth.NewClient(entauth.Driver(db.WriteDriver()))
}
