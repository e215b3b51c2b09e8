package auth

import (
	"context"
	"crypto/ed25519"
	"embed"
	"fmt"
	"log/slog"
	"strings"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"

	"entgo.io/ent/dialect/sql"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/predicate"
	"github.com/stoa-live/stoa/gen/ent/auth/signingkey"
	"github.com/stoa-live/stoa/gen/ent/auth/user"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/words"
)

//go:embed migrations
var migrations embed.FS

// storage is the service's database. Its methods are the statements; those that take a client run in the caller's
// transaction, or on the read pool when nothing is changed.
type storage struct {
	db    *store.DB
	read  *entauth.Client
	write *entauth.Client
}

func openStorage(ctx context.Context, rawURL string, logger *slog.Logger) (*storage, error) {
	db, err := store.Open(ctx, rawURL, "auth", migrations, logger)
	if err != nil {
		return nil, err
	}
	return &storage{
		db:    db,
		read:  entauth.NewClient(entauth.Driver(db.ReadDriver())),
		write: entauth.NewClient(entauth.Driver(db.WriteDriver())),
	}, nil
}

func (s *storage) close() error { return s.db.Close() }

// tx runs act in a transaction. Nothing slow may happen in it: all other writers wait.
func (s *storage) tx(ctx context.Context, act func(tx *entauth.Client) error) error {
	return store.WithTx(ctx, s.write.Tx, func(tx *entauth.Tx) error { return act(tx.Client()) })
}

// userByID returns a user. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *storage) userByID(ctx context.Context, c *entauth.Client, id string) (User, error) {
	row, err := c.User.Get(ctx, id)
	if entauth.IsNotFound(err) {
		return User{}, errUserNotFound()
	}
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return toUser(row), nil
}

// userByName returns the user of a name in lower case, false if there is none.
func (s *storage) userByName(ctx context.Context, c *entauth.Client, name string) (User, bool, error) {
	row, err := c.User.Query().Where(user.Username(name)).Only(ctx)
	if entauth.IsNotFound(err) {
		return User{}, false, nil
	}
	if err != nil {
		return User{}, false, fmt.Errorf("read user by name: %w", err)
	}
	return toUser(row), true, nil
}

