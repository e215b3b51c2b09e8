package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// dialTimeout is how long a server may take to accept a connection.
	dialTimeout = 10 * time.Second
	// writerIdle is how long the write connection waits for work before it is closed. Servers end the transactions of
	// connections that say nothing for twice as long, so that a process which vanished holds no lock for ever.
	writerIdle = 30 * time.Second
)

// dialer notices a peer that vanished.
func dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
}

// account is what a URL says of a database server.
type account struct {
	host, port     string
	user, password string
	name           string // of the database, or the prefix of databases
	options        map[string]string
}

// parseAccount reads scheme://user:password@host:port/name?option=value, where only the named options are known. Its errors
// never show the password.
func parseAccount(u *url.URL, port string, options ...string) (account, error) {
	want := u.Scheme + "://user:password@host:port/name"
	if u.Opaque != "" || u.Hostname() == "" {
		return account{}, fmt.Errorf("%s: names no host, want %s", u.Scheme, want)
	}
	if u.User.Username() == "" {
		return account{}, fmt.Errorf("%s: names no user, want %s", u.Scheme, want)
	}
	if u.Fragment != "" {
		return account{}, fmt.Errorf("%s: something follows a #; in a password it is written %%23", u.Scheme)
	}
	a := account{host: u.Hostname(), port: u.Port(), user: u.User.Username(), options: make(map[string]string)}
	a.password, _ = u.User.Password()
	if a.port == "" {
		a.port = port
	}
	if a.name = strings.Trim(u.Path, "/"); a.name == "" || strings.Contains(a.name, "/") {
		return account{}, fmt.Errorf("%s: names no database, want %s", u.Scheme, want)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return account{}, fmt.Errorf("%s: its options cannot be read", u.Scheme)
	}
	for _, key := range slices.Sorted(maps.Keys(query)) { // the same defect each time
		values := query[key]
		if !slices.Contains(options, key) {
			return account{}, fmt.Errorf("%s: unknown option %q, want %s", u.Scheme, key, strings.Join(options, ", "))
		}
		if len(values) != 1 {
			return account{}, fmt.Errorf("%s: option %q is there %d times", u.Scheme, key, len(values))
		}
		a.options[key] = values[0]
	}
	return a, nil
}

func (a account) addr() string { return net.JoinHostPort(a.host, a.port) }

// reach puts an error of reaching the server into one line.
func (a account) reach(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if a.password != "" {
		text = strings.ReplaceAll(text, a.password, "…")
	}
	return fmt.Sprintf("cannot reach the database at %s: %s", a.addr(), text)
}

// openServer makes a DB of connectors: one connection writes, a pool reads.
func openServer(ctx context.Context, dialect string, write, read driver.Connector) (*DB, error) {
	db := &DB{Write: sql.OpenDB(write), Read: sql.OpenDB(read), dialect: dialect}
	db.Write.SetMaxOpenConns(1)
	db.Write.SetConnMaxIdleTime(writerIdle)
	readers := max(8, 4*runtime.GOMAXPROCS(0))
	db.Read.SetMaxOpenConns(readers)
	db.Read.SetMaxIdleConns(readers)
	db.Read.SetConnMaxIdleTime(time.Minute)
	if err := errors.Join(db.Write.PingContext(ctx), db.Read.PingContext(ctx)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// settings reads settings of a server: one column a name, in their order.
func settings(ctx context.Context, db *sql.DB, query string, names ...string) (map[string]string, error) {
	values := make([]string, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := db.QueryRowContext(ctx, query).Scan(targets...); err != nil {
		return nil, fmt.Errorf("read settings of the server: %w", err)
	}
	out := make(map[string]string, len(names))
	for i, name := range names {
		out[name] = values[i]
	}
	return out, nil
}

// lockKey is a number for a lock's name.
func lockKey(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return int64(h.Sum64())      //nolint:gosec // any number
}
