package presence

import "context"

// maxRemembered is of how many people one pulse stores when they left, which others wait for.
const maxRemembered = 2000

// rememberSome stores when people left, many at once. more is false when nothing is left to store; what cannot be stored is
// tried again by the next.
func (s *Service) rememberSome(ctx context.Context) (more bool, err error) {
	left := s.tracker.left(maxRemembered)
	if len(left) == 0 {
		return false, nil
	}
	if err := s.store.setLastSeen(ctx, left); err != nil {
		return true, err
	}
	s.tracker.stored(left)
	s.metrics.remembered.Add(float64(len(left)))
	return len(left) == maxRemembered, nil
}
