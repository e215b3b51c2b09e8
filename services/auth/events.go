package auth

import (
	"context"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/bus"
)

// Why sessions end, for the metrics.
const (
	causeSignedOut = "signed_out"
	causeReplaced  = "replaced"
	causeDevice    = "device_revoked"
	causeReused    = "token_reused"
	causeBanned    = "banned"
	causeRole      = "role_changed"
	causePassword  = "password_changed"
	causeStaff     = "revoked_by_staff"
)

// publishTimeout bounds how long a caller waits for a subscriber that is behind.
const publishTimeout = 3 * time.Second

// announceRevoked tells the other services that sessions have ended, after the commit. It goes on when the caller
// leaves. An error is logged and not returned, since the sessions have ended: those who missed it ask for the list.
func (s *Service) announceRevoked(ctx context.Context, userID, cause string, ended []Revocation) {
	if len(ended) == 0 {
		return
	}
	s.metrics.revoked(cause, len(ended))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	event := &authv1.SessionsRevoked{Revocations: revocationsProto(ended)}
	if err := bus.Publish(ctx, s.bus, TopicSessionsRevoked, userID, event); err != nil {
		s.logger.ErrorContext(ctx, "revoked sessions were not announced", "user_id", userID, "sessions", len(ended), "error", err)
	}
}

// announceChanged tells the other services what a user looks like now.
func (s *Service) announceChanged(ctx context.Context, user User) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	event := &authv1.UserChanged{User: s.userProto(user), Ban: banProto(user.BannedAt(s.now()))}
	if err := bus.Publish(ctx, s.bus, TopicUserChanged, user.ID, event); err != nil {
		s.logger.ErrorContext(ctx, "a changed user was not announced", "user_id", user.ID, "error", err)
	}
}
