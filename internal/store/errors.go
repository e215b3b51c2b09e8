package store

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// IsUnique reports whether err is a violated UNIQUE or PRIMARY KEY constraint.
func IsUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "23505"
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number == 1062 || e.Number == 1586
	}
	return false
}

// unavailable is a database that cannot be reached, or a connection to it that was lost.
type unavailable struct {
	text  string
	cause error
	again bool // nothing was done: database/sql may try another connection
}

// Error implements error.
func (e *unavailable) Error() string { return e.text }

// Unwrap returns what the driver said. What must not be tried again must not look as if it could be.
func (e *unavailable) Unwrap() error {
	if errors.Is(e.cause, driver.ErrBadConn) {
		return nil
	}
	return e.cause
}

// Is makes database/sql try again.
func (e *unavailable) Is(target error) bool { return e.again && target == driver.ErrBadConn } //nolint:errorlint // a sentinel

// Unavailable says to internal/errs that the same may work in a moment.
func (e *unavailable) Unavailable() bool { return true }

// IsUnavailable reports whether err is that of a database that cannot be reached now, whose connection was lost, or that has
// no room: the same may work in a moment. Where it is a commit's, nobody knows whether it was done.
func IsUnavailable(err error) bool {
	if _, ok := errors.AsType[*unavailable](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(e.Code, "08"), // the connection
			strings.HasPrefix(e.Code, "53"),                         // no room, no memory, too many connections
			strings.HasPrefix(e.Code, "57P"),                        // it is shut down, or starts
			e.Code == "40001", e.Code == "40P01", e.Code == "55P03": // somebody else came first
			return true
		}
		return false
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return lostMySQL(e) || e.Number == 1205 || e.Number == 1213 || // somebody else came first
			e.Number == 1021 || e.Number == 1114 // no room
	}
	return false
}

// lostPostgres reports whether a connection is of no use any more.
func lostPostgres(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "57P")
	}
	return lostNetwork(err) || pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

// lostMySQL is lostPostgres for MySQL and MariaDB.
func lostMySQL(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case 1040, 1053, 1077, 1078, 1079, 1203, 1226, // it is shut down, or has too many connections
			1290, 1836, // it only reads: it was the first and is the second now
			1927, 4031: // it ended the connection
			return true
		}
		return false
	}
	return errors.Is(err, mysql.ErrInvalidConn) || lostNetwork(err)
}

func lostNetwork(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
