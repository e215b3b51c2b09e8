package auth

import (
	"context"
	"time"

	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// siteTimeout is how long a sign-up waits for the settings.
const siteTimeout = 3 * time.Second

// signUpOpen asks the site's settings whether people may sign up. What cannot be asked is not guessed. Errors:
// FAILED_PRECONDITION (SIGN_UP_DISABLED), UNAVAILABLE.
func (s *Service) signUpOpen(ctx context.Context) error {
	select {
	case <-s.started:
	default:
		return errs.Unavailable(errs.ReasonUnavailable, "the server is starting, try again in a moment")
	}
	ctx, cancel := context.WithTimeout(ctx, siteTimeout)
	defer cancel()
	res, err := s.site.GetSite(ctx, &sitev1.GetSiteRequest{})
	if err != nil {
		s.logger.WarnContext(ctx, "a sign-up was refused without the site's settings", "error", err)
		return errs.Unavailable(errs.ReasonUnavailable, "the settings cannot be read now, try again in a moment").Because(err)
	}
	if !res.GetSite().GetSignUpEnabled() {
		return errs.FailedPrecondition(ReasonSignUpDisabled, "nobody can sign up here now")
	}
	return nil
}
