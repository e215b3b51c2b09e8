package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/parts"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// servers are the backends that are programs of their own.
var servers = []string{storetest.Postgres, storetest.MariaDB}

// changed returns a URL with a part of it replaced.
func changed(t *testing.T, rawURL string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func TestServersAreRefused(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, want string }{
		{"postgres:", "names no host"},
		{"postgres:///db", "names no host"},
		{"postgres://host/db", "names no user"},
		{"postgres://u:hunter2@host", "names no database"},
		{"postgres://u:hunter2@host/", "names no database"},
		{"postgres://u:hunter2@host/a/b", "names no database"},
		{"postgres://u:hunter2@host/db?sslmode=prefer", `sslmode "prefer"`},
		{"postgres://u:hunter2@host/db?pool_max_conns=7", `unknown option "pool_max_conns"`},
		{"postgres://u:hunter2@host/db?sslmode=disable&sslmode=require", "2 times"},
		{"postgres://u:hunter2@host/db?sslrootcert=/missing/hunter2&sslmode=verify-full", "sslrootcert"},
		{"postgres://u:hunter2%zz@host/db", "URL cannot be read"},
		{"postgres://u:hunter2@host/db#x", "%23"},
		{"postgres://u:hunter2@" + addr + "/db?sslmode=disable", "cannot reach the database at " + addr},
		{"postgres://u:hunter2@nowhere.invalid/db", "cannot reach the database at nowhere.invalid:5432"},
		{"mysql://u:hunter2@host/", "names no database"},
		{"mysql://host/prefix", "names no user"},
		{"mysql://u:hunter2@host/Prefix", "bad prefix"},
		{"mysql://u:hunter2@host/pre`fix", "bad prefix"},
		{"mysql://u:hunter2@host/prefix?parseTime=true", `unknown option "parseTime"`},
		{"mysql://u:hunter2@host/prefix?tls=preferred", `tls "preferred"`},
		{"mysql://u:hunter2@" + addr + "/prefix", "cannot reach the database at " + addr},
	} {
		assertRefused(t, c.url, c.want)
	}
}

func assertRefused(t *testing.T, rawURL, want string) {
	t.Helper()
	_, err := store.Open(t.Context(), rawURL, "auth", migrations(first), discard())
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open(%q): %v, want %q", rawURL, err, want)
	}
}

