package store

import (
	"unicode/utf8"

	"github.com/postchi/postchi/models"
)

// The marks of a digest are a Bloom filter of what its events have: whose they are, addresses,
// domains, Message-IDs, and of the subjects each letter, pair and triple of letters. All marks
// are of one direction, so that who asks for a direction passes over the other one.
const (
	markBits   = 9 // for each mark: some 2 % of what is not there seems to be
	markProbes = 5
)

// markKind keeps marks of different things apart.
type markKind uint64

const (
	markCustomer markKind = iota + 1
	markMailbox
	markAddress
	markDomain
	markDomainOf // a domain in the mail of a customer
	markTagged   // an address with its +tag
	markMessage
	markLetters
)

// mark returns what stands for a thing of events of a direction.
func mark(kind markKind, out bool, value uint64) uint64 {
	return mix(value ^ mix(uint64(kind)<<1|uint64(direction(out))))
}

// mix spreads the bits of a number evenly (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func domainOfCustomer(customer models.ID, domain int64) uint64 {
	return uint64(domain>>domainShift) ^ mix(uint64(customer))
}

// letters calls fn for each letter, each pair and each triple of a folded text.
func letters(s string, fn func(uint64)) {
	var one, two uint64
	for _, r := range s {
		n := uint64(r) + 1
		fn(n)
		if one != 0 {
			fn(one<<21 | n)
		}
		if two != 0 {
			fn(two<<42 | one<<21 | n)
		}
		two, one = one, n
	}
}

// marksOf returns the marks of events.
func marksOf(events []digested) []byte {
	all := make(map[uint64]struct{}, 4*len(events))
	done := map[string][2]bool{}
	for _, e := range events {
		out := e.owner.out
		add := func(kind markKind, value uint64) { all[mark(kind, out, value)] = struct{}{} }
		add(markCustomer, uint64(e.owner.customer))
		add(markMailbox, uint64(e.owner.mailbox))
		for _, key := range []int64{e.sender, e.recipient} {
			if key != 0 {
				add(markAddress, uint64(key))
				add(markDomain, uint64(key>>domainShift))
				add(markDomainOf, domainOfCustomer(e.owner.customer, key))
			}
		}
		for _, key := range e.tagged {
			if key != 0 {
				add(markTagged, uint64(key))
			}
		}
		if e.message != 0 {
			add(markMessage, uint64(e.message))
		}
		if seen := done[e.subject]; !seen[direction(out)] {
			seen[direction(out)] = true
			done[e.subject] = seen
			letters(e.subject, func(n uint64) { add(markLetters, n) })
		}
	}
	bits := make([]byte, len(all)*markBits/8+1)
	for m := range all {
		probe(bits, m, func(at uint64, bit byte) bool { bits[at] |= bit; return true })
	}
	return bits
}

// probe calls fn for each bit of a mark until it returns false, and reports whether it did not.
func probe(bits []byte, m uint64, fn func(at uint64, bit byte) bool) bool {
	n, step := uint64(len(bits))*8, m>>32|1
	for i := range uint64(markProbes) {
		at := (m&0xffffffff + i*step) % n
		if !fn(at/8, 1<<(at%8)) {
			return false
		}
	}
	return true
}

// hasMarks reports whether all marks may be there.
func hasMarks(bits []byte, marks []uint64) bool {
	if len(bits) == 0 {
		return false
	}
	for _, m := range marks {
		if !probe(bits, m, func(at uint64, bit byte) bool { return bits[at]&bit != 0 }) {
			return false
		}
	}
	return true
}

// lettersAsked returns the marks of the longest pieces of a text that marks are made of.
func lettersAsked(s string, out bool) (marks []uint64) {
	n := min(utf8.RuneCountInString(s), 3)
	letters(s, func(value uint64) {
		if n == 1 || n == 2 && value >= 1<<21 || value >= 1<<42 {
			marks = append(marks, mark(markLetters, out, value))
		}
	})
	return marks
}
