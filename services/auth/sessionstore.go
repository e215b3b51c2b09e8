package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/device"
	"github.com/stoa-live/stoa/gen/ent/auth/predicate"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

func (s *storage) insertSession(ctx context.Context, c *entauth.Client, one Session) error {
	row := c.Session.Create().SetID(one.ID).SetUserID(one.UserID).SetDeviceID(one.DeviceID).SetCreatedAt(one.RefreshedAt).
		SetRefreshedAt(one.RefreshedAt).SetExpiresAt(one.ExpiresAt)
	if one.FamilyHash != nil {
		row.SetFamilyHash(one.FamilyHash).SetTokenHash(one.TokenHash)
	}
	if err := row.Exec(ctx); err != nil {
		return fmt.Errorf("add session: %w", err)
	}
	return nil
}

// sessionByFamily returns the session of a family of refresh tokens, false if there is none.
func (s *storage) sessionByFamily(ctx context.Context, c *entauth.Client, familyHash []byte) (Session, bool, error) {
	row, err := c.Session.Query().Where(session.FamilyHash(familyHash)).Only(ctx)
	if entauth.IsNotFound(err) {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, fmt.Errorf("read session: %w", err)
	}
	one := Session{
		ID: row.ID, UserID: row.UserID, DeviceID: row.DeviceID, RefreshedAt: row.RefreshedAt.UTC(),
		ExpiresAt: row.ExpiresAt.UTC(), FamilyHash: familyHash,
	}
	if row.TokenHash != nil {
		one.TokenHash = *row.TokenHash
	}
	if row.FormerHash != nil && row.ReplacedAt != nil {
		one.FormerHash, one.ReplacedAt = *row.FormerHash, row.ReplacedAt.UTC()
	}
	if row.RevokedAt != nil {
		one.RevokedAt = row.RevokedAt.UTC()
	}
	return one, true, nil
}

// deviceOfSession returns on which device a user's session is, false if it is none of the user's or has ended.
func (s *storage) deviceOfSession(
	ctx context.Context, c *entauth.Client, userID, id string, now time.Time,
) (string, bool, error) {
	row, err := c.Session.Query().
		Where(session.ID(id), session.UserID(userID), session.RevokedAtIsNil(), session.ExpiresAtGT(now)).Only(ctx)
	if entauth.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read session: %w", err)
	}
	return row.DeviceID, true, nil
}

// rotate writes the tokens of a session in place of replaced, the hash of its latest one; false if that was replaced or
// the session revoked meanwhile.
func (s *storage) rotate(ctx context.Context, c *entauth.Client, one Session, replaced []byte) (bool, error) {
	n, err := c.Session.Update().
		Where(session.ID(one.ID), session.TokenHash(replaced), session.RevokedAtIsNil()).
		SetTokenHash(one.TokenHash).SetFormerHash(one.FormerHash).SetReplacedAt(one.ReplacedAt).
		SetRefreshedAt(one.RefreshedAt).SetExpiresAt(one.ExpiresAt).Save(ctx)
	if err != nil {
		return false, fmt.Errorf("rotate refresh token: %w", err)
	}
	return n == 1, nil
}

// revoke ends the sessions that are not revoked among those that match, and returns which. It refuses to end all.
func (s *storage) revoke(
	ctx context.Context, c *entauth.Client, now time.Time, which ...predicate.Session,
) ([]Revocation, error) {
	if len(which) == 0 {
		return nil, errors.New("revoke sessions: none are named")
	}
	which = append(which, session.RevokedAtIsNil())
	ids, err := c.Session.Query().Where(which...).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("revoke sessions: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	// By the same predicate, since a statement takes a limited number of ids; the transaction keeps it stable.
	if _, err := c.Session.Update().Where(which...).SetRevokedAt(now).Save(ctx); err != nil {
		return nil, fmt.Errorf("revoke sessions: %w", err)
	}
	revoked := make([]Revocation, len(ids))
	for i, id := range ids {
		revoked[i] = Revocation{SessionID: id, RevokedAt: now}
	}
	return revoked, nil
}

// takeSession removes the live session of a user on a device and returns its identifier, "" if there is none.
func (s *storage) takeSession(
	ctx context.Context, c *entauth.Client, deviceID, userID string, now time.Time,
) (string, error) {
	row, err := c.Session.Query().Where(
		session.DeviceID(deviceID), session.UserID(userID), session.RevokedAtIsNil(), session.ExpiresAtGT(now),
	).First(ctx)
	if entauth.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read session: %w", err)
	}
	if err := c.Session.DeleteOne(row).Exec(ctx); err != nil {
		return "", fmt.Errorf("take session over: %w", err)
	}
	return row.ID, nil
}

// revokedSince lists revocations from a time on, oldest first.
func (s *storage) revokedSince(ctx context.Context, since time.Time) ([]Revocation, error) {
	rows, err := s.read.Session.Query().Where(session.RevokedAtGTE(since)).
		Order(session.ByRevokedAt(), session.ByID()).Select(session.FieldID, session.FieldRevokedAt).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list revocations: %w", err)
	}
	list := make([]Revocation, len(rows))
	for i, row := range rows {
		list[i] = Revocation{SessionID: row.ID, RevokedAt: row.RevokedAt.UTC()}
	}
	return list, nil
}

// deviceCursor is the place of a device in the list of a user's.
type deviceCursor struct {
	SeenMS    int64  `json:"t"`
	SessionID string `json:"s"`
}

// placedDevice is a device with its place in the list.
type placedDevice struct {
	SignedInDevice

	cursor deviceCursor
}

// signedIn lists the devices on which a user has a live session, the latest first, from after the cursor.
func (s *storage) signedIn(
	ctx context.Context, userID string, now time.Time, after *deviceCursor, limit int,
) ([]placedDevice, error) {
	query := s.read.Session.Query().
		Where(session.UserID(userID), session.RevokedAtIsNil(), session.ExpiresAtGT(now))
	if after != nil {
		seen, id := time.UnixMilli(after.SeenMS).UTC(), after.SessionID
		query.Where(func(q *sql.Selector) {
			q.Where(sql.CompositeLT([]string{q.C(session.FieldRefreshedAt), q.C(session.FieldID)}, seen, id))
		})
	}
	rows, err := query.Order(session.ByRefreshedAt(sql.OrderDesc()), session.ByID(sql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.DeviceID
	}
	devices, err := s.read.Device.Query().Where(device.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	byID := make(map[string]Device, len(devices))
	for _, row := range devices {
		byID[row.ID] = toDevice(row)
	}
	list := make([]placedDevice, len(rows))
	for i, row := range rows {
		one, ok := byID[row.DeviceID]
		if !ok { // the operator has sessions and no device
			one = Device{ID: row.DeviceID}
		}
		list[i] = placedDevice{
			SignedInDevice: SignedInDevice{
				Device: one, SessionID: row.ID, SignedInAt: row.CreatedAt.UTC(), LastSeenAt: row.RefreshedAt.UTC(),
			},
			cursor: deviceCursor{SeenMS: row.RefreshedAt.UnixMilli(), SessionID: row.ID},
		}
	}
	return list, nil
}

// platformOf returns the kind of software of a device; unspecified for one that was never registered, as the operator's.
func (s *storage) platformOf(ctx context.Context, deviceID string) (authv1.Platform, error) {
	row, err := s.read.Device.Get(ctx, deviceID)
	if entauth.IsNotFound(err) {
		return authv1.Platform_PLATFORM_UNSPECIFIED, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read device: %w", err)
	}
	return authv1.Platform(row.Platform), nil //nolint:gosec // an enum
}