func TestServersSayNo(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		rawURL := storetest.URLOf(t, storetest.Postgres)
		assertRefused(t, changed(t, rawURL, func(u *url.URL) { u.User = url.UserPassword("stoa", "hunter2") }), `does not let user "stoa" in`)
		assertRefused(t, changed(t, rawURL, func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") }), `does not let user "nobody" in`)
		assertRefused(t, changed(t, rawURL, func(u *url.URL) { u.Path = "/missing" }), `no database "missing"`)
		assertRefused(t, changed(t, rawURL, func(u *url.URL) { u.RawQuery = "" }), "TLS")
		storetest.OpenAt(t, rawURL, "auth", migrations(first))
		if err := storetest.With(t, rawURL, "auth", migrations(first), func(db *sql.DB) error {
			var name string
			if err := db.QueryRowContext(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
				return err
			}
			_, err := db.ExecContext(t.Context(), "ALTER DATABASE "+name+" SET synchronous_commit = off")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		assertRefused(t, rawURL, "synchronous_commit off")
	})
	t.Run("mariadb", func(t *testing.T) {
		rawURL := storetest.URLOf(t, storetest.MariaDB)
		assertRefused(t, changed(t, rawURL, func(u *url.URL) { u.User = url.UserPassword("stoa", "hunter2") }), `does not let user "stoa" in`)
		assertRefused(t, changed(t, rawURL, func(u *url.URL) { u.RawQuery = "tls=true" }), "cannot reach")
	})
}

func TestWhatMayLoseCommitsIsRefused(t *testing.T) {
	postgres := func(change ...string) map[string]string {
		have := map[string]string{
			"server_version_num": "150004", "server_encoding": "UTF8", "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
		}
		for i := 0; i < len(change); i += 2 {
			have[change[i]] = change[i+1]
		}
		return have
	}
	mysql := func(version, flush, doublewrite string) map[string]string {
		return map[string]string{"version": version, "innodb_flush_log_at_trx_commit": flush, "innodb_doublewrite": doublewrite}
	}
	for what, c := range map[string]struct {
		err  error
		want string // "" for nothing
	}{
		"as it comes":            {store.JudgePostgres(postgres()), ""},
		"also a standby":         {store.JudgePostgres(postgres("synchronous_commit", "remote_apply")), ""},
		"no fsync":               {store.JudgePostgres(postgres("fsync", "off")), "fsync off"},
		"torn pages":             {store.JudgePostgres(postgres("full_page_writes", "off")), "full_page_writes off"},
		"commits that are late":  {store.JudgePostgres(postgres("synchronous_commit", "off")), "synchronous_commit off"},
		"old":                    {store.JudgePostgres(postgres("server_version_num", "120009")), "too old"},
		"another encoding":       {store.JudgePostgres(postgres("server_encoding", "LATIN1")), "LATIN1"},
		"MySQL as it comes":      {store.JudgeMySQL(mysql("8.4.2", "1", "ON")), ""},
		"MySQL, detected":        {store.JudgeMySQL(mysql("8.0.36-0ubuntu0.22.04.1", "1", "DETECT_AND_RECOVER")), ""},
		"MariaDB as it comes":    {store.JudgeMySQL(mysql("10.11.6-MariaDB-0+deb12u1", "1", "1")), ""},
		"a new MariaDB":          {store.JudgeMySQL(mysql("11.4.2-MariaDB", "1", "ON")), ""},
		"MySQL, a second late":   {store.JudgeMySQL(mysql("8.4.2", "2", "ON")), "innodb_flush_log_at_trx_commit = 2"},
		"MariaDB, a second late": {store.JudgeMySQL(mysql("10.11.6-MariaDB", "0", "1")), "innodb_flush_log_at_trx_commit = 0"},
		"MySQL, torn pages":      {store.JudgeMySQL(mysql("8.4.2", "1", "OFF")), "innodb_doublewrite"},
		"an old MySQL":           {store.JudgeMySQL(mysql("5.7.44", "1", "ON")), "too old"},
		"a MySQL nearly as old":  {store.JudgeMySQL(mysql("8.0.18", "1", "ON")), "too old"},
		"an old MariaDB":         {store.JudgeMySQL(mysql("10.5.21-MariaDB", "1", "ON")), "too old"},
	} {
		if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", what, c.err, c.want)
		}
	}
}

func addUser(ctx context.Context, db *sql.DB, id string) error {
	return store.InTx(ctx, db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO users (id, name) VALUES (?, ?)", id, id)
		return err
	})
}

// restart starts a server that was killed; what it had started may need a moment to notice.
func restart(t *testing.T, server *parts.Running) {
	t.Helper()
	var err error
	for range 10 {
		if err = server.Restart(t.Context()); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatal(err)
}

// TestARestartOfTheServer kills a database server under a store, which says that it is away and goes on when it is back.
func TestARestartOfTheServer(t *testing.T) {
	for _, backend := range servers {
		t.Run(backend, func(t *testing.T) {
			partstest.URL(t, backend)                      // is skipped where there are none
			folder, err := os.MkdirTemp("", "stoa-store-") // t.TempDir lets no other user in, and servers are not root
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.RemoveAll(folder); err != nil {
					t.Error(err)
				}
			})
			running, err := parts.Start(t.Context(), folder, backend)
			if err != nil {
				t.Fatal(err)
			}
			server := running[0]
			t.Cleanup(func() {
				if err := server.Stop(); err != nil {
					t.Error(err)
				}
			})
			rawURL := changed(t, server.URL, func(u *url.URL) {
				if u.Path == "/" {
					u.Path = "/prefix"
				}
			})
			db := storetest.OpenAt(t, rawURL, "auth", migrations(first))
			statement, err := db.Write.PrepareContext(t.Context(), "INSERT INTO users (id, name) VALUES (?, ?)")
			if err != nil {
				t.Fatal(err)
			}
			defer statement.Close() //nolint:errcheck // with the database
			if err := addUser(t.Context(), db.Write, "before"); err != nil {
				t.Fatal(err)
			}
			err = store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
				if _, err := tx.ExecContext(t.Context(), "INSERT INTO users (id, name) VALUES ('half', 'half')"); err != nil {
					return err
				}
				if err := server.Kill(); err != nil {
					return err
				}
				_, err := tx.StmtContext(t.Context(), statement).ExecContext(t.Context(), "other half", "x")
				return err
			})
			if !store.IsUnavailable(err) {
				t.Errorf("within a transaction: %v", err)
			}
			away := map[string]error{"a write": addUser(t.Context(), db.Write, "away"), "a ping": db.Ping(t.Context())}
			_, away["a statement"] = statement.ExecContext(t.Context(), "away", "away")
			_, away["a read"] = storetest.Rows(t.Context(), db.Read, "SELECT id FROM users")
			for what, err := range away {
				if !store.IsUnavailable(err) || strings.Contains(fmt.Sprint(err), "stoa-parts") {
					t.Errorf("%s: %v", what, err)
				}
			}
			restart(t, server)
			if _, err := statement.ExecContext(t.Context(), "after", "after"); err != nil {
				t.Errorf("after the restart: %v", err)
			}
			if err := addUser(t.Context(), db.Write, "later"); err != nil {
				t.Errorf("after the restart: %v", err)
			}
			rows, err := storetest.Rows(t.Context(), db.Read, "SELECT id FROM users ORDER BY id")
			if err != nil || fmt.Sprint(rows) != "[[after] [before] [later]]" {
				t.Errorf("stored are %v, %v", rows, err)
			}
			// One that nobody noticed harms nobody: the next write takes another connection.
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			restart(t, server)
			if err := addUser(t.Context(), db.Write, "unnoticed"); err != nil {
				t.Errorf("after a restart between two writes: %v", err)
			}
			if _, err := storetest.Rows(t.Context(), db.Read, "SELECT id FROM users"); err != nil {
				t.Errorf("a read after a restart: %v", err)
			}
		})
	}
}

