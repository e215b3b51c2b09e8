package pagination_test

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

type cursor struct {
	Live bool   `json:"l"`
	ID   string `json:"i"`
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		asked int32
		want  int
	}{{-5, 20}, {0, 20}, {1, 1}, {99, 99}, {100, 100}, {101, 100}, {math.MaxInt32, 100}} {
		if got := pagination.Size(c.asked, 20, 100); got != c.want {
			t.Errorf("Size(%d) = %d, want %d", c.asked, got, c.want)
		}
	}
}

func TestTokensComeBack(t *testing.T) {
	want := cursor{Live: true, ID: "01J…\x00"}
	token := pagination.Encode(want)
	if strings.ContainsAny(token, "+/=") || len(token) > 256 {
		t.Errorf("token %q does not fit into a URL or a contract", token)
	}
	got, ok, err := pagination.Decode[cursor](token)
	if err != nil || !ok || got != want {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if got, ok, err := pagination.Decode[cursor](""); err != nil || ok || got != (cursor{}) {
		t.Errorf("first page: %+v, %v, %v", got, ok, err)
	}
}

func TestMalformedTokens(t *testing.T) {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, token := range []string{
		"x", "%%%", "e30=", encode("{"), encode(`{"i":5}`), encode(`{"other":1}`), encode(`{}{}`),
		encode(`[]`), strings.Repeat("A", 5000), "\x00", pagination.Encode(struct{ Offset int }{5}),
	} {
		if _, _, err := pagination.Decode[cursor](token); !errs.Is(err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID") {
			t.Errorf("Decode(%.20q): %v", token, err)
		}
	}
}

// row is a cursor that knows which rows there can be.
type row int

func (r row) Valid() bool { return r > 0 }

func TestForgedTokens(t *testing.T) {
	if got, ok, err := pagination.Decode[row](""); err != nil || ok || got != 0 {
		t.Errorf("first page: %v, %v, %v", got, ok, err)
	}
	if got, ok, err := pagination.Decode[row](pagination.Encode(7)); err != nil || !ok || got != 7 {
		t.Errorf("got %v, %v, %v", got, ok, err)
	}
	for _, forged := range []int{0, -1} {
		got, _, err := pagination.Decode[row](pagination.Encode(forged))
		if got != 0 || !errs.Is(err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID") {
			t.Errorf("row %d: %v, %v", forged, got, err)
		}
	}
}

func TestPagesCoverTheList(t *testing.T) {
	all := []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
	for size := 1; size <= len(all)+1; size++ {
		var got []int
		for token, pages := "", 0; ; pages++ {
			after, ok, err := pagination.Decode[int](token)
			if err != nil || pages > len(all) {
				t.Fatalf("size %d: %v after %d pages", size, err, pages)
			}
			from := 0
			if ok {
				from = slices.Index(all, after) + 1
			}
			rows := all[from:min(from+size+1, len(all))]
			var page []int
			page, token = pagination.Page(rows, size, func(last int) int { return last })
			got = append(got, page...)
			if token == "" {
				break
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("size %d: got %v", size, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(pagination.Encode(cursor{ID: "x"}))
	f.Add("e30")
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, err := pagination.Decode[cursor](token); err != nil && errs.Reason(err) != "PAGE_TOKEN_INVALID" {
			t.Errorf("Decode(%q): %v", token, err)
		}
	})
}
