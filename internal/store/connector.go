package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// dialectOf is what connections have to know about a kind of server.
type dialectOf struct {
	translator *translator
	// lost reports whether an error says that the connection is of no use any more.
	lost func(err error) bool
	// problem puts an error of connecting into one line for people.
	problem func(err error) string
}

// connector opens connections of a server and makes them keep the port's contract: placeholders are question marks, and
// everything that a connection with a lock does is done under it.
type connector struct {
	driver.Connector

	dialect *dialectOf
	// lock is the statement that takes the service's lock until the transaction ends; "" for connections that only read.
	lock string
	// setUp is run on each new connection.
	setUp []string
}

// serverConn is what the drivers of both servers offer.
type serverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, c.refused(ctx, err)
	}
	inner, ok := opened.(serverConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver lacks what the store needs"), opened.Close())
	}
	for _, query := range c.setUp {
		if _, err := inner.ExecContext(ctx, query, nil); err != nil {
			return nil, errors.Join(c.refused(ctx, err), inner.Close())
		}
	}
	return &conn{serverConn: inner, connector: c}, nil
}

func (c *connector) refused(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &unavailable{text: c.dialect.problem(err), cause: err}
}

// conn is one connection. database/sql lets one goroutine at a time use it.
type conn struct {
	serverConn

	connector *connector
	inTx      bool
	broken    bool
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool {
	if v, ok := c.serverConn.(driver.Validator); ok && !v.IsValid() {
		return false
	}
	return !c.broken
}

// Begin implements driver.Conn.
func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

// BeginTx begins a transaction and takes the service's lock. Nothing has been done by then, so that it is tried again on
// another connection when this one is lost.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	inner, err := c.serverConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, c.failed(ctx, err, true)
	}
	if c.connector.lock != "" && !opts.ReadOnly {
		if _, err := c.serverConn.ExecContext(ctx, c.connector.lock, nil); err != nil {
			err = c.failed(ctx, err, true)
			if undo := inner.Rollback(); undo != nil {
				c.broken = true
			}
			return nil, err
		}
	}
	c.inTx = true
	return &transaction{inner: inner, conn: c}, nil
}

// transaction is a transaction that gives the lock back when it ends.
type transaction struct {
	inner driver.Tx
	conn  *conn
}

// Commit implements driver.Tx. Whether a commit was done when its answer is lost nobody knows: it is an error, and never
// tried again from here.
func (t *transaction) Commit() error {
	t.conn.inTx = false
	err := t.inner.Commit()
	if err == nil {
		return nil
	}
	return t.conn.failed(context.Background(), err, false)
}

// Rollback implements driver.Tx.
func (t *transaction) Rollback() error {
	t.conn.inTx = false
	if err := t.inner.Rollback(); err != nil {
		t.conn.broken = true // it ends the transaction by ending itself
		return t.conn.failed(context.Background(), err, false)
	}
	return nil
}

// failed marks the connection when err says that it is lost. With again, database/sql tries the same on another one.
func (c *conn) failed(ctx context.Context, err error, again bool) error {
	if err == nil || errors.Is(err, driver.ErrSkip) {
		return err
	}
	if ctx.Err() != nil { // the driver ended the connection with the context
		return err
	}
	if !c.connector.dialect.lost(err) && !errors.Is(err, driver.ErrBadConn) {
		if IsUnavailable(err) {
			return &unavailable{text: "the database cannot do it now: " + err.Error(), cause: err}
		}
		return err
	}
	c.broken = true
	return &unavailable{text: "the connection to the database was lost: " + err.Error(), cause: err, again: again && !c.inTx}
}

// alone reports whether what comes has to begin a transaction of its own.
func (c *conn) alone() bool { return c.connector.lock != "" && !c.inTx }

// locked runs act in a transaction of its own.
func (c *conn) locked(ctx context.Context, act func() error) error {
	tx, err := c.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return err
	}
	if err := act(); err != nil {
		if undo := tx.Rollback(); undo != nil {
			c.broken = true
		}
		// Nothing of it was done, so it may be tried again.
		if u, ok := errors.AsType[*unavailable](err); ok {
			u.again = true
		}
		return err
	}
	return tx.Commit()
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s := c.connector.dialect.translator.translate(query)
	return c.exec(ctx, func() (driver.Result, error) { return c.serverConn.ExecContext(ctx, s.text, s.arguments(args)) })
}