// cut stands between a store and its server, and cuts the line when the store commits.
type cut struct {
	net.Listener

	target string
	// armed is whether the next commit is cut; answers whether it reaches the server, and only its answer is lost.
	armed, answers atomic.Bool
	all            sync.WaitGroup
}

func newCut(t *testing.T, target string) *cut {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{Listener: l, target: target}
	c.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			c.all.Go(func() { c.pass(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.all.Wait()
	})
	return c
}

func (c *cut) pass(client, server net.Conn) {
	var lost atomic.Bool
	c.all.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || lost.Load() {
				break
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				break
			}
		}
		_ = errors.Join(client.Close(), server.Close())
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		if bytes.Contains(bytes.ToLower(buffer[:n]), []byte("commit")) && c.armed.CompareAndSwap(true, false) {
			if !c.answers.Load() {
				break
			}
			lost.Store(true)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = errors.Join(client.Close(), server.Close())
}

// TestALostCommit: a commit whose answer is lost is an error, done or not, and never done twice.
func TestALostCommit(t *testing.T) {
	for _, backend := range servers {
		t.Run(backend, func(t *testing.T) {
			rawURL := storetest.URLOf(t, backend)
			u, err := url.Parse(rawURL)
			if err != nil {
				t.Fatal(err)
			}
			line := newCut(t, u.Host)
			db := storetest.OpenAt(t, changed(t, rawURL, func(u *url.URL) { u.Host = line.Addr().String() }), "auth", migrations(first))
			for i, c := range []struct {
				arrives bool
				write   func(id string) error
			}{
				{false, func(id string) error { return addUser(t.Context(), db.Write, id) }},
				{true, func(id string) error { return addUser(t.Context(), db.Write, id) }},
				{true, func(id string) error {
					_, err := db.Write.ExecContext(t.Context(), "INSERT INTO users (id, name) VALUES (?, ?)", id, id)
					return err
				}},
			} {
				line.answers.Store(c.arrives)
				line.armed.Store(true)
				id := fmt.Sprint("user-", i)
				if err := c.write(id); !store.IsUnavailable(err) || line.armed.Load() {
					t.Errorf("%s: %v", id, err)
				}
				var there int
				limit := time.After(5 * time.Second)
				for want := map[bool]int{true: 1}[c.arrives]; ; {
					if err := db.Read.QueryRowContext(t.Context(), "SELECT count(*) FROM users WHERE id = ?", id).Scan(&there); err != nil {
						t.Fatal(err)
					}
					if there == want {
						break
					}
					select {
					case <-limit:
						t.Fatalf("%s is there %d times", id, there)
					case <-time.After(10 * time.Millisecond):
					}
				}
				err := c.write(id) // the same again
				if store.IsUnique(err) != c.arrives || !c.arrives && err != nil {
					t.Errorf("%s again: %v", id, err)
				}
			}
		})
	}
}
