package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/postchi/postchi/models"
)

// A digest is an excerpt of some thousand consecutive events, in the form in which they are
// searched: a search over a million events reads some hundred digests instead of a million rows.
// It has marks, by which most digests are passed over, and three parts, of which a search reads
// those that it asks something of. A digest only ever names events that may fit; their rows
// decide.
//
//	records   which events they are, the latest first, and whose
//	keys      of sender, recipient and Message-ID
//	subjects  each folded subject once, and which event has which
type digest struct {
	firstAt, lastAt                models.Micros
	size                           int // events
	marks, records, keys, subjects []byte
}

// digested is what a digest has of an event.
type digested struct {
	id                         models.ID
	at                         models.Micros
	owner                      owner
	sender, recipient, message int64 // keys
	tagged                     [2]int64
	subject                    string
}

// owner is whose an event is, and its direction.
type owner struct {
	customer, mailbox models.ID
	out               bool
}

// newDigest makes the digest of events, at least one and at most 65,536.
func newDigest(events []digested) *digest {
	slices.SortFunc(events, func(a, b digested) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id)) })
	return &digest{
		firstAt: events[len(events)-1].at, lastAt: events[0].at, size: len(events),
		marks: marksOf(events), records: encodeRecords(events), keys: encodeKeys(events), subjects: encodeSubjects(events),
	}
}

// encodeRecords writes the owners, each once, then the events: how far id and time are from the
// one before, and the number of the owner.
func encodeRecords(events []digested) []byte {
	numbers := map[owner]uint64{}
	var owners, rows []byte
	var id models.ID
	var at models.Micros
	for _, e := range events {
		n, known := numbers[e.owner]
		if !known {
			n = uint64(len(numbers))
			numbers[e.owner] = n
			owners = binary.LittleEndian.AppendUint64(owners, uint64(e.owner.customer))
			owners = binary.LittleEndian.AppendUint64(owners, uint64(e.owner.mailbox))
			owners = append(owners, direction(e.owner.out))
		}
		rows = binary.AppendVarint(rows, int64(e.id-id))
		rows = binary.AppendVarint(rows, int64(e.at-at))
		rows = binary.AppendUvarint(rows, n)
		id, at = e.id, e.at
	}
	return append(append(binary.AppendUvarint(nil, uint64(len(numbers))), owners...), rows...)
}

// direction is a direction as a byte.
func direction(out bool) byte {
	if out {
		return 1
	}
	return 0
}

const ownerWidth = 17

// records returns those of the events that are chosen and whose owner fits; the part was written
// by encodeRecords. What is damaged ends the list.
func records(part []byte, chosen []bool, fits func(owner) bool) []hit {
	n, width := binary.Uvarint(part)
	if width <= 0 || n > 1<<16 || uint64(len(part)-width) < n*ownerWidth {
		return nil
	}
	part = part[width:]
	fit := make([]bool, n)
	for i := range fit {
		o := part[i*ownerWidth:]
		fit[i] = fits(owner{models.ID(binary.LittleEndian.Uint64(o)), models.ID(binary.LittleEndian.Uint64(o[8:])), o[16] == 1})
	}
	part = part[n*ownerWidth:]
	var found []hit
	var one hit
	for i := 0; len(part) > 0; i++ {
		id, a := binary.Varint(part)
		at, b := binary.Varint(part[max(a, 0):])
		number, c := binary.Uvarint(part[max(a, 0)+max(b, 0):])
		if a <= 0 || b <= 0 || c <= 0 || number >= n {
			break
		}
		part = part[a+b+c:]
		one.id, one.at = one.id+models.ID(id), one.at+models.Micros(at)
		if fit[number] && (chosen == nil || i < len(chosen) && chosen[i]) {
			found = append(found, one)
		}
	}
	return found
}

const keyWidth = 20

// encodeKeys writes 20 bytes for each event: the keys of sender and recipient, and of the
// Message-ID's its upper half.
func encodeKeys(events []digested) []byte {
	part := make([]byte, 0, len(events)*keyWidth)
	for _, e := range events {
		part = binary.LittleEndian.AppendUint64(part, uint64(e.sender))
		part = binary.LittleEndian.AppendUint64(part, uint64(e.recipient))
		part = binary.LittleEndian.AppendUint32(part, uint32(e.message>>31))
	}
	return part
}

// chooseKeys leaves those events chosen of which sender or recipient is in the range, or the
// Message-ID's key is message if that is not 0; any reports whether there is one.
func chooseKeys(part []byte, low, high, message int64, chosen []bool) (any bool) {
	for i := range chosen {
		if len(part) < keyWidth {
			chosen[i] = false
			continue
		}
		sender, recipient := int64(binary.LittleEndian.Uint64(part)), int64(binary.LittleEndian.Uint64(part[8:]))
		if message != 0 {
			chosen[i] = chosen[i] && binary.LittleEndian.Uint32(part[16:]) == uint32(message>>31)
		} else {
			chosen[i] = chosen[i] && (sender >= low && sender <= high || recipient >= low && recipient <= high)
		}
		any = any || chosen[i]
		part = part[keyWidth:]
	}
	return any
}

// encodeSubjects writes how many subjects there are, where each ends, all of them with line ends
// between, and for each event the number of its own in two bytes.
func encodeSubjects(events []digested) []byte {
	numbers := map[string]uint16{}
	var ends, text, rows []byte
	for _, e := range events {
		n, known := numbers[e.subject]
		if !known {
			n = uint16(len(numbers))
			numbers[e.subject] = n
			text = append(append(text, e.subject...), '\n')
			ends = binary.LittleEndian.AppendUint32(ends, uint32(len(text)))
		}
		rows = binary.LittleEndian.AppendUint16(rows, n)
	}
	part := binary.LittleEndian.AppendUint32(nil, uint32(len(numbers)))
	return slices.Concat(part, ends, text, rows)
}

// chooseSubjects leaves those events chosen that have the words in their subject.
func chooseSubjects(part []byte, words []byte, chosen []bool) (any bool) {
	has, rows := subjectsWith(part, words)
	for i := range chosen {
		if len(rows) < 2*(i+1) {
			chosen[i] = false
			continue
		}
		n := int(binary.LittleEndian.Uint16(rows[2*i:]))
		chosen[i] = chosen[i] && n < len(has) && has[n]
		any = any || chosen[i]
	}
	return any
}

// subjectsWith tells of each subject whether it has the words, which hold no line end, and
// returns the part's list of events.
func subjectsWith(part []byte, words []byte) (has []bool, rows []byte) {
	if len(part) < 4 {
		return nil, nil
	}
	n := int(binary.LittleEndian.Uint32(part))
	if part = part[4:]; n == 0 || n > 1<<16 || len(part) < 4*n {
		return nil, nil
	}
	end := func(i int) int { return int(binary.LittleEndian.Uint32(part[4*i:])) }
	if len(part) < 4*n+end(n-1) {
		return nil, nil
	}
	text, rows := part[4*n:4*n+end(n-1)], part[4*n+end(n-1):]
	has = make([]bool, n)
	for from := 0; from < len(text); {
		at := bytes.Index(text[from:], words)
		if at < 0 {
			break
		}
		i := sort.Search(n, func(i int) bool { return end(i) > from+at })
		if i == n || end(i) <= from {
			break
		}
		has[i], from = true, end(i)
	}
	return has, rows
}
