// Package password says which passwords may be set, and makes good ones. It never changes a
// password: nothing is trimmed, cut or normalized, so what was typed is what is hashed.
package password

import (
	"crypto/rand"
	"strings"
	"unicode/utf8"

	"github.com/postchi/postchi/models"
)

// The lengths a password may have.
const (
	DefaultMin = 12 // characters
	LeastMin   = 8  // characters: no setting goes below (NIST SP 800-63B-4, section 3.1.1.2)
	MaxBytes   = 72 // bcrypt reads no more; what is over is refused, never cut
)

// Policy is what an administrator may choose.
type Policy struct {
	Min int // least number of characters; 0 = DefaultMin, less than LeastMin = LeastMin
}

// MinChars returns the least number of characters a password has under the policy.
func (p Policy) MinChars() int {
	if p.Min == 0 {
		return DefaultMin
	}
	return max(p.Min, LeastMin)
}

// Check returns nil if password may be set. forbidden are names the password must not be,
// compared without case: the address, its local part, the domain. Errors are of kind Invalid:
// password.nul, password.long (arg max), password.short (arg min), password.is_address,
// password.common.
func Check(policy Policy, password string, forbidden ...string) error {
	switch least := policy.MinChars(); {
	case strings.IndexByte(password, 0) >= 0:
		// SASL PLAIN separates by NUL: such a password could never be used.
		return models.Errorf(models.Invalid, "password.nul", "A password cannot hold a NUL character.")
	case len(password) > MaxBytes:
		return models.Errorf(models.Invalid, "password.long", "The password is longer than %d bytes.", MaxBytes).With("max", MaxBytes)
	case utf8.RuneCountInString(password) < least:
		return models.Errorf(models.Invalid, "password.short", "The password is shorter than %d characters.", least).With("min", least)
	}
	for _, name := range forbidden {
		if name != "" && strings.EqualFold(password, name) {
			return models.Errorf(models.Invalid, "password.is_address", "The password must not be the address, a part of it or the domain.")
		}
	}
	if IsCommon(password) {
		return models.Errorf(models.Invalid, "password.common", "This password is one of those that are tried first. Take another one.")
	}
	return nil
}

// alphabet is what can be typed on a phone without changing case and without taking one
// character for another: no 0 and o, no 1, l and i.
const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"

const (
	groups    = 4
	groupSize = 4
)

// Generate returns a random password of four groups of four, such as k7mp-x2dw-9hqr-tb4n. It
// carries 16 × log2(31) = 79 bits.
func Generate() string {
	var b strings.Builder
	for i := range groups * groupSize {
		if i > 0 && i%groupSize == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[random(len(alphabet))])
	}
	return b.String()
}

// random returns a number below n, which is at most 256, each equally likely: bytes beyond
// the last whole multiple of n are thrown away. crypto/rand.Read never returns an error.
func random(n int) int {
	var b [1]byte
	for {
		rand.Read(b[:])
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n
		}
	}
}
