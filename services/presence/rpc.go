package presence

import (
	"context"

	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/authn"
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
	ctx context.Context, r *presencev1.CountPeopleRequest,
) (*presencev1.CountPeopleResponse, error) {
	counts, err := h.service.Count(ctx, authn.MustFrom(ctx), r.GetConversationIds())
	if err != nil {
		return nil, err
	}
	res := &presencev1.CountPeopleResponse{}
	for i, id := range r.GetConversationIds() {
		res.Counts = append(res.Counts, peopleCount(id, counts[i]))
	}
	return res, nil
}

// SetStatus implements PresenceService.
func (h *handler) SetStatus(
	ctx context.Context, r *presencev1.SetStatusRequest,
) (*presencev1.SetStatusResponse, error) {
	own, err := h.service.SetStatus(ctx, authn.MustFrom(ctx), r.GetStatus())
	if err != nil {
		return nil, err
	}
	return &presencev1.SetStatusResponse{Presence: own}, nil
}

// GetPrivacy implements PresenceService.
func (h *handler) GetPrivacy(
	ctx context.Context, _ *presencev1.GetPrivacyRequest,
) (*presencev1.GetPrivacyResponse, error) {
	p, err := h.service.Privacy(ctx, authn.MustFrom(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &presencev1.GetPrivacyResponse{Privacy: privacyToProto(p)}, nil
}

// UpdatePrivacy implements PresenceService.
func (h *handler) UpdatePrivacy(
	ctx context.Context, r *presencev1.UpdatePrivacyRequest,
) (*presencev1.UpdatePrivacyResponse, error) {
	paths := r.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		paths = []string{"online", "last_seen"}
	}
	for _, path := range paths {
		if path != "online" && path != "last_seen" {
			return nil, invalid("update_mask must name online, last_seen and nothing else").
				With("field", "update_mask").With("path", path)
		}
	}
	p, err := h.service.ChangePrivacy(ctx, authn.MustFrom(ctx).UserID, func(p *Person) {
		for _, path := range paths {
			if path == "online" {
				p.Online = audience(r.GetPrivacy().GetOnline())
			} else {
				p.LastSeen = audience(r.GetPrivacy().GetLastSeen())
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &presencev1.UpdatePrivacyResponse{Privacy: privacyToProto(p)}, nil
}

// audience gives what was left open its meaning.
func audience(a presencev1.Audience) presencev1.Audience {
	if a == presencev1.Audience_AUDIENCE_UNSPECIFIED {
		return everyone
	}
	return a
}

func privacyToProto(p Person) *presencev1.Privacy {
	return &presencev1.Privacy{Online: p.Online, LastSeen: p.LastSeen}
}

func peopleCount(conversationID string, n int) *presencev1.PeopleCount {
	return &presencev1.PeopleCount{ConversationId: conversationID, Count: int32(n)} //nolint:gosec // people
}
