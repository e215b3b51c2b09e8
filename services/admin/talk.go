package admin

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// maxExcerpt is how much of a deleted message the audit log keeps, in characters: enough to judge the act by, without
// making the log a second home of what was taken away.
const maxExcerpt = 100

// DeleteMessage takes a message away for everyone. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND).
func (s *Service) DeleteMessage(ctx context.Context, conversationID string, position *chatv1.Position, reason string) error {
	which := fmt.Sprintf("message %d", position.GetSeq())
	entry := Entry{Action: ActionDeleteMessage, TargetID: conversationID, Detail: reason + " (" + which + ")"}
	return s.act(ctx, entry, func(ctx context.Context, entry *Entry) error {
		res, err := s.talk.DeleteMessage(ctx, &chatv1.DeleteMessageRequest{ConversationId: conversationID, Position: position})
		if err != nil {
			return err
		}
		if sender := res.GetMessage().GetSender(); sender != nil {
			entry.Detail = fmt.Sprintf("%s (%s by %s %s: %q)", reason, which, sender.GetNickname(), sender.GetId(),
				excerpt(res.GetMessage().GetContent().GetText().GetText()))
		}
		return nil
	})
}

// excerpt returns the beginning of a text.
func excerpt(text string) string {
	text = strings.TrimSpace(text)
	if utf8.RuneCountInString(text) <= maxExcerpt {
		return text
	}
	return string([]rune(text)[:maxExcerpt-1]) + "…"
}

// MuteUser keeps a user from writing, in one conversation or, without its id, in all. Errors: NOT_FOUND (USER_NOT_FOUND,
// CONVERSATION_NOT_FOUND), FAILED_PRECONDITION (CANNOT_MUTE_STAFF).
func (s *Service) MuteUser(ctx context.Context, r *chatv1.MuteUserRequest) (mute Mute, err error) {
	entry := Entry{Action: ActionMuteUser, TargetID: r.GetUserId(), Detail: muteDetail(r)}
	err = s.act(ctx, entry, func(ctx context.Context, _ *Entry) error {
		user, err := s.person(ctx, r.GetUserId())
		if err != nil {
			return err
		}
		if err := mayMute(authn.MustFrom(ctx), user.GetRole()); err != nil {
			return err
		}
		res, err := s.talk.MuteUser(ctx, r)
		mute = muteOf(res.GetMute(), user)
		return err
	})
	return mute, err
}

// muteDetail says why, where and for how long.
func muteDetail(r *chatv1.MuteUserRequest) string {
	where := "everywhere"
	if r.GetConversationId() != "" {
		where = "in " + r.GetConversationId()
	}
	if r.GetUntil() != nil {
		where += " until " + r.GetUntil().AsTime().Format(time.RFC3339)
	}
	return r.GetReason() + " (" + where + ")"
}

// mayMute holds the staff to their order: administrators mute moderators, and nobody mutes an administrator. Errors:
// FAILED_PRECONDITION (CANNOT_MUTE_STAFF).
func mayMute(actor authn.Principal, target authv1.Role) error {
	switch {
	case target >= authv1.Role_ROLE_ADMIN:
		return errs.FailedPrecondition(ReasonCannotMuteStaff, "an administrator cannot be muted; take the role away first")
	case target >= authv1.Role_ROLE_MODERATOR && !actor.IsAdmin():
		return errs.FailedPrecondition(ReasonCannotMuteStaff, "only an administrator can mute a moderator")
	default:
		return nil
	}
}

// UnmuteUser lifts a mute. A moderator cannot lift one of the staff, their own least of all; an administrator can lift
// any, also of one who was made an administrator since. Errors: NOT_FOUND (MUTE_NOT_FOUND), FAILED_PRECONDITION
// (CANNOT_MUTE_STAFF).
func (s *Service) UnmuteUser(ctx context.Context, userID, conversationID string) error {
	entry := Entry{Action: ActionUnmuteUser, TargetID: userID, Detail: "everywhere"}
	if conversationID != "" {
		entry.Detail = "in " + conversationID
	}
	return s.act(ctx, entry, func(ctx context.Context, _ *Entry) error {
		if !authn.MustFrom(ctx).IsAdmin() {
			people, err := s.people(ctx, userID)
			if err != nil {
				return err
			}
			if people[userID].GetRole() >= authv1.Role_ROLE_MODERATOR {
				return errs.FailedPrecondition(ReasonCannotMuteStaff, "only an administrator can lift a mute of the staff")
			}
		}
		_, err := s.talk.UnmuteUser(ctx, &chatv1.UnmuteUserRequest{UserId: userID, ConversationId: conversationID})
		return err
	})
}

// ListMutes pages through the mutes in force, newest first. Errors: INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListMutes(ctx context.Context, r *chatv1.ListMutesRequest) (mutes []Mute, next string, err error) {
	if err := s.started(); err != nil {
		return nil, "", err
	}
	page, err := s.talk.ListMutes(ctx, r)
	if err != nil || len(page.GetMutes()) == 0 {
		return nil, page.GetNextPageToken(), err
	}
	var ids []string
	for _, m := range page.GetMutes() {
		ids = append(ids, m.GetUserId())
	}
	people, err := s.people(ctx, ids...)
	if err != nil {
		return nil, "", err
	}
	for _, m := range page.GetMutes() {
		mutes = append(mutes, muteOf(m, people[m.GetUserId()]))
	}
	return mutes, page.GetNextPageToken(), nil
}

// person returns one user. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) person(ctx context.Context, id string) (*authv1.User, error) {
	people, err := s.people(ctx, id)
	if err != nil {
		return nil, err
	}
	if people[id] == nil {
		return nil, errs.NotFound(ReasonUserNotFound, "there is no such user")
	}
	return people[id], nil
}

// muteOf joins a mute and its user, nil when they are gone, as everyone sees them.
func muteOf(m *chatv1.Mute, user *authv1.User) Mute {
	mute := Mute{
		User: &authv1.User{
			Id: m.GetUserId(), Nickname: user.GetNickname(), AvatarUrl: user.GetAvatarUrl(), Role: user.GetRole(),
		},
		ConversationID: m.GetConversationId(), Reason: m.GetReason(), CreatedAt: m.GetCreatedAt().AsTime(),
	}
	if m.GetUntil() != nil {
		mute.Until = m.GetUntil().AsTime()
	}
	return mute
}