func (c *conn) exec(ctx context.Context, run func() (driver.Result, error)) (result driver.Result, err error) {
	once := func() (err error) {
		result, err = run()
		return c.failed(ctx, err, true)
	}
	if c.alone() {
		err = c.locked(ctx, once)
	} else {
		err = once()
	}
	if err != nil {
		return nil, err
	}
	return result, nil
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s := c.connector.dialect.translator.translate(query)
	return c.query(ctx, func() (driver.Rows, error) { return c.serverConn.QueryContext(ctx, s.text, s.arguments(args)) })
}

func (c *conn) query(ctx context.Context, run func() (driver.Rows, error)) (rows driver.Rows, err error) {
	once := func() (err error) {
		rows, err = run()
		return c.failed(ctx, err, true)
	}
	if !c.alone() {
		if err := once(); err != nil {
			return nil, err
		}
		return &watchedRows{Rows: rows, ctx: ctx, conn: c}, nil
	}
	err = c.locked(ctx, func() error {
		if err := once(); err != nil {
			return err
		}
		// What it did is committed before anybody reads of it.
		rows, err = readAll(rows)
		return c.failed(ctx, err, true)
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s := c.connector.dialect.translator.translate(query)
	inner, err := c.serverConn.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, c.failed(ctx, err, true)
	}
	run, ok := inner.(serverStmt)
	if !ok {
		return nil, errors.Join(errors.New("the driver lacks what the store needs"), inner.Close())
	}
	return &prepared{serverStmt: run, conn: c, statement: s}, nil
}

// CheckNamedValue gives times the precision that every database keeps.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if valuer, ok := v.Value.(driver.Valuer); ok {
		value, err := driver.DefaultParameterConverter.ConvertValue(valuer)
		if err != nil {
			return fmt.Errorf("argument %d: %w", v.Ordinal, err)
		}
		v.Value = value
	}
	switch t := v.Value.(type) {
	case time.Time:
		v.Value = t.UTC().Truncate(time.Microsecond)
	case *time.Time:
		if t == nil {
			v.Value = nil
		} else {
			v.Value = t.UTC().Truncate(time.Microsecond)
		}
	}
	return c.serverConn.CheckNamedValue(v)
}

// serverStmt is what the drivers' prepared statements offer.
type serverStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type prepared struct {
	serverStmt

	conn      *conn
	statement statement
}

// NumInput implements driver.Stmt.
func (p *prepared) NumInput() int {
	if p.statement.order != nil {
		return p.statement.inputs
	}
	return p.serverStmt.NumInput()
}

// ExecContext implements driver.StmtExecContext.
func (p *prepared) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return p.conn.exec(ctx, func() (driver.Result, error) {
		return p.serverStmt.ExecContext(ctx, p.statement.arguments(args))
	})
}

// QueryContext implements driver.StmtQueryContext.
func (p *prepared) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return p.conn.query(ctx, func() (driver.Rows, error) {
		return p.serverStmt.QueryContext(ctx, p.statement.arguments(args))
	})
}

// watchedRows notice that the connection is lost while they are read.
type watchedRows struct {
	driver.Rows

	ctx  context.Context //nolint:containedctx // of the query
	conn *conn
}

// Next implements driver.Rows.
func (r *watchedRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return r.conn.failed(r.ctx, err, false)
}

// keptRows are rows that were read before.
type keptRows struct {
	columns []string
	rows    [][]driver.Value
}

func readAll(rows driver.Rows) (driver.Rows, error) {
	kept := &keptRows{columns: slices.Clone(rows.Columns())}
	for {
		row := make([]driver.Value, len(kept.columns))
		err := rows.Next(row)
		if err == io.EOF { //nolint:errorlint // how rows end, and nothing else
			return kept, rows.Close()
		}
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		for i, value := range row {
			if b, ok := value.([]byte); ok {
				row[i] = slices.Clone(b)
			}
		}
		kept.rows = append(kept.rows, row)
	}
}

// Columns implements driver.Rows.
func (r *keptRows) Columns() []string { return r.columns }

// Close implements driver.Rows.
func (r *keptRows) Close() error { return nil }

// Next implements driver.Rows.
func (r *keptRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
