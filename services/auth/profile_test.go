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
			"nested": {Paths: []string{"nickname.first"}}, "everything": {Paths: []string{"user"}},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := me.UpdateProfile(t.Context(), &authv1.UpdateProfileRequest{Nickname: "New", UpdateMask: mask})
				wantError(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
			})
		}
		res, err := me.UpdateProfile(t.Context(), &authv1.UpdateProfileRequest{
			Nickname: "New", AvatarUrl: "https://a.example/", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"avatar_url"}},
		})
		if err != nil || res.GetUser().GetNickname() != "ada" || res.GetUser().GetAvatarUrl() != "https://a.example/" {
			t.Errorf("%v, %v", res, err)
		}
	})
}

func TestProfileValues(t *testing.T) {
	w := serve(t)
	me := w.as(w.signUp(w.device(), "ada").GetAccessToken())
	for name, c := range map[string]struct {
		value string
		mask  string
		want  string // "" for refused
	}{
		"plain":             {"Ada", "nickname", "Ada"},
		"trimmed":           {"\u3000 Ada\u00a0", "nickname", "Ada"},
		"32 characters":     {strings.Repeat("名", 32), "nickname", strings.Repeat("名", 32)},
		"joined emoji":      {"👩‍👩‍👧", "nickname", "👩‍👩‍👧"},
		"33 characters":     {strings.Repeat("名", 33), "nickname", ""},
		"empty":             {"", "nickname", ""},
		"white space":       {" \t\u2003", "nickname", ""},
		"zero width":        {"\u200b\u200d\ufeff", "nickname", ""},
		"Hangul filler":     {"\u3164\u2800", "nickname", ""},
		"lone mark":         {"\u0301\ufe0f", "nickname", ""},
		"control":           {"a\x00b", "nickname", ""},
		"new line":          {"a\nb", "nickname", ""},
		"line separator":    {"a\u2028b", "nickname", ""},
		"direction change":  {"a\u202eb", "nickname", ""},
		"picture":           {"https://a.example/b?c=d", "avatar_url", "https://a.example/b?c=d"},
		"no https":          {"http://a.example/b", "avatar_url", ""},
		"script":            {"javascript:alert(1)", "avatar_url", ""},
		"no host":           {"https:///b", "avatar_url", ""},
		"with a password":   {"https://a:b@c.example/", "avatar_url", ""},
		"control in a path": {"https://a.example/\x7f", "avatar_url", ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := &authv1.UpdateProfileRequest{
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{c.mask}},
			}
			if c.mask == "nickname" {
				request.Nickname = c.value
			} else {
				request.AvatarUrl = c.value
			}
			res, err := me.UpdateProfile(t.Context(), request)
			if c.want == "" {
				wantError(t, err, connect.CodeInvalidArgument, "INVALID_ARGUMENT")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := res.GetUser().GetNickname()
			if c.mask == "avatar_url" {
				got = res.GetUser().GetAvatarUrl()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
