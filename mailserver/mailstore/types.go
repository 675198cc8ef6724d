package mailstore

import (
	"math"
	"slices"

	"github.com/postchi/postchi/models"
)

// UID names a message of a folder (RFC 9051, section 2.3.1.1). 0 is none.
type UID uint32

// MaxUID is the highest UID there can be.
const MaxUID UID = math.MaxUint32

// ModSeq is a point in the history of a mailbox (RFC 7162). What never changed has one too; 0
// is before everything.
type ModSeq int64

// Flags are the system flags of a message.
type Flags uint32

// The system flags (RFC 9051, section 2.3.2). Their values are in the database.
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft

	allFlags = FlagSeen | FlagAnswered | FlagFlagged | FlagDeleted | FlagDraft
)

// Place is a folder as every change names it: with its mailbox, so that nothing is ever
// changed for somebody whose folder it is not.
type Place struct{ Mailbox, Folder models.ID }

// Folder is one folder with its counters.
type Folder struct {
	ID            models.ID // stays over a rename (RFC 8474 MAILBOXID)
	Mailbox       models.ID
	Name          string // UTF-8, levels parted by "/"; the inbox is "INBOX"
	SpecialUse    string // attribute of RFC 6154 with its backslash, or ""
	UIDValidity   uint32
	UIDNext       UID
	HighestModSeq ModSeq
	Messages      int64
	Unseen        int64
	Deleted       int64 // messages with \Deleted
	Bytes         int64 // sizes with prefixes
	Subscribed    bool
	Keywords      []string // the name of each bit of Message.Keywords, from the lowest
	VanishedFloor ModSeq   // what was expunged up to here is no longer known
	RecentFrom    UID      // first UID that no session was told of as \Recent (RFC 3501)
	CreatedAt     models.Micros
}

// Place returns the folder as changes name it.
func (f *Folder) Place() Place { return Place{f.Mailbox, f.ID} }

// Message is one row of a folder.
type Message struct {
	Folder       models.ID
	UID          UID
	ModSeq       ModSeq
	Flags        Flags
	Keywords     int64         // bits, named by Folder.Keywords; a bit without a name there means that the folder is to be read again
	InternalDate models.Micros // when it was received (RFC 9051, section 2.3.3)
	SaveDate     models.Micros // when it came into this folder (RFC 8514)
	Size         int64         // bytes, prefix and blob
	EmailID      models.ID     // equal for copies (RFC 8474)
	BlobID       models.ID
	Prefix       []byte // headers of this copy, read before the blob; at most MaxPrefix bytes
}

// MaxPrefix is the most bytes a Prefix may have.
const MaxPrefix = 1024

// Range is the UIDs from First to Last, both included.
type Range struct{ First, Last UID }

// Set is a set of UIDs: ranges that rise and do not overlap, as Normal makes them. nil is empty.
type Set []Range

// Everything holds every UID.
func Everything() Set { return Set{{1, MaxUID}} }

// SetOf returns the set of these UIDs, in any order.
func SetOf(uids ...UID) Set {
	s := make(Set, 0, len(uids))
	for _, u := range uids {
		s = s.add(u)
	}
	return s.Normal()
}

// add puts one UID at the end, joined to the last range if it follows it.
func (s Set) add(u UID) Set {
	if n := len(s); n > 0 && s[n-1].Last != MaxUID && s[n-1].Last+1 == u {
		s[n-1].Last = u
		return s
	}
	return append(s, Range{u, u})
}

// Normal returns the set with its ranges in order and joined where they touch. Ranges that are
// given backwards are turned, and 0 is left out.
func (s Set) Normal() Set {
	sorted := make(Set, 0, len(s))
	for _, r := range s {
		if r.First > r.Last {
			r.First, r.Last = r.Last, r.First
		}
		if r.Last != 0 {
			sorted = append(sorted, Range{max(r.First, 1), r.Last})
		}
	}
	slices.SortFunc(sorted, func(a, b Range) int {
		switch {
		case a.First < b.First:
			return -1
		case a.First > b.First:
			return 1
		}
		return 0
	})
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether u is in the set, which must be normal.
func (s Set) Contains(u UID) bool {
	_, found := slices.BinarySearchFunc(s, u, func(r Range, u UID) int {
		switch {
		case r.Last < u:
			return -1
		case r.First > u:
			return 1
		}
		return 0
	})
	return found
}

// Quota is what a mailbox may hold. 0 = no limit.
type Quota struct {
	Bytes    int64
	Messages int64
}
