// Package pagination cuts lists into pages as AIP-158 asks: a size that the server bounds, and an opaque token that says
// where the next page starts.
//
// A token holds a cursor: the sort key of the last row that was shown, never an offset, so that rows which come and go
// between two pages neither repeat nor hide others. A token is not a secret and not a permission: whoever reads it back
// must check the caller's rights again. What must never happen here: a token that fails in any other way than
// INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
package pagination

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"

	"github.com/stoa-live/stoa/internal/errs"
)

// ReasonTokenInvalid is the reason of a page token that this server did not make for this list.
const ReasonTokenInvalid = "PAGE_TOKEN_INVALID"

// maxToken bounds a token before it is decoded, in bytes; contracts allow 256.
const maxToken = 1024

// Size returns how many items to return: fallback when the client asked for none, and at most limit.
func Size(asked int32, fallback, limit int) int {
	switch {
	case asked <= 0:
		return fallback
	case int(asked) > limit:
		return limit
	default:
		return int(asked)
	}
}

// Encode makes the token of a cursor. C is a small struct with JSON tags; a type that JSON cannot write is a mistake of
// the programmer and panics.
func Encode[C any](cursor C) string {
	raw, err := json.Marshal(cursor)
	if err != nil {
		panic("pagination: cursor cannot be encoded: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Decode reads a token back. The empty token is the first page: ok is false and the cursor zero. A token that is not of
// this shape is an INVALID_ARGUMENT with the reason PAGE_TOKEN_INVALID, and so is one whose cursor has a method Valid that
// says no: tokens are forged.
func Decode[C any](token string) (cursor C, ok bool, err error) {
	var zero C
	if token == "" {
		return zero, false, nil
	}
	if len(token) > maxToken {
		return zero, false, invalid(nil)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return zero, false, invalid(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&cursor); err != nil {
		return zero, false, invalid(err)
	}
	if _, err := dec.Token(); err != io.EOF { //nolint:errorlint // Token returns it bare
		return zero, false, invalid(err)
	}
	if c, ok := any(cursor).(interface{ Valid() bool }); ok && !c.Valid() {
		return zero, false, invalid(nil)
	}
	return cursor, true, nil
}

// Page cuts rows, of which the caller read one more than size, into a page and the token of the next one, empty on the
// last page. cursor names the place of a row.
func Page[T, C any](rows []T, size int, cursor func(last T) C) (page []T, next string) {
	if size <= 0 || len(rows) <= size {
		return rows, ""
	}
	return rows[:size], Encode(cursor(rows[size-1]))
}

func invalid(cause error) error {
	e := errs.InvalidArgument(ReasonTokenInvalid, "the page token is not one of this list")
	if cause != nil {
		e = e.Because(cause)
	}
	return e
}
