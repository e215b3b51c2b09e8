package admin_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/admin"
)

// site asks as nobody, whom the service must answer, too.
func (w *world) site() *sitev1.Site {
	w.t.Helper()
	client := sitev1connect.NewSiteServiceClient(w.server.Client(), w.server.URL())
	res, err := client.GetSite(w.t.Context(), &sitev1.GetSiteRequest{})
	w.must(err)
	return res.GetSite()
}

// set changes the fields that it names.
func (w *world) set(site *sitev1.Site, fields ...string) error {
	w.t.Helper()
	res, err := w.as("ann").UpdateSite(w.t.Context(), &adminv1.UpdateSiteRequest{
		Site: site, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
	})
	if now := w.site(); err == nil && !proto.Equal(res.GetSite(), now) {
		w.t.Errorf("answered %v, and it is %v", res.GetSite(), now)
	}
	return err
}

func TestSiteIsChangedFieldByField(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	want := &sitev1.Site{Name: "Stoa", SignUpEnabled: true, RoomCreationEnabled: true}
	t.Run("before a restart", func(t *testing.T) {
		w := boot(t, url)
		if got := w.site(); !proto.Equal(got, want) {
			t.Errorf("at first it is %v", got)
		}
		w.must(w.set(&sitev1.Site{Name: "  Die Säule 📺 "}, "name"))
		w.must(w.set(&sitev1.Site{Name: "dropped", Announcement: "Down at noon"}, "announcement", "sign_up_enabled"))
		want = &sitev1.Site{Name: "Die Säule 📺", Announcement: "Down at noon", RoomCreationEnabled: true}
		if got := w.site(); !proto.Equal(got, want) {
			t.Errorf("now it is %v", got)
		}
		if got := w.log(&adminv1.ListAuditEntriesRequest{}); !slices.Equal(got, []string{
			`ann Ann|site.update||name="Die Säule 📺"|`,
			`ann Ann|site.update||announcement="Down at noon", sign_up_enabled=false|`,
		}) {
			t.Errorf("the log has %q", got)
		}
	})
	w := boot(t, url)
	if got := w.site(); !proto.Equal(got, want) {
		t.Errorf("after a restart it is %v", got)
	}
	w.must(w.set(&sitev1.Site{SignUpEnabled: true}, "sign_up_enabled", "room_creation_enabled", "announcement"))
	want = &sitev1.Site{Name: "Die Säule 📺", SignUpEnabled: true}
	if got := w.site(); !proto.Equal(got, want) {
		t.Errorf("at last it is %v", got)
	}
}

func TestSiteRefusals(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	before := w.site()
	for name, c := range map[string]struct {
		site   *sitev1.Site
		mask   []string
		reason string
	}{
		"no mask":                 {&sitev1.Site{Name: "x"}, nil, admin.ReasonUpdateMaskInvalid},
		"unknown field":           {&sitev1.Site{Name: "x"}, []string{"name", "logo"}, admin.ReasonUpdateMaskInvalid},
		"everything":              {&sitev1.Site{Name: "x"}, []string{"*"}, admin.ReasonUpdateMaskInvalid},
		"no name":                 {&sitev1.Site{}, []string{"name"}, admin.ReasonSiteNameInvalid},
		"blank name":              {&sitev1.Site{Name: " \u2003 "}, []string{"name"}, admin.ReasonSiteNameInvalid},
		"invisible name":          {&sitev1.Site{Name: "\u200b\u200d"}, []string{"name"}, admin.ReasonSiteNameInvalid},
		"name of two lines":       {&sitev1.Site{Name: "a\nb"}, []string{"name"}, admin.ReasonSiteNameInvalid},
		"name that turns":         {&sitev1.Site{Name: "a\u202eb"}, []string{"name"}, admin.ReasonSiteNameInvalid},
		"long name":               {&sitev1.Site{Name: strings.Repeat("é", 41)}, []string{"name"}, errs.ReasonInvalidArgument},
		"long announcement":       {&sitev1.Site{Announcement: strings.Repeat("é", 301)}, []string{"announcement"}, errs.ReasonInvalidArgument},
		"announcement that turns": {&sitev1.Site{Announcement: "a\u202eb"}, []string{"announcement"}, errs.ReasonInvalidArgument},
		"nothing":                 {nil, []string{"name"}, errs.ReasonInvalidArgument},
	} {
		if err := w.set(c.site, c.mask...); !errs.Is(err, connect.CodeInvalidArgument, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.site(); !proto.Equal(got, before) {
		t.Errorf("refusals left %v", got)
	}
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); len(got) != 0 {
		t.Errorf("recorded %q", got)
	}
}
