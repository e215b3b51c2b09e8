package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/auth"
)

func TestUsernames(t *testing.T) {
	w := serve(t)
	w.signUp(w.device(), "Ada")
	for name, c := range map[string]struct {
		username string
		code     connect.Code
		reason   string
	}{
		"taken":           {"aDa", connect.CodeAlreadyExists, "USERNAME_TAKEN"},
		"reserved":        {"admin", connect.CodeAlreadyExists, "USERNAME_TAKEN"},
		"reserved, case":  {"Root", connect.CodeAlreadyExists, "USERNAME_TAKEN"},
		"reserved, split": {"s.t_o-a", connect.CodeAlreadyExists, "USERNAME_TAKEN"},
		"short":           {"ab", connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"digit first":     {"1abc", connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"space":           {"a bc", connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"line end":        {"abc\n", connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
		"other letters":   {"аdа", connect.CodeInvalidArgument, "INVALID_ARGUMENT"}, // Cyrillic
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.client().SignUp(t.Context(), &authv1.SignUpRequest{
				DeviceId: w.device(), Username: c.username, Password: password,
			})
			wantError(t, err, c.code, c.reason)
		})
	}
}

func TestOfConcurrentSignUpsOneWins(t *testing.T) {
	w := serve(t)
	const callers = 8
	devices := make([]string, callers)
	for i := range devices {
		devices[i] = w.device()
	}
	failures := make([]error, callers)
	var calls sync.WaitGroup
	for i, device := range devices {
		calls.Go(func() {
			_, failures[i] = w.client().SignUp(t.Context(), &authv1.SignUpRequest{DeviceId: device, Username: "ada", Password: password})
		})
	}
	calls.Wait()
	won := 0
	for _, err := range failures {
		if err == nil {
			won++
			continue
		}
		wantError(t, err, connect.CodeAlreadyExists, "USERNAME_TAKEN")
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, callers)
	}
}

func TestUnknownNamesLookLikeWrongPasswords(t *testing.T) {
	// The real cost of a password, so that the time it takes can be compared.
	w := serve(t, func(c *auth.Config) { c.Argon2 = auth.Argon2{} })
	device := w.device()
	w.signUp(w.device(), "ada")
	attempt := func(username string) (time.Duration, error) {
		start := time.Now()
		_, err := w.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: device, Username: username, Password: "a wrong one"})
		wantError(t, err, connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
		return time.Since(start), err
	}
	least := map[string]time.Duration{"ada": time.Hour, "nobody": time.Hour}
	alike := func() bool { return least["nobody"] >= least["ada"]/2 }
	for i := 0; i < 3 || i < 30 && !alike(); i++ { // what else the machine does only adds to the least
		took, wrong := attempt("ada")
		least["ada"] = min(least["ada"], took)
		took, unknown := attempt("nobody")
		least["nobody"] = min(least["nobody"], took)
		if wrong.Error() != unknown.Error() || fmt.Sprint(errs.Metadata(wrong)) != fmt.Sprint(errs.Metadata(unknown)) {
			t.Errorf("%v differs from %v", wrong, unknown)
		}
	}
	if !alike() {
		t.Errorf("unknown names take %v, known ones %v", least["nobody"], least["ada"])
	}
}

