// Package secret seals the secrets that Postchi must be able to read again, such as DKIM keys
// and passwords of relays, before they are kept in the database.
//
// The key lies in a file outside of the database: one line for each key, "id base64", 32 bytes
// each. The first line's key seals, all of them open, so that a key can be changed without
// sealing everything anew in one moment. A sealed value is text, "1:id:base64", made with
// XChaCha20-Poly1305 and a random nonce; it opens only with the context it was sealed for, so
// a row's value cannot be moved to another row.
package secret

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/postchi/postchi/models"
)

// version begins every sealed value; another way of sealing gets another number.
const version = "1"

// Box seals and opens with the keys of one file. Safe for concurrent use.
type Box struct {
	first string // id of the key that seals
	keys  map[string]cipher.AEAD
}

// KeyID returns the id of the key that seals.
func (b *Box) KeyID() string { return b.first }

// Seal returns plain sealed for a context: a word for the kind of secret and the id of its
// record, "dkim:7123". Two calls never return the same text.
func (b *Box) Seal(plain []byte, context string) (string, error) {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	rand.Read(nonce) // never fails
	sealed := b.keys[b.first].Seal(nonce, nonce, plain, []byte(context))
	return version + ":" + b.first + ":" + base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Unseal returns what was sealed for the same context. Anything else is of kind Internal: the
// value was damaged or moved, or its key is no longer in the file.
func (b *Box) Unseal(sealed, context string) ([]byte, error) {
	v, rest, _ := strings.Cut(sealed, ":")
	id, text, ok := strings.Cut(rest, ":")
	if v != version || !ok {
		return nil, broken("That is no sealed secret.")
	}
	key := b.keys[id]
	if key == nil {
		return nil, broken("The secret was sealed with key %s, which is not in the key file.", clip(id))
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < chacha20poly1305.NonceSizeX {
		return nil, broken("That is no sealed secret.")
	}
	plain, err := key.Open(nil, raw[:chacha20poly1305.NonceSizeX], raw[chacha20poly1305.NonceSizeX:], []byte(context))
	if err != nil {
		return nil, broken("The sealed secret of %s cannot be opened: it was damaged or moved.", clip(context))
	}
	return plain, nil
}

func broken(format string, args ...any) error {
	return models.Errorf(models.Internal, "secret.broken", format, args...)
}

// clip keeps a damaged value from filling a log.
func clip(s string) string { return s[:min(len(s), 64)] }

// idOf names a key without telling anything of it.
func idOf(key []byte) string {
	sum := sha256.Sum256(append([]byte("postchi key id\x00"), key...))
	return hex.EncodeToString(sum[:4])
}
