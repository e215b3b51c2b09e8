package auth_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

func TestUpdateMask(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w := serve(t)
		me := w.as(w.signUp(w.device(), "ada").GetAccessToken(), options...)
		for name, mask := range map[string]*fieldmaskpb.FieldMask{
			"none": nil, "empty": {}, "unknown": {Paths: []string{"nickname", "role"}}, "output only": {Paths: []string{"username"}},
			"avatar": {Paths: []string{"avatar_url"}},
			"nested": {Paths: []string{"nickname.first"}}, "everything": {Paths: []string{"user"}},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := me.UpdateProfile(t.Context(), &authv1.UpdateProfileRequest{Nickname: "New", UpdateMask: mask})
				wantError(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
			})
		}
	})
}

func TestNicknames(t *testing.T) {
	w := serve(t)
	me := w.as(w.signUp(w.device(), "ada").GetAccessToken())
	for name, c := range map[string]struct {
		value string
		want  string // "" for refused
	}{
		"plain":            {"Ada", "Ada"},
		"trimmed":          {"\u3000 Ada\u00a0", "Ada"},
		"32 characters":    {strings.Repeat("名", 32), strings.Repeat("名", 32)},
		"joined emoji":     {"👩‍👩‍👧", "👩‍👩‍👧"},
		"33 characters":    {strings.Repeat("名", 33), ""},
		"empty":            {"", ""},
		"white space":      {" \t\u2003", ""},
		"zero width":       {"\u200b\u200d\ufeff", ""},
		"Hangul filler":    {"\u3164\u2800", ""},
		"lone mark":        {"\u0301\ufe0f", ""},
		"control":          {"a\x00b", ""},
		"new line":         {"a\nb", ""},
		"line separator":   {"a\u2028b", ""},
		"direction change": {"a\u202eb", ""},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := me.UpdateProfile(t.Context(), &authv1.UpdateProfileRequest{
				Nickname: c.value, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nickname"}},
			})
			if c.want == "" {
				wantError(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := res.GetUser().GetNickname(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
