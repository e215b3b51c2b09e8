package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// oldestPostgres is the oldest version that is tested against what is used here.
const oldestPostgres = 130000

// postgresSchema is where a service's tables are. The plain name may belong to others: some hosts keep a schema auth.
func postgresSchema(service string) string { return "stoa_" + service }

// openPostgres opens the schema of service, made and migrated under a lock that others wait for.
func openPostgres(ctx context.Context, u *url.URL, service string, migrateTo migrations, logger *slog.Logger) (*DB, error) {
	a, err := parseAccount(u, "5432", "sslmode", "sslrootcert", "sslcert", "sslkey")
	if err != nil {
		return nil, err
	}
	cfg, err := postgresConfig(a, service)
	if err != nil {
		return nil, err
	}
	of := &dialectOf{translator: &translator{dollar: true}, lost: lostPostgres, problem: func(err error) string {
		return postgresProblem(a, err)
	}}
	schema := postgresSchema(service)
	prepare := sql.OpenDB(postgresConnector(cfg, of, nil, ""))
	prepare.SetMaxOpenConns(1)
	defer prepare.Close() //nolint:errcheck // its lock goes with it
	if err := checkPostgres(ctx, prepare); err != nil {
		return nil, err
	}
	lock := lockKey("stoa migrate " + service)
	if _, err := prepare.ExecContext(ctx, "SELECT pg_advisory_lock(?)", lock); err != nil {
		return nil, fmt.Errorf("wait for the lock of migrations: %w", err)
	}
	var there bool
	if err := prepare.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = ?)", schema).Scan(&there); err != nil {
		return nil, fmt.Errorf("look for schema %s: %w", schema, err)
	}
	if !there {
		if _, err := prepare.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
			return nil, fmt.Errorf("make schema %s: %w", schema, err)
		}
	}
	write := postgresConnector(cfg, of, map[string]string{
		"idle_in_transaction_session_timeout": strconv.FormatInt((2 * writerIdle).Milliseconds(), 10),
	}, "SELECT pg_advisory_xact_lock("+strconv.FormatInt(lockKey("stoa write "+service), 10)+")")
	read := postgresConnector(cfg, of, map[string]string{"default_transaction_read_only": "on"}, "")
	db, err := openServer(ctx, dialect.Postgres, write, read)
	if err != nil {
		return nil, err
	}
	if err := migrateTo.apply(ctx, db, logger); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// postgresConfig makes a configuration of what the URL says, and of nothing that pgx finds in the environment.
func postgresConfig(a account, service string) (*pgx.ConnConfig, error) {
	options := url.Values{"sslmode": {"require"}}
	for key, value := range a.options {
		options.Set(key, value)
	}
	switch options.Get("sslmode") {
	case "disable", "require", "verify-ca", "verify-full":
	default: // the others use TLS or not as it happens
		return nil, fmt.Errorf("postgres: sslmode %q, want disable, require, verify-ca or verify-full", options.Get("sslmode"))
	}
	options.Set("target_session_attrs", "any")
	plain := url.URL{
		Scheme: "postgres", User: url.UserPassword(a.user, a.password), Host: a.addr(), Path: "/" + a.name,
		RawQuery: options.Encode(),
	}
	cfg, err := pgx.ParseConfig(plain.String())
	if err != nil {
		// Its text may show the URL; what is wrong with it can only be a certificate by now.
		return nil, errors.New("postgres: the port, or a file of sslrootcert, sslcert or sslkey, cannot be used")
	}
	cfg.Password = a.password // pgx looks for one in a file otherwise
	cfg.Fallbacks = nil
	cfg.ConnectTimeout = dialTimeout
	cfg.DialFunc = dialer().DialContext
	cfg.RuntimeParams = map[string]string{
		"application_name": "stoa " + service, "search_path": postgresSchema(service), "timezone": "UTC",
		"default_transaction_isolation": "read committed", "client_encoding": "UTF8", "lock_timeout": "0",
		"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	}
	return cfg, nil
}

func postgresConnector(cfg *pgx.ConnConfig, of *dialectOf, params map[string]string, lock string) driver.Connector {
	cfg = cfg.Copy()
	for key, value := range params {
		cfg.RuntimeParams[key] = value
	}
	inner := stdlib.GetConnector(*cfg, stdlib.OptionAfterConnect(func(_ context.Context, c *pgx.Conn) error {
		c.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}))
	return &connector{Connector: inner, dialect: of, lock: lock}
}

// postgresProblem puts an error of connecting into one line for people.
func postgresProblem(a account, err error) string {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return a.reach(err)
	}
	switch e.Code {
	case "28P01", "28000":
		return fmt.Sprintf("the database at %s does not let user %q in: %s", a.addr(), a.user, e.Message)
	case "3D000":
		return fmt.Sprintf("the database at %s has no database %q: create it first", a.addr(), a.name)
	}
	return fmt.Sprintf("the database at %s refuses: %s", a.addr(), e.Message)
}

// checkPostgres refuses a server that is too old or may lose what it has acknowledged.
func checkPostgres(ctx context.Context, db *sql.DB) error {
	have, err := settings(ctx, db, "SELECT current_setting('server_version_num'), current_setting('server_encoding'), "+
		"current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')",
		"server_version_num", "server_encoding", "fsync", "full_page_writes", "synchronous_commit")
	if err != nil {
		return err
	}
	return judgePostgres(have)
}

func judgePostgres(have map[string]string) error {
	if v, err := strconv.Atoi(have["server_version_num"]); err != nil || v < oldestPostgres {
		return fmt.Errorf("PostgreSQL %s is too old, want 13 or newer", have["server_version_num"])
	}
	if have["server_encoding"] != "UTF8" {
		return fmt.Errorf("the database is encoded in %s, want UTF8", have["server_encoding"])
	}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if have[name] == "off" {
			return fmt.Errorf("PostgreSQL has %s off: a commit could be lost; turn it on", name)
		}
	}
	return nil
}
