package live

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// newStreamKey returns a key of 130 random bits.
func newStreamKey() string { return "sk_" + rand.Text() }

// hashKey is what an encoder's key is looked up by.
func hashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// sealLabel keeps the sealing key apart from what else is made of the play key. It must never change.
const sealLabel = "stoa live: stream keys at rest"

// sealer encrypts stream keys, so that their owners can see them again and a stolen database shows none. Its key is
// derived from the play key, which all nodes share already: a file of its own would be one more thing to carry around
// and to lose. Where the play key was made anew, what is sealed cannot be shown any more, but still opens its room, for
// that goes by the hash.
type sealer struct{ aead cipher.AEAD }

func newSealer(playKey []byte) (sealer, error) {
	key, err := hkdf.Key(sha256.New, playKey, nil, sealLabel, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("derive sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("make sealing cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("make sealing cipher: %w", err)
	}
	return sealer{aead}, nil
}

// seal encrypts a room's key. It opens for that room only.
func (s sealer) seal(roomID, key string) []byte {
	return s.aead.Seal(nil, nil, []byte(key), []byte(roomID))
}

// open is the reverse of seal.
func (s sealer) open(roomID string, sealed []byte) (string, error) {
	key, err := s.aead.Open(nil, nil, sealed, []byte(roomID))
	if err != nil {
		return "", errors.New("the stream key was sealed by another play key, or changed")
	}
	return string(key), nil
}

// streamKey returns the room's stream key. Errors: those of ownRoom, NO_STREAM_KEY.
func (s *Service) streamKey(ctx context.Context, callerID, roomID string) (string, error) {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return "", err
	}
	sealed, err := s.db.sealedKey(ctx, roomID)
	if err != nil {
		return "", err
	}
	if sealed == nil { // also a key of a time when only hashes were kept
		return "", errNoStreamKey()
	}
	key, err := s.sealer.open(roomID, sealed)
	if err != nil {
		s.log.WarnContext(ctx, "show stream key", "room", roomID, "error", err)
		return "", errNoStreamKey()
	}
	return key, nil
}

// issueKey replaces the room's stream key; an encoder that uses the old one is cut. Errors: those of ownRoom.
func (s *Service) issueKey(ctx context.Context, callerID, roomID string) (string, error) {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return "", err
	}
	key := newStreamKey()
	if err := s.db.setKey(ctx, roomID, hashKey(key), s.sealer.seal(roomID, key)); err != nil {
		return "", err
	}
	s.air.cut(roomID, errKeyRevoked)
	return key, nil
}

// revokeKey takes the room's stream key back and cuts the encoder that uses it. Errors: those of ownRoom.
func (s *Service) revokeKey(ctx context.Context, callerID, roomID string) error {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return err
	}
	if err := s.db.setKey(ctx, roomID, nil, nil); err != nil {
		return err
	}
	s.air.cut(roomID, errKeyRevoked)
	return nil
}
