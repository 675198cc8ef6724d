// Package srs rewrites envelope senders of forwarded mail (Sender Rewriting Scheme), so that SPF
// passes for the forwarding domain and bounces still find their way back.
//
// An address of ours stands for the sender elsewhere:
//
//	sara@origin.example            SRS0=HASH=TT=origin.example=sara@forwarder.example
//	SRS0=...@first.example         SRS1=HASH=first.example==...@forwarder.example
//
// HASH is an HMAC over what follows it and over the forwarding domain, without regard to case,
// since hosts on the way back may change that: nobody can make such an address for a mailbox of
// his choice. TT is the day, so that an address dies after MaxAge. A second forwarder (SRS1)
// makes the bounce jump back to the first one, however many there are between.
package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

const (
	// MaxAge is how old an address may be, in days: queues hold mail for five, and bounces of
	// bounces take their time.
	MaxAge = 21
	// MaxLength is the longest address that is made, in bytes (RFC 5321, section 4.5.3.1.3). Its
	// local part passes the 64 octets of section 4.5.3.1.1 often, as all of this scheme do.
	MaxLength = 254

	hashLength = 8    // characters of base32: 40 bits
	days       = 1024 // TT counts modulo this
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Rewriter makes and takes apart addresses with one key. Safe for concurrent use.
type Rewriter struct {
	Key []byte // 32 bytes, the same in all processes and for years
	Now func() time.Time
}

// Is reports whether a local part looks like one of this scheme.
func Is(local string) bool {
	if len(local) < 5 || !strings.EqualFold(local[:3], "SRS") || local[3] != '0' && local[3] != '1' {
		return false
	}
	return local[4] == '=' || local[4] == '+' || local[4] == '-'
}

// Forward returns the sender under which a domain of ours passes mail of a sender on. <> stays as
// it is. Invalid srs.long if the address would be longer than MaxLength.
func (w *Rewriter) Forward(sender address.Address, domain string) (address.Address, error) {
	if sender.IsZero() {
		return sender, nil
	}
	var local string
	if Is(sender.Local) {
		local = w.second(sender, domain)
	} else {
		rest := w.today() + "=" + sender.Domain + "=" + sender.Local
		local = "SRS0=" + w.hash(rest, domain) + "=" + rest
	}
	a := address.Address{Local: local, Domain: domain}
	if len(a.String()) > MaxLength {
		return address.Address{}, models.Errorf(models.Invalid, "srs.long", "The address of the sender is too long to be forwarded for.")
	}
	return a, nil
}

// second rewrites what another forwarder, or a chain of them, has rewritten already.
func (w *Rewriter) second(sender address.Address, domain string) string {
	rest := sender.Domain + "=" + sender.Local[4:] // from its separator on
	if sender.Local[3] == '1' {
		// SRS1=hash=first==...: the hash is that of whoever forwarded before us.
		if _, after, ok := strings.Cut(sender.Local[5:], "="); ok {
			rest = after
		}
	}
	return "SRS1=" + w.hash(rest, domain) + "=" + rest
}

var errForged = models.Errorf(models.NotFound, "srs.unknown", "There is no such address here: it was not made by this server, or is too old.")

// Reverse returns where a bounce to an address of ours goes on: the sender that Forward was given
// or, of an SRS1 address, the first forwarder's. NotFound srs.unknown for what Forward has not
// made in the last MaxAge days.
func (w *Rewriter) Reverse(a address.Address) (address.Address, error) {
	if !Is(a.Local) || len(a.Local) > MaxLength {
		return address.Address{}, errForged
	}
	hash, rest, ok := strings.Cut(a.Local[5:], "=")
	if !ok || !hmac.Equal([]byte(strings.ToLower(hash)), []byte(w.hash(rest, a.Domain))) {
		return address.Address{}, errForged
	}
	if a.Local[3] == '1' {
		return back(rest)
	}
	day, rest, ok := strings.Cut(rest, "=")
	domain, local, ok2 := strings.Cut(rest, "=")
	if !ok || !ok2 || !w.fresh(day) {
		return address.Address{}, errForged
	}
	return address.ParseReversePath(local + "@" + domain)
}

// back makes the SRS0 address of the first forwarder again.
func back(rest string) (address.Address, error) {
	first, opaque, ok := strings.Cut(rest, "=")
	domain, err := address.NormalizeDomain(first)
	if !ok || err != nil || opaque == "" || !Is("SRS0"+opaque) {
		return address.Address{}, errForged
	}
	return address.Address{Local: "SRS0" + opaque, Domain: domain}, nil
}

func (w *Rewriter) hash(rest, domain string) string {
	mac := hmac.New(sha256.New, w.Key)
	mac.Write([]byte(strings.ToLower(rest + "@" + domain)))
	return encoding.EncodeToString(mac.Sum(nil))[:hashLength]
}

func (w *Rewriter) day() int { return int(w.Now().Unix() / (24 * 3600) % days) }

// today is the day in two characters.
func (w *Rewriter) today() string {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	d := w.day()
	return string([]byte{digits[d/32], digits[d%32]})
}

// fresh reports whether a day is one of the last MaxAge, or tomorrow: clocks differ.
func (w *Rewriter) fresh(text string) bool {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	text = strings.ToLower(text)
	if len(text) != 2 {
		return false
	}
	high, low := strings.IndexByte(digits, text[0]), strings.IndexByte(digits, text[1])
	if high < 0 || low < 0 {
		return false
	}
	age := (w.day() - high*32 - low + 1 + 2*days) % days // 0 = tomorrow
	return age <= MaxAge+1
}
