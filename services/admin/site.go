package admin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/words"
)

// Reasons of refused settings.
const (
	ReasonSiteNameInvalid   = "SITE_NAME_INVALID"
	ReasonUpdateMaskInvalid = "UPDATE_MASK_INVALID"
)

// Most characters.
const (
	maxSiteName     = 40
	maxAnnouncement = 300
)

// Site is what the installation says about itself, and what it lets people do.
type Site struct {
	Name                string
	Announcement        string
	SignUpEnabled       bool
	RoomCreationEnabled bool
}

// SiteChange is new values; nil leaves what is there.
type SiteChange struct {
	Name                *string
	Announcement        *string
	SignUpEnabled       *bool
	RoomCreationEnabled *bool
}

// siteFields are what an update mask may name.
func siteFields() []string {
	return []string{"name", "announcement", "sign_up_enabled", "room_creation_enabled"}
}

// newSiteChange takes the fields that a mask names out of a site. Errors: INVALID_ARGUMENT (UPDATE_MASK_INVALID).
func newSiteChange(site Site, mask []string) (change SiteChange, err error) {
	if len(mask) == 0 {
		return change, errs.InvalidArgument(ReasonUpdateMaskInvalid, "update_mask names no field; it may name %q", siteFields())
	}
	for _, path := range mask {
		switch path {
		case "name":
			change.Name = &site.Name
		case "announcement":
			change.Announcement = &site.Announcement
		case "sign_up_enabled":
			change.SignUpEnabled = &site.SignUpEnabled
		case "room_creation_enabled":
			change.RoomCreationEnabled = &site.RoomCreationEnabled
		default:
			return change, errs.InvalidArgument(ReasonUpdateMaskInvalid, "update_mask names %q; it may name %q", path, siteFields())
		}
	}
	return change, nil
}

// String says in one line what is changed, for the audit log.
func (c SiteChange) String() string {
	var parts []string
	for i, value := range []*string{c.Name, c.Announcement} {
		if value != nil {
			parts = append(parts, siteFields()[i]+"="+strconv.Quote(*value))
		}
	}
	for i, value := range []*bool{c.SignUpEnabled, c.RoomCreationEnabled} {
		if value != nil {
			parts = append(parts, siteFields()[i+2]+"="+strconv.FormatBool(*value))
		}
	}
	return strings.Join(parts, ", ")
}

// checked trims the texts and refuses those that cannot be shown in a line. Errors: INVALID_ARGUMENT (SITE_NAME_INVALID,
// or INVALID_ARGUMENT for the announcement).
func (c SiteChange) checked() (SiteChange, error) {
	if c.Name != nil {
		name, ok := words.Line(*c.Name, maxSiteName)
		if !ok {
			return c, errs.InvalidArgument(ReasonSiteNameInvalid,
				"a site's name has 1 to %d characters that can be seen, in one line", maxSiteName)
		}
		c.Name = &name
	}
	if c.Announcement != nil {
		text := strings.TrimSpace(*c.Announcement)
		if text != "" { // which takes it away
			line, ok := words.Line(text, maxAnnouncement)
			if !ok {
				return c, errs.InvalidArgument(errs.ReasonInvalidArgument, "an announcement is one line that can be seen").
					With("field", "announcement")
			}
			text = line
		}
		c.Announcement = &text
	}
	return c, nil
}

// Site returns the settings as they are now. It needs no neighbour, so that neighbours may ask while they start.
func (s *Service) Site(ctx context.Context) (Site, error) {
	site, err := s.store.site(ctx)
	if err != nil {
		return Site{}, fmt.Errorf("read site: %w", err)
	}
	return site, nil
}

// UpdateSite changes settings. Errors: INVALID_ARGUMENT (SITE_NAME_INVALID).
func (s *Service) UpdateSite(ctx context.Context, change SiteChange) (site Site, err error) {
	change, err = change.checked()
	if err != nil {
		return Site{}, err
	}
	entry := Entry{Action: ActionUpdateSite, Detail: change.String()}
	err = s.act(ctx, entry, func(ctx context.Context, _ *Entry) error {
		site, err = s.store.updateSite(ctx, change)
		return err
	})
	return site, err
}