func (s *storage) usersByID(ctx context.Context, ids []string) ([]User, error) {
	rows, err := s.read.User.Query().Where(user.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return toUsers(rows), nil
}

// listUsers returns the users that a filter asks for, newest first, from before the cursor ("" is the start). The
// operator is not in it.
func (s *storage) listUsers(
	ctx context.Context, filter UserFilter, now time.Time, before string, limit int,
) ([]User, error) {
	query := s.read.User.Query().Where(user.IDNEQ(operatorID))
	if strings.ContainsRune(filter.Contains, 0) {
		return nil, nil // no name has it, and for SQLite the text would end there
	}
	if filter.Contains != "" {
		matches := []predicate.User{user.NicknameFoldedContains(words.Fold(filter.Contains))}
		if !filter.NicknameOnly {
			matches = append(matches, user.UsernameContains(strings.ToLower(filter.Contains)))
		}
		query.Where(user.Or(matches...))
	}
	if filter.NicknameOnly {
		query.Where(user.RoleGT(int(authv1.Role_ROLE_GUEST)))
	}
	if filter.OnlyBanned {
		query.Where(user.BannedAtNotNil(), user.Or(user.BanUntilIsNil(), user.BanUntilGT(now)))
	}
	if filter.OnlyStaff {
		query.Where(user.RoleIn(int(authv1.Role_ROLE_MODERATOR), int(authv1.Role_ROLE_ADMIN)))
	}
	if before != "" {
		query.Where(user.IDLT(before))
	}
	rows, err := query.Order(user.ByID(sql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return toUsers(rows), nil
}

// foldNicknames fills the column to search in where rows are older than it. No nickname is empty.
func (s *storage) foldNicknames(ctx context.Context) error {
	err := s.tx(ctx, func(tx *entauth.Client) error {
		rows, err := tx.User.Query().Where(user.NicknameFolded("")).Select(user.FieldNickname).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := tx.User.UpdateOneID(row.ID).SetNicknameFolded(words.Fold(row.Nickname)).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fold nicknames: %w", err)
	}
	return nil
}

// hasAdmin reports whether anybody but the operator is an administrator.
func (s *storage) hasAdmin(ctx context.Context, c *entauth.Client) (bool, error) {
	is, err := c.User.Query().Where(user.Role(int(authv1.Role_ROLE_ADMIN)), user.IDNEQ(operatorID)).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("look for an administrator: %w", err)
	}
	return is, nil
}

// insertUser adds a user. Errors: ALREADY_EXISTS (USERNAME_TAKEN).
func (s *storage) insertUser(ctx context.Context, c *entauth.Client, u User) error {
	row := c.User.Create().SetID(u.ID).SetNickname(u.Nickname).SetNicknameFolded(words.Fold(u.Nickname)).
		SetAvatarURL(u.AvatarURL).SetRole(int(u.Role)).SetCreatedAt(u.CreatedAt).SetUpdatedAt(u.CreatedAt)
	if u.Username != "" {
		row.SetUsername(u.Username)
	}
	if u.PasswordHash != "" {
		row.SetPasswordHash(u.PasswordHash)
	}
	if err := row.Exec(ctx); store.IsUnique(err) {
		return errUsernameTaken().Because(err)
	} else if err != nil {
		return fmt.Errorf("add user: %w", err)
	}
	return nil
}

// seen notes that a user was issued a token, if it is a guest: nobody else is forgotten.
func (s *storage) seen(ctx context.Context, c *entauth.Client, u User, now time.Time) error {
	if u.Role != authv1.Role_ROLE_GUEST {
		return nil
	}
	if err := c.User.UpdateOneID(u.ID).SetGuestSeenAt(now).Exec(ctx); err != nil {
		return fmt.Errorf("note guest: %w", err)
	}
	return nil
}

// updateUser writes what can change of a user.
func (s *storage) updateUser(ctx context.Context, c *entauth.Client, u User, now time.Time) error {
	row := c.User.UpdateOneID(u.ID).SetNickname(u.Nickname).SetNicknameFolded(words.Fold(u.Nickname)).SetAvatarURL(u.AvatarURL).
		SetRole(int(u.Role)).SetUpdatedAt(now)
	switch {
	case u.Ban == nil:
		row.ClearBannedAt().ClearBanUntil().SetBanReason("")
	case u.Ban.Until.IsZero():
		row.SetBannedAt(now).ClearBanUntil().SetBanReason(u.Ban.Reason)
	default:
		row.SetBannedAt(now).SetBanUntil(u.Ban.Until).SetBanReason(u.Ban.Reason)
	}
	if err := row.Exec(ctx); err != nil {
		return fmt.Errorf("change user: %w", err)
	}
	return nil
}

// replacePasswordHash replaces a hash by another one; false if it was replaced meanwhile.
func (s *storage) replacePasswordHash(
	ctx context.Context, c *entauth.Client, userID, former, replacement string,
) (bool, error) {
	n, err := c.User.Update().Where(user.ID(userID), user.PasswordHash(former)).SetPasswordHash(replacement).Save(ctx)
	if err != nil {
		return false, fmt.Errorf("replace password hash: %w", err)
	}
	return n == 1, nil
}

func (s *storage) insertDevice(ctx context.Context, d Device, now time.Time) error {
	err := s.write.Device.Create().SetID(d.ID).SetPlatform(int(d.Platform)).SetModel(d.Model).SetAppVersion(d.AppVersion).
		SetCreatedAt(now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("add device: %w", err)
	}
	return nil
}

// deviceByID returns a device. Errors: NOT_FOUND (DEVICE_NOT_FOUND).
func (s *storage) deviceByID(ctx context.Context, c *entauth.Client, id string) (Device, error) {
	row, err := c.Device.Get(ctx, id)
	if entauth.IsNotFound(err) {
		return Device{}, errDeviceNotFound()
	}
	if err != nil {
		return Device{}, fmt.Errorf("read device: %w", err)
	}
	return toDevice(row), nil
}

// bindDevice says who signed in on a device last; nobody for "".
func (s *storage) bindDevice(ctx context.Context, c *entauth.Client, id, userID string) error {
	row := c.Device.UpdateOneID(id).SetUserID(userID)
	if userID == "" {
		row.ClearUserID()
	}
	if err := row.Exec(ctx); err != nil {
		return fmt.Errorf("bind device: %w", err)
	}
	return nil
}

// keys returns all signing keys by serial.
func (s *storage) keys(ctx context.Context) ([]signingKey, error) {
	rows, err := s.read.SigningKey.Query().Order(signingkey.BySerial()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	keys := make([]signingKey, len(rows))
	for i, row := range rows {
		if len(row.Seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("read signing keys: key %q is malformed", row.ID)
		}
		keys[i] = signingKey{
			id: row.ID, serial: row.Serial, private: ed25519.NewKeyFromSeed(row.Seed),
			created: row.CreatedAt.UTC(), activeAt: row.ActiveAt.UTC(),
		}
	}
	return keys, nil
}

// insertKey adds a signing key; false if another process has added one of that serial.
func (s *storage) insertKey(ctx context.Context, k signingKey) (bool, error) {
	err := s.write.SigningKey.Create().SetID(k.id).SetSerial(k.serial).SetSeed(k.private.Seed()).SetCreatedAt(k.created).
		SetActiveAt(k.activeAt).Exec(ctx)
	if store.IsUnique(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("add signing key: %w", err)
	}
	return true, nil
}

// deleteKeys removes the keys up to a serial.
func (s *storage) deleteKeys(ctx context.Context, serial int) error {
	if _, err := s.write.SigningKey.Delete().Where(signingkey.SerialLTE(serial)).Exec(ctx); err != nil {
		return fmt.Errorf("remove signing keys: %w", err)
	}
	return nil
}

func toUser(row *entauth.User) User {
	u := User{
		ID: row.ID, Nickname: row.Nickname, AvatarURL: row.AvatarURL, Role: authv1.Role(row.Role), //nolint:gosec // an enum
		CreatedAt: row.CreatedAt.UTC(),
	}
	if row.Username != nil {
		u.Username = *row.Username
	}
	if row.PasswordHash != nil {
		u.PasswordHash = *row.PasswordHash
	}
	if row.BannedAt != nil {
		u.Ban = &Ban{Reason: row.BanReason}
		if row.BanUntil != nil {
			u.Ban.Until = row.BanUntil.UTC()
		}
	}
	return u
}

func toUsers(rows []*entauth.User) []User {
	users := make([]User, len(rows))
	for i, row := range rows {
		users[i] = toUser(row)
	}
	return users
}

func toDevice(row *entauth.Device) Device {
	d := Device{
		ID: row.ID, Platform: authv1.Platform(row.Platform), Model: row.Model, //nolint:gosec // an enum
		AppVersion: row.AppVersion,
	}
	if row.UserID != nil {
		d.UserID = *row.UserID
	}
	return d
}
