package store_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// TestTheLogIsBroughtIntoTheDatabase writes enough for the log to be worth copying, and too little for a commit to do it.
func TestTheLogIsBroughtIntoTheDatabase(t *testing.T) {
	rawURL := storetest.URL(t)
	db := storetest.OpenAt(t, rawURL, "auth", migrations(first))
	text := strings.Repeat("x", 8<<10)
	for range 16 {
		err := store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
			for range 64 {
				if _, err := tx.ExecContext(t.Context(), "INSERT INTO users VALUES (hex(randomblob(16)), hex(randomblob(16)) || ?)", text); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	const want = 16 * 64 * 8 << 10 // bytes
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(30 * time.Second)
	for {
		info, err := os.Stat(filepath.Join(u.Path, "auth.db"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= want {
			break
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("the database has %d bytes, want %d: the log was not copied", info.Size(), want)
		}
	}
	if n := count(t, db.Read); n != 16*64 {
		t.Errorf("%d rows, want %d", n, 16*64)
	}
}
