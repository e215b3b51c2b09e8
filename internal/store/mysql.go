package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"github.com/go-sql-driver/mysql"
)

// mysqlMode refuses what does not fit instead of cutting it off.
const mysqlMode = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO," +
	"NO_ENGINE_SUBSTITUTION"

// migrateWait is how long a process waits for another one's migrations.
const migrateWait = 10 * time.Minute

var prefixPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

// mysqlServer is what a server is.
type mysqlServer struct {
	// collation compares texts by their bytes, and does not take spaces at the end for nothing.
	collation string
}

// openMySQL opens the database of service, made and migrated under a lock that others wait for.
func openMySQL(ctx context.Context, u *url.URL, service string, migrateTo migrations, logger *slog.Logger) (*DB, error) {
	a, err := parseAccount(u, "3306", "tls")
	if err != nil {
		return nil, err
	}
	if !prefixPattern.MatchString(a.name) {
		return nil, fmt.Errorf("mysql: bad prefix %q, want a small letter and then up to 30 of a-z, 0-9 and _", a.name)
	}
	of := &dialectOf{translator: &translator{}, lost: lostMySQL, problem: func(err error) string { return mysqlProblem(a, err) }}
	cfg, err := mysqlConfig(a)
	if err != nil {
		return nil, err
	}
	connect := func(cfg *mysql.Config, lock string, setUp ...string) (driver.Connector, error) {
		inner, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, errors.New("mysql: the URL cannot be used")
		}
		setUp = append([]string{
			"SET SESSION sql_mode = '" + mysqlMode + "'", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		}, setUp...)
		return &connector{Connector: inner, dialect: of, lock: lock, setUp: setUp}, nil
	}
	first, err := connect(cfg.Clone(), "")
	if err != nil {
		return nil, err
	}
	prepare := sql.OpenDB(first)
	prepare.SetMaxOpenConns(1)
	defer prepare.Close() //nolint:errcheck // its lock goes with it
	server, err := checkMySQL(ctx, prepare)
	if err != nil {
		return nil, err
	}
	name := a.name + "_" + service
	if err := makeMySQL(ctx, prepare, name, server); err != nil {
		return nil, err
	}
	cfg.DBName, cfg.Collation = name, server.collation
	write, first2 := connect(cfg.Clone(), "SELECT id FROM store_lock WHERE id = 1 FOR UPDATE",
		"SET SESSION wait_timeout = "+strconv.Itoa(int((2*writerIdle).Seconds())))
	read, second := connect(cfg.Clone(), "", "SET SESSION TRANSACTION READ ONLY")
	if err := errors.Join(first2, second); err != nil {
		return nil, err
	}
	db, err := openServer(ctx, dialect.MySQL, write, read)
	if err != nil {
		return nil, err
	}
	if err := migrateTo.apply(ctx, db, logger); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func mysqlConfig(a account) (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = a.user, a.password, "tcp", a.addr()
	cfg.Loc, cfg.ParseTime, cfg.InterpolateParams, cfg.ClientFoundRows = time.UTC, true, true, true
	cfg.Collation = "utf8mb4_bin"
	cfg.Timeout, cfg.Logger = dialTimeout, &mysql.NopLogger{}
	dial := dialer()
	cfg.DialFunc = dial.DialContext
	switch tls := a.options["tls"]; tls {
	case "", "false":
	case "true", "skip-verify":
		cfg.TLSConfig = tls
	default: // the other one uses TLS or not as it happens
		return nil, fmt.Errorf("mysql: tls %q, want true, skip-verify or false", tls)
	}
	return cfg, nil
}

// mysqlProblem puts an error of connecting into one line for people.
func mysqlProblem(a account, err error) string {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return a.reach(err)
	}
	switch e.Number {
	case 1044, 1045, 1698:
		return fmt.Sprintf("the database at %s does not let user %q in: %s", a.addr(), a.user, e.Message)
	}
	return fmt.Sprintf("the database at %s refuses: %s", a.addr(), e.Message)
}

// checkMySQL refuses a server that is too old or may lose what it has acknowledged.
func checkMySQL(ctx context.Context, db *sql.DB) (mysqlServer, error) {
	have, err := settings(ctx, db, "SELECT version(), @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.innodb_doublewrite",
		"version", "innodb_flush_log_at_trx_commit", "innodb_doublewrite")
	if err != nil {
		return mysqlServer{}, err
	}
	return judgeMySQL(have)
}

func judgeMySQL(have map[string]string) (mysqlServer, error) {
	version := have["version"]
	server, oldest, name := mysqlServer{collation: "utf8mb4_0900_bin"}, [3]int{8, 0, 19}, "MySQL"
	if strings.Contains(version, "MariaDB") {
		server, oldest, name = mysqlServer{collation: "utf8mb4_nopad_bin"}, [3]int{10, 6, 0}, "MariaDB"
	}
	var v [3]int
	numbers, _, _ := strings.Cut(version, "-")
	for i, part := range strings.SplitN(numbers, ".", 3) {
		v[i], _ = strconv.Atoi(part)
	}
	for i := range v {
		if v[i] > oldest[i] {
			break
		}
		if v[i] < oldest[i] {
			return server, fmt.Errorf("%s %s is too old, want %d.%d or newer", name, version, oldest[0], oldest[1])
		}
	}
	if have["innodb_flush_log_at_trx_commit"] != "1" {
		return server, fmt.Errorf("%s has innodb_flush_log_at_trx_commit = %s: a commit could be lost; set it to 1",
			name, have["innodb_flush_log_at_trx_commit"])
	}
	if v := strings.ToUpper(have["innodb_doublewrite"]); v == "0" || v == "OFF" {
		return server, fmt.Errorf("%s has innodb_doublewrite off: a page could be lost; turn it on", name)
	}
	return server, nil
}

// makeMySQL takes the lock of migrations on the one connection of db, and makes the database name with the row that
// writers lock.
func makeMySQL(ctx context.Context, db *sql.DB, name string, server mysqlServer) error {
	var got sql.NullInt64
	err := db.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", "stoa migrate "+name, int(migrateWait.Seconds())).Scan(&got)
	if err != nil {
		return fmt.Errorf("wait for the lock of migrations: %w", err)
	}
	if got.Int64 != 1 {
		return fmt.Errorf("another process has been migrating %s for %s", name, migrateWait)
	}
	var collation string
	err = db.QueryRowContext(ctx, "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = ?", name).
		Scan(&collation)
	sort := " CHARACTER SET utf8mb4 COLLATE " + server.collation
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err = db.ExecContext(ctx, "CREATE DATABASE "+name+sort)
	case err == nil && collation != server.collation: // tables that are there keep theirs
		_, err = db.ExecContext(ctx, "ALTER DATABASE "+name+sort)
	}
	if err != nil {
		return fmt.Errorf("make database %s: %w", name, err)
	}
	for _, query := range []string{
		"CREATE TABLE IF NOT EXISTS " + name + ".store_lock (id int NOT NULL PRIMARY KEY) ENGINE = InnoDB",
		"INSERT IGNORE INTO " + name + ".store_lock (id) VALUES (1)",
	} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("make the lock of %s: %w", name, err)
		}
	}
	return nil
}
