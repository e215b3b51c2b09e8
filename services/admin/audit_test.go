package admin_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

func TestLogIsFiltered(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	ctx := t.Context()
	w.must(second(w.as("ann").UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: "bob"})))
	w.must(second(w.as("abe").SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "moe", Role: authv1.Role_ROLE_USER})))
	w.must(second(w.as("ann").BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: "r"})))
	w.must(second(w.as("abe").EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "room", Reason: "r"})))
	w.must(w.set(&sitev1.Site{Name: "S"}, "name"))
	page, err := w.as("ann").ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{})
	w.must(err)
	var at []*timestamppb.Timestamp // oldest first
	for _, e := range slices.Backward(page.GetEntries()) {
		at = append(at, e.GetAt())
	}
	if len(at) != 5 || !slices.IsSortedFunc(at, func(a, b *timestamppb.Timestamp) int { return a.AsTime().Compare(b.AsTime()) }) {
		t.Fatalf("times are %v", at)
	}
	shifted := func(i int, by time.Duration) *timestamppb.Timestamp { return timestamppb.New(at[i].AsTime().Add(by)) }
	for name, c := range map[string]struct {
		filter *adminv1.ListAuditEntriesRequest
		want   string // actions, without their common parts
	}{
		"everything":       {&adminv1.ListAuditEntriesRequest{}, "user.unban user.set_role user.ban broadcast.end site.update"},
		"an actor":         {&adminv1.ListAuditEntriesRequest{ActorId: "abe"}, "user.set_role broadcast.end"},
		"a target":         {&adminv1.ListAuditEntriesRequest{TargetId: "bob"}, "user.unban user.ban"},
		"both":             {&adminv1.ListAuditEntriesRequest{ActorId: "abe", TargetId: "bob"}, ""},
		"an action":        {&adminv1.ListAuditEntriesRequest{Action: "user.ban"}, "user.ban"},
		"a group":          {&adminv1.ListAuditEntriesRequest{Action: "user."}, "user.unban user.set_role user.ban"},
		"another group":    {&adminv1.ListAuditEntriesRequest{Action: "broadcast."}, "broadcast.end"},
		"half a word":      {&adminv1.ListAuditEntriesRequest{Action: "use"}, ""},
		"half a group":     {&adminv1.ListAuditEntriesRequest{Action: "use."}, ""},
		"a wildcard":       {&adminv1.ListAuditEntriesRequest{Action: "user_."}, ""},
		"every wildcard":   {&adminv1.ListAuditEntriesRequest{Action: "%."}, ""},
		"capitals":         {&adminv1.ListAuditEntriesRequest{Action: "USER."}, ""},
		"only a dot":       {&adminv1.ListAuditEntriesRequest{Action: "."}, ""},
		"since the third":  {&adminv1.ListAuditEntriesRequest{Since: at[2]}, "user.ban broadcast.end site.update"},
		"after the third":  {&adminv1.ListAuditEntriesRequest{Since: shifted(2, 1)}, "broadcast.end site.update"},
		"before the third": {&adminv1.ListAuditEntriesRequest{Until: at[2]}, "user.unban user.set_role"},
		"up to the third":  {&adminv1.ListAuditEntriesRequest{Until: shifted(2, 1)}, "user.unban user.set_role user.ban"},
		"only the third":   {&adminv1.ListAuditEntriesRequest{Since: at[2], Until: shifted(2, 1)}, "user.ban"},
		"an empty span":    {&adminv1.ListAuditEntriesRequest{Since: at[2], Until: at[2]}, ""},
		"since ever":       {&adminv1.ListAuditEntriesRequest{Since: &timestamppb.Timestamp{}}, "user.unban user.set_role user.ban broadcast.end site.update"},
		"before Christ":    {&adminv1.ListAuditEntriesRequest{Until: &timestamppb.Timestamp{Seconds: -1}}, ""},
		"in the far past":  {&adminv1.ListAuditEntriesRequest{Since: &timestamppb.Timestamp{Seconds: -1}, Until: shifted(4, 1)}, "user.unban user.set_role user.ban broadcast.end site.update"},
		"at the end":       {&adminv1.ListAuditEntriesRequest{Since: timestamppb.New(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))}, ""},
		"up to the end":    {&adminv1.ListAuditEntriesRequest{Until: timestamppb.New(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)), Action: "site."}, "site.update"},
		"all at once":      {&adminv1.ListAuditEntriesRequest{ActorId: "ann", TargetId: "bob", Action: "user.", Since: at[1], Until: at[4]}, "user.ban"},
	} {
		for _, size := range []int32{1, 2, 100} {
			c.filter.PageSize = size
			var actions []string
			for _, line := range w.log(c.filter) {
				actions = append(actions, strings.Split(line, "|")[1])
			}
			if got := strings.Join(actions, " "); got != c.want {
				t.Errorf("%s, pages of %d: %q", name, size, got)
			}
		}
	}
}

func TestLogSurvivesARestart(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	t.Run("before", func(t *testing.T) {
		w := boot(t, url)
		w.must(second(w.as("ann").UnbanUser(t.Context(), &adminv1.UnbanUserRequest{UserId: "bob"})))
	})
	boot(t, url).expect("ann Ann|user.unban|bob Bob||")
}

// TestLogFromBeforeNames starts on a database of the first release.
func TestLogFromBeforeNames(t *testing.T) {
	t.Parallel()
	storetest.OnlySQLite(t, "there was no older version")
	url := storetest.URL(t)
	first, err := fs.ReadFile(os.DirFS("."), "migrations/sqlite/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("before", func(t *testing.T) {
		db := storetest.OpenAt(t, url, "admin", fstest.MapFS{"migrations/sqlite/0001_init.sql": {Data: first}})
		_, err := db.Write.ExecContext(t.Context(), "INSERT INTO audit_entries (id, at, actor_id, action, target_id, detail, error) "+
			"VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', ?, 'ann', 'user.ban', 'bob', 'spam', '')", time.Now().UTC())
		if err != nil {
			t.Fatal(err)
		}
	})
	w := boot(t, url)
	w.must(second(w.as("ann").UnbanUser(t.Context(), &adminv1.UnbanUserRequest{UserId: "bob"})))
	w.expect("ann|user.ban|bob|spam|", "ann Ann|user.unban|bob Bob||")
	if got := w.site().GetName(); got != "Stoa" {
		t.Errorf("the site is called %q", got)
	}
}
