package parts

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/go-sql-driver/mysql" // drivers of database/sql
	_ "github.com/jackc/pgx/v5/stdlib"
)

// password is that of every database here. They listen on loopback only.
const password = "stoa-parts"

func postgres() part {
	return part{name: "postgres", ready: func(ctx context.Context, rawURL string) error {
		return ping(ctx, "pgx", rawURL)
	}, start: func(folder string) (*exec.Cmd, string, error) {
		const folders = "/usr/lib/postgresql/*/bin"
		initdb, err := program("initdb", byScript, folders)
		if err != nil {
			return nil, "", err
		}
		server, err := program("postgres", byScript, folders)
		if err != nil {
			return nil, "", err
		}
		port, err := FreePort()
		if err != nil {
			return nil, "", err
		}
		secret := filepath.Join(folder, "password")
		if err := os.WriteFile(secret, []byte(password+"\n"), 0o644); err != nil { //nolint:gosec // a known one
			return nil, "", err
		}
		data := filepath.Join(folder, "data")
		create := exec.Command(initdb, "-D", data, "-U", "stoa", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale", "C.UTF-8", "--no-instructions")
		run := exec.Command(server, "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "max_connections=400", "-c", "shared_buffers=128MB")
		create.Dir, run.Dir = folder, folder
		if err := as("postgres", folder, create, run); err != nil {
			return nil, "", err
		}
		if err := prepare(create); err != nil {
			return nil, "", err
		}
		return run, fmt.Sprintf("postgres://stoa:%s@127.0.0.1:%s/postgres?sslmode=disable", password, port), nil
	}}
}

// mariadb stands for MySQL as well.
func mariadb() part {
	return part{name: "mariadb", ready: func(ctx context.Context, rawURL string) error {
		u, err := url.Parse(rawURL)
		if err != nil {
			return err
		}
		return ping(ctx, "mysql", fmt.Sprintf("%s@tcp(%s)/mysql", u.User.Username()+":"+password, u.Host))
	}, start: func(folder string) (*exec.Cmd, string, error) {
		install, err := program("mariadb-install-db", byScript)
		if err != nil {
			return nil, "", err
		}
		server, err := program("mariadbd", byScript, "/usr/sbin")
		if err != nil {
			return nil, "", err
		}
		port, err := FreePort()
		if err != nil {
			return nil, "", err
		}
		data, first := filepath.Join(folder, "data"), filepath.Join(folder, "first.sql")
		grant := "CREATE USER IF NOT EXISTS 'stoa'@'127.0.0.1' IDENTIFIED BY '" + password + "';\n" + // a line is a statement
			"GRANT ALL ON *.* TO 'stoa'@'127.0.0.1' WITH GRANT OPTION;\n"
		if err := os.WriteFile(first, []byte(grant), 0o644); err != nil { //nolint:gosec // a known one
			return nil, "", err
		}
		create := exec.Command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
		run := exec.Command(server, "--no-defaults", "--datadir="+data, "--port="+port, "--bind-address=127.0.0.1",
			"--socket="+filepath.Join(folder, "socket"), "--pid-file="+filepath.Join(folder, "pid"), "--init-file="+first,
			"--skip-name-resolve", "--max-connections=400", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=1")
		create.Dir, run.Dir = folder, folder
		if err := as("mysql", folder, create, run); err != nil {
			return nil, "", err
		}
		if err := prepare(create); err != nil {
			return nil, "", err
		}
		return run, fmt.Sprintf("mysql://stoa:%s@127.0.0.1:%s/", password, port), nil
	}}
}

// ping asks a database server whether it answers.
func ping(ctx context.Context, driver, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing was written
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), password, "…"))
	}
	return nil
}