func TestTenThousandAttemptsAtOneNameAreCutOff(t *testing.T) {
	w := serve(t)
	w.signUp(w.device(), "ada")
	device := w.device()
	var (
		mu      sync.Mutex
		reasons = make(map[string]int)
		calls   sync.WaitGroup
		client  = w.client()
		start   = time.Now()
	)
	const workers, each = 50, 200
	for range workers {
		calls.Go(func() {
			for range each {
				_, err := client.SignIn(t.Context(), &authv1.SignInRequest{DeviceId: device, Username: "ada", Password: "a guess"})
				mu.Lock()
				reasons[errs.Reason(err)]++
				mu.Unlock()
			}
		})
	}
	calls.Wait()
	if reasons["WRONG_CREDENTIALS"] != 10 || reasons["TOO_MANY_ATTEMPTS"] != workers*each-10 {
		t.Errorf("answers %v", reasons)
	}
	if n := w.counter("stoa_auth_sign_ins_total", "password", "TOO_MANY_ATTEMPTS"); n != workers*each-10 {
		t.Errorf("counted %v", n)
	}
	t.Logf("%d attempts in %v", workers*each, time.Since(start))

	// The right password waits, too, with a growing delay.
	attempt := func(password string) error {
		_, err := client.SignIn(t.Context(), &authv1.SignInRequest{DeviceId: device, Username: "ADA", Password: password})
		return err
	}
	err := attempt(password)
	wantError(t, err, connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	if m := errs.Metadata(err); m["retry_after_ms"] != "60000" {
		t.Errorf("metadata %v", m)
	}
	for _, delay := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		w.clock.move(delay - time.Second)
		wantError(t, attempt("a guess"), connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
		w.clock.move(time.Second)
		wantError(t, attempt("a guess"), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	}
	w.clock.move(8 * time.Minute)
	if err := attempt(password); err != nil {
		t.Fatal("the owner is locked out:", err)
	}
	for range 10 { // and starts anew
		wantError(t, attempt("a guess"), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	}
}

func TestStrangersDoNotLockAUserOutOfTheirDevice(t *testing.T) {
	w := serve(t)
	own, strange := w.device(), w.device()
	w.signUp(own, "ada")
	guess := func() error {
		_, err := w.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: strange, Username: "ada", Password: "a guess"})
		return err
	}
	for range 20 {
		_ = guess()
	}
	w.signIn(own, "ada")
	strange = w.device()
	wantError(t, guess(), connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS") // nor is their count forgotten
}

func TestOneDeviceMayNotTryManyNames(t *testing.T) {
	w := serve(t, func(c *auth.Config) { c.DeviceAttempts = 5 })
	device := w.device()
	attempt := func(i int) error {
		_, err := w.client().SignIn(t.Context(), &authv1.SignInRequest{
			DeviceId: device, Username: fmt.Sprintf("name%d", i), Password: "a guess",
		})
		return err
	}
	for i := range 5 {
		wantError(t, attempt(i), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	}
	wantError(t, attempt(5), connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	w.clock.move(16 * time.Minute)
	wantError(t, attempt(6), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
}

// from calls with the header by which the gateway names its client.
func from(t *testing.T, address string) context.Context {
	ctx, call := connect.NewClientContext(t.Context())
	call.RequestHeader().Set("X-Stoa-Client-Address", address)
	return ctx
}

func TestOneAddressMayNotTryManyNames(t *testing.T) {
	w := serve(t, func(c *auth.Config) { c.AddressAttempts = 5 })
	attempt := func(i int, address string) error {
		_, err := w.client().SignIn(from(t, address), &authv1.SignInRequest{
			DeviceId: w.device(), Username: fmt.Sprintf("name%d", i), Password: "a guess",
		})
		return err
	}
	for i := range 5 {
		wantError(t, attempt(i, fmt.Sprintf("2001:db8:0:1::%d", i)), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	}
	wantError(t, attempt(5, "2001:db8:0:1:ffff::"), connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	wantError(t, attempt(6, "2001:db8:0:2::"), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	wantError(t, attempt(7, "not an address"), connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
}

// TestWhoConnectsByItselfDoesNotChooseItsAddress is over TCP: there the header is the client's own.
func TestWhoConnectsByItselfDoesNotChooseItsAddress(t *testing.T) {
	for trusted, reason := range map[bool]string{false: "RATE_LIMITED", true: ""} {
		w := serve(t, func(c *auth.Config) { c.RegistrationBurst, c.TrustClientAddress = 1, trusted })
		server := httptest.NewServer(w.mux)
		t.Cleanup(server.Close)
		client := authv1connect.NewAuthServiceClient(server.Client(), server.URL)
		request := &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_CLI}
		if _, err := client.RegisterDevice(from(t, "192.0.2.1"), request); err != nil {
			t.Fatal(err)
		}
		_, err := client.RegisterDevice(from(t, "192.0.2.2"), request)
		if errs.Reason(err) != reason {
			t.Errorf("trusted %v: %v", trusted, err)
		}
	}
}

func TestOneAddressMayNotMakeManyDevicesGuestsOrUsers(t *testing.T) {
	w := serve(t, func(c *auth.Config) { c.RegistrationBurst, c.RegistrationsPerMinute = 3, 6 })
	device := w.device()
	kinds := map[string]func(ctx context.Context, i int) error{
		"devices": func(ctx context.Context, _ int) error {
			_, err := w.client().RegisterDevice(ctx, &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_CLI})
			return err
		},
		"guests": func(ctx context.Context, _ int) error {
			_, err := w.client().SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: device})
			return err
		},
		"users": func(ctx context.Context, i int) error {
			_, err := w.client().SignUp(ctx, &authv1.SignUpRequest{DeviceId: device, Username: fmt.Sprintf("user%d", i), Password: password})
			return err
		},
	}
	for name, make := range kinds {
		for i := range 3 {
			if err := make(from(t, "192.0.2.1"), i); err != nil {
				t.Fatal(name, err)
			}
		}
		err := make(from(t, "::ffff:192.0.2.1"), 3) // the same one
		wantError(t, err, connect.CodeResourceExhausted, "RATE_LIMITED")
		if m := errs.Metadata(err); m["retry_after_ms"] != "10000" {
			t.Errorf("%s: metadata %v", name, m)
		}
		if err := make(from(t, "192.0.2.2"), 4); err != nil {
			t.Error(name, err)
		}
	}
	w.clock.move(10 * time.Second)
	for name, make := range kinds {
		if err := make(from(t, "192.0.2.1"), 5); err != nil {
			t.Error(name, err)
		}
	}
}

func TestHashingIsBounded(t *testing.T) {
	w := serve(t, func(c *auth.Config) {
		c.Argon2 = auth.Argon2{MemoryKiB: 32 << 10, Passes: 4, Lanes: 1}
		c.HashConcurrency, c.HashQueue = 1, 2
		c.DeviceAttempts = 1000
	})
	device := w.device()
	const callers = 100
	failures := make([]error, callers)
	var calls sync.WaitGroup
	for i := range callers {
		calls.Go(func() {
			_, failures[i] = w.client().SignIn(t.Context(), &authv1.SignInRequest{
				DeviceId: device, Username: fmt.Sprintf("name%d", i), Password: "a guess",
			})
		})
	}
	calls.Wait()
	reasons := make(map[string]int)
	for _, err := range failures {
		reasons[errs.Reason(err)]++
	}
	if reasons["WRONG_CREDENTIALS"] < 1 || reasons["TOO_MANY_ATTEMPTS"] < callers/2 ||
		reasons["WRONG_CREDENTIALS"]+reasons["TOO_MANY_ATTEMPTS"] != callers {
		t.Errorf("answers %v", reasons)
	}
}

func TestHashesOfAnotherCostAreRenewed(t *testing.T) {
	p := newPlace(t)
	w := serveAt(t, p)
	device := w.device()
	w.signUp(device, "ada")
	dearer := serveAt(t, p, func(c *auth.Config) { c.Argon2 = auth.Argon2{MemoryKiB: 128, Passes: 2, Lanes: 1} })
	_, err := dearer.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: device, Username: "ada", Password: "a guess"})
	wantError(t, err, connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
	for range 2 {
		dearer.signIn(device, "ada")
	}
	if !strings.Contains(string(onDisk(t, p.storeURL)), "$argon2id$v=19$m=128,t=2,p=1$") {
		t.Error("the hash has the former cost")
	}
}

func TestWrongConfigs(t *testing.T) {
	w := serve(t)
	for name, config := range map[string]auth.Config{
		"negative":         {SignInAttempts: -1},
		"no time":          {AccessLifetime: time.Millisecond},
		"short sessions":   {RefreshLifetime: time.Minute},
		"endless retries":  {RefreshGrace: month},
		"short guests":     {GuestLifetime: time.Hour},
		"keys never used":  {KeyLifetime: time.Hour, KeyAhead: time.Hour},
		"all the memory":   {Argon2: auth.Argon2{MemoryKiB: 2 << 20}},
		"metrics of other": {}, // the registry has the service's already
	} {
		t.Run(name, func(t *testing.T) {
			s, err := auth.New(t.Context(), config, w.deps)
			if err == nil {
				t.Error("it started", errors.Join(s.Close(t.Context())))
			}
		})
	}
}
