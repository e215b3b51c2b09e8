package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/picture"
)

const (
	avatarPrefix = "/auth/avatars/"
	avatarFolder = "avatars" // in the data folder
	avatarEdge   = 256       // pixels

	// What one user may upload: each picture costs up to a second of a processor.
	avatarsPerMinute = 1
	avatarBurst      = 10
)

// setAvatar makes a picture a user's avatar. Errors: INVALID_ARGUMENT (IMAGE_INVALID), RESOURCE_EXHAUSTED
// (RATE_LIMITED), PERMISSION_DENIED (FORBIDDEN) for the operator.
func (s *Service) setAvatar(ctx context.Context, id string, image []byte) (User, error) {
	if err := notOperator(id); err != nil {
		return User{}, err
	}
	if err := s.uploads.take(id); err != nil {
		return User{}, err
	}
	jpeg, err := picture.Square(ctx, image, avatarEdge)
	if err != nil {
		return User{}, err
	}
	return s.changeUser(ctx, id, func(u *User) error {
		// In the transaction, so that of two acts at once the file and the row are of the same one. The file is small.
		u.AvatarURL = s.avatars.URL(id, version(jpeg))
		return s.avatars.Put(id, jpeg)
	})
}

// removeAvatar takes a user's avatar away; having none is no error.
func (s *Service) removeAvatar(ctx context.Context, id string) (User, error) {
	if id == operatorID { // has none, and no name that a file could have
		return s.user(ctx, id)
	}
	return s.changeUser(ctx, id, func(u *User) error {
		u.AvatarURL = ""
		return s.avatars.Remove(id)
	})
}

// version is a number that no other picture of the user has.
func version(jpeg []byte) int64 {
	sum := sha256.Sum256(jpeg)
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1) //nolint:gosec // 63 bits
}

// serveAvatar serves the avatar of who has one now: the file of a banned user stays for the time after.
func (s *Service) serveAvatar(w http.ResponseWriter, r *http.Request) {
	id, ok := s.avatars.Name(r)
	if !ok {
		errs.WriteHTTP(w, r, picture.NotFound())
		return
	}
	user, err := s.user(r.Context(), id)
	switch {
	case err != nil && errs.Reason(err) != ReasonUserNotFound:
		if r.Context().Err() == nil {
			s.logger.ErrorContext(r.Context(), "an avatar was not served", "user_id", id, "error", err)
		}
		errs.WriteHTTP(w, r, err)
	case err != nil, user.AvatarURL == "", user.BannedAt(s.now()) != nil:
		errs.WriteHTTP(w, r, picture.NotFound())
	default:
		s.avatars.ServeHTTP(w, r)
	}
}
