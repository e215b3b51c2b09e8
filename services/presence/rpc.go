package presence

import (
	"context"
	"strings"
	"time"
	"unicode"

	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/words"
)

var _ presencev1connect.PresenceServiceHandler = (*handler)(nil)

// handler speaks PresenceService.
type handler struct{ service *Service }

// BatchGetPresence implements PresenceService.
func (h *handler) BatchGetPresence(
	ctx context.Context, r *presencev1.BatchGetPresenceRequest,
) (*presencev1.BatchGetPresenceResponse, error) {
	list, err := h.service.Presences(ctx, authn.MustFrom(ctx), r.GetUserIds())
	if err != nil {
		return nil, err
	}
	return &presencev1.BatchGetPresenceResponse{Presences: list}, nil
}

// CountPeople implements PresenceService.
func (h *handler) CountPeople(
	_ context.Context, r *presencev1.CountPeopleRequest,
) (*presencev1.CountPeopleResponse, error) {
	res := &presencev1.CountPeopleResponse{}
	for _, id := range r.GetConversationIds() {
		res.Counts = append(res.Counts, &presencev1.PeopleCount{
			ConversationId: id, Count: int32(h.service.tracker.people(id)), //nolint:gosec // people
		})
	}
	return res, nil
}

// SetStatus implements PresenceService.
func (h *handler) SetStatus(
	ctx context.Context, r *presencev1.SetStatusRequest,
) (*presencev1.SetStatusResponse, error) {
	p := authn.MustFrom(ctx)
	status, err := cleanStatus(r.GetStatus(), h.service.deps.Now())
	if err != nil {
		return nil, err
	}
	if err := h.service.setStatus(ctx, p.UserID, status); err != nil {
		return nil, err
	}
	list, err := h.service.Presences(ctx, p, []string{p.UserID})
	if err != nil {
		return nil, err
	}
	return &presencev1.SetStatusResponse{Presence: list[0]}, nil
}

// cleanStatus returns a status as it is stored. Errors: INVALID_ARGUMENT.
func cleanStatus(s *presencev1.Status, now time.Time) (Status, error) {
	var out Status
	if text := strings.TrimSpace(s.GetText()); text != "" {
		line, ok := words.Line(text, maxStatus)
		if !ok {
			return Status{}, invalid("status.text: want at most %d characters that can be seen, in one line", maxStatus)
		}
		out.Text = line
	}
	if strings.ContainsFunc(s.GetEmoji(), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return Status{}, invalid("status.emoji: want an emoji")
	}
	out.Emoji = s.GetEmoji()
	if s.GetUntil() == nil || (out.Text == "" && out.Emoji == "") {
		return out, nil
	}
	if err := s.GetUntil().CheckValid(); err != nil {
		return Status{}, invalid("status.until: this is no time").Because(err)
	}
	out.Until = s.GetUntil().AsTime().Truncate(time.Second)
	if !out.Until.After(now) {
		return Status{}, invalid("status.until: want a time to come")
	}
	return out, nil
}

func invalid(format string, args ...any) *errs.Error {
	return errs.InvalidArgument(errs.ReasonInvalidArgument, format, args...)
}

func (s *Service) setStatus(ctx context.Context, id string, status Status) error {
	if err := s.limit(id); err != nil {
		return err
	}
	if err := s.store.setStatus(ctx, id, status); err != nil {
		return err
	}
	s.mu.Lock()
	if status.Until.IsZero() {
		delete(s.ending, id)
	} else {
		s.ending[id] = status.Until
	}
	s.mu.Unlock()
	s.tracker.mark(id)
	return nil
}

// GetPrivacy implements PresenceService.
func (h *handler) GetPrivacy(
	ctx context.Context, _ *presencev1.GetPrivacyRequest,
) (*presencev1.GetPrivacyResponse, error) {
	p, err := h.service.person(ctx, authn.MustFrom(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &presencev1.GetPrivacyResponse{Privacy: &presencev1.Privacy{Online: p.Online, LastSeen: p.LastSeen}}, nil
}

func (s *Service) person(ctx context.Context, id string) (Person, error) {
	persons, err := s.store.persons(ctx, []string{id})
	if err != nil {
		return Person{}, err
	}
	if p, ok := persons[id]; ok {
		return p, nil
	}
	return stranger(id), nil
}

// UpdatePrivacy implements PresenceService.
func (h *handler) UpdatePrivacy(
	ctx context.Context, r *presencev1.UpdatePrivacyRequest,
) (*presencev1.UpdatePrivacyResponse, error) {
	id := authn.MustFrom(ctx).UserID
	if err := h.service.limit(id); err != nil {
		return nil, err
	}
	p, err := h.service.person(ctx, id)
	if err != nil {
		return nil, err
	}
	paths := r.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		paths = []string{"online", "last_seen"}
	}
	for _, path := range paths {
		switch path {
		case "online":
			p.Online = or(r.GetPrivacy().GetOnline())
		case "last_seen":
			p.LastSeen = or(r.GetPrivacy().GetLastSeen())
		default:
			return nil, invalid("update_mask: %q cannot be changed", path)
		}
	}
	if err := h.service.store.setPrivacy(ctx, id, p.Online, p.LastSeen); err != nil {
		return nil, err
	}
	h.service.mu.Lock()
	h.service.private[id] = struct{}{}
	h.service.mu.Unlock()
	return &presencev1.UpdatePrivacyResponse{Privacy: &presencev1.Privacy{Online: p.Online, LastSeen: p.LastSeen}}, nil
}

// or gives what was left open its meaning.
func or(a presencev1.Audience) presencev1.Audience {
	if a == presencev1.Audience_AUDIENCE_UNSPECIFIED {
		return everyone
	}
	return a
}
