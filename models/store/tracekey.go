package store

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// The keys by which events are found are hashes. The upper 31 bits of an address's key are its
// domain, so that one key serves both.
const domainShift = 32

func hash63(kind, s string) int64 {
	h := sha256.Sum256([]byte(kind + "\x00" + s))
	return int64(binary.BigEndian.Uint64(h[:8]) >> 1)
}

// domainKey returns the least key of a domain's addresses; the greatest is it | 1<<32 - 1.
func domainKey(domain string) int64 {
	if domain == "" {
		return 0
	}
	return hash63("domain", domain) >> domainShift << domainShift
}

// addressKey returns the key of an address, the same with and without a +tag; 0 for "".
func addressKey(s string) int64 {
	local, domain := plainAddress(s)
	if local == "" && domain == "" {
		return 0
	}
	return domainKey(domain) | hash63("local", local)>>(63-domainShift)
}

// taggedAddress returns an address with a +tag in lower case; "" for one without.
func taggedAddress(s string) string {
	if !strings.Contains(s, "+") {
		return ""
	}
	a, err := address.Parse(strings.Trim(strings.TrimSpace(s), "<>"))
	if err != nil || a.Tag() == "" {
		return ""
	}
	return a.Lower().String()
}

// taggedKey returns the key of an address together with its +tag; 0 without one.
func taggedKey(s string) int64 {
	if s = taggedAddress(s); s == "" {
		return 0
	}
	return hash63("tagged", s)
}

// messageKey returns the key of a Message-ID without its angle brackets; 0 for "".
func messageKey(id string) int64 {
	if id == "" {
		return 0
	}
	return hash63("message", id)
}

// plainAddress takes an address apart for its key. What cannot be parsed is cut at its last @:
// it was refused, and is looked for all the same.
func plainAddress(s string) (local, domain string) {
	s = strings.Trim(strings.TrimSpace(s), "<>")
	if a, err := address.Parse(s); err == nil {
		a = a.Lower().WithoutTag()
		return a.Local, a.Domain
	}
	s = strings.ToLower(s)
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// eventKeys are the keys of one event; 0 = it has no such thing.
type eventKeys struct{ sender, recipient, message int64 }

func keysOf(e *models.Event) eventKeys {
	return eventKeys{addressKey(e.Sender), addressKey(e.Recipient), messageKey(e.MessageID)}
}

// messageID is a Message-ID as it is stored and looked for.
func messageID(s string) string {
	return models.Clip(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "<"), ">"), 255)
}
