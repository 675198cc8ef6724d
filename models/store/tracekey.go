package store

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// The keys by which events are found. A key is of the day (UTC, days since 1970): what is
// written now goes into the end of each index, which is in memory, and a domain's events of a
// day are few enough to be sorted. The upper 31 bits of an address's key are its domain, so that
// one index serves both. Two addresses may share a key: who reads compares the text as well.
const (
	dayLength   = 24 * hour
	domainShift = 32
)

func dayOf(at models.Micros) int64 { return int64(at) / dayLength }

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

// eventKeys are the keys of one event; 0 = it is not found by that.
type eventKeys struct{ sender, recipient, message int64 }

// keysOf makes the keys of events that are written together. What a second event of a message
// would repeat for the same viewers is left out: entries of an index are what an event costs
// most. Acceptance from outside, which only administrators look for, is found by the deliveries.
func keysOf(rows []models.Event) []eventKeys {
	type viewer struct{ envelope, customer, mailbox models.ID }
	type both struct{ sender, message int64 }
	keys := make([]eventKeys, len(rows))
	seen := make(map[viewer]both, len(rows))
	for _, nobodys := range []bool{false, true} {
		for i := range rows {
			e := &rows[i]
			if (e.CustomerID == 0) != nobodys {
				continue
			}
			keys[i] = eventKeys{addressKey(e.Sender), addressKey(e.Recipient), messageKey(e.MessageID)}
			if e.EnvelopeID == 0 {
				continue
			}
			now := both{keys[i].sender, keys[i].message}
			for _, v := range []viewer{{e.EnvelopeID, e.CustomerID, e.MailboxID}, {envelope: e.EnvelopeID, customer: -1}} {
				if v.customer == -1 && !nobodys {
					seen[v] = now
					continue
				}
				if seen[v] == now {
					keys[i].sender, keys[i].message = 0, 0
				}
				seen[v] = now
			}
		}
	}
	return keys
}

// messageID is a Message-ID as it is stored and looked for.
func messageID(s string) string {
	return models.Clip(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "<"), ">"), 255)
}
