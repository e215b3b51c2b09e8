package e2e_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// TestAdminCommand operates a running server by the binary's own tool.
func TestAdminCommand(t *testing.T) {
	t.Parallel()
	s := serve(t)
	troll := s.signUp("troll")
	room := s.signUp("streamer").openRoom()
	encoder := encoding{}.push(t, room.issueKey())
	broadcast := room.until(live).GetBroadcast()
	audience := troll.subscribe(room.conversation, nil)
	_, err := troll.say(room.conversation, "first-words", "something unkind")
	must(t, err)

	table(t, s.admin("users"), "USERNAME", troll.username)
	row := table(t, s.admin("users", troll.username), "USERNAME", troll.username)
	if row["ID"] != troll.id || row["NICKNAME"] != "troll" || row["BAN"] != "-" {
		t.Errorf("the user is listed as %v", row)
	}

	s.admin("ban", row["ID"], "--reason", "unkind words", "--for", "1h")
	banned := time.Now()
	if err := audience.ends(); !errs.Is(err, connect.CodeUnauthenticated, "SESSION_REVOKED") {
		t.Errorf("the banned user's open stream ended with %v", err)
	}
	if after := time.Since(banned); after > 5*time.Second {
		t.Errorf("the banned user's open stream ended after %v, and 5 s are promised", after)
	}
	_, err = troll.say(room.conversation, "last-words", "something more")
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("the banned user's next message is answered with %v", err)
	}
	_, err = troll.auth.SignIn(within(t), &authv1.SignInRequest{DeviceId: troll.device, Username: troll.username, Password: password})
	if !errs.Is(err, connect.CodePermissionDenied, "BANNED") {
		t.Errorf("the banned user's sign-in is answered with %v", err)
	}
	if row := table(t, s.admin("users", "--banned"), "USERNAME", troll.username); !strings.Contains(row["BAN"], "unkind words") {
		t.Errorf("the banned user is listed as %v", row)
	}

	row = table(t, s.admin("rooms", "--live"), "ID", room.id)
	if row["OWNER"] != "streamer" || !strings.Contains(row["STATE"], "LIVE") {
		t.Errorf("the room is listed as %v", row)
	}
	if out := s.admin("end-broadcast", room.id, "--reason", "enough"); !strings.Contains(out, broadcast.GetId()) {
		t.Errorf("the end of broadcast %s is told as %q", broadcast.GetId(), out)
	}
	refused(t, encoder, "")
	room.until(ended)

	log := s.admin("audit")
	if row := table(t, log, "ACTION", "user.ban"); row["TARGET"] != troll.id || row["DETAIL"] == "" {
		t.Errorf("the ban is in the audit log as %v", row)
	}
	if row := table(t, log, "ACTION", "broadcast.end"); row["TARGET"] != room.id || !strings.Contains(row["DETAIL"], "enough") {
		t.Errorf("the end is in the audit log as %v", row)
	}

	s.admin("unban", troll.id)
	_, err = troll.auth.SignIn(within(t), &authv1.SignInRequest{DeviceId: troll.device, Username: troll.username, Password: password})
	must(t, err)

	// Whoever has no key to the data folder is no operator.
	if out, err := s.command("admin", "users", "--server", s.url, "--data-dir", t.TempDir()); err == nil || !strings.Contains(out, "operator key") {
		t.Errorf("without the operator key: %v, %q", err, out)
	}
}

// admin runs a command of the operator's tool.
func (s *server) admin(args ...string) string {
	s.t.Helper()
	out, err := s.command(append([]string{"admin", "--server", s.url, "--data-dir", s.dataDir}, args...)...)
	if err != nil {
		s.t.Fatalf("stoa admin %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// table returns the row of a printed table whose column has a value. Columns start where their headers do.
func table(t *testing.T, out, column, value string) map[string]string {
	t.Helper()
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	headers := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, header := range headers {
			from, to := strings.Index(lines[0], header), len(line)
			if i+1 < len(headers) {
				to = min(to, strings.Index(lines[0], headers[i+1]))
			}
			if from < to {
				row[header] = strings.TrimSpace(line[from:to])
			}
		}
		if row[column] == value {
			return row
		}
	}
	t.Fatalf("there is no row with the %s %s in:\n%s", column, value, out)
	return nil
}
