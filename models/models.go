// Package models holds the records of Postchi and the rules that belong to one record alone.
// It imports no other package of ours: every layer may speak in its words.
package models

import (
	"strconv"
	"time"
)

// ID names a record. It is 63 bits long, grows with time, is unique over all nodes of one
// database and is never reused; 0 means none. In JSON it is a string, since JavaScript's
// numbers end at 53 bits.
type ID int64

// String prints the id in decimal.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText makes the id a JSON string.
func (id ID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText reads what MarshalText wrote; anything else is of kind Invalid.
func (id *ID) UnmarshalText(b []byte) error {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 {
		return Errorf(Invalid, "id.invalid", "That is not an id.")
	}
	*id = ID(n)
	return nil
}

// ParseID reads a decimal id; anything else is of kind NotFound, since an id that cannot be
// read names nothing.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, Errorf(NotFound, "not_found", "Not found.")
	}
	return ID(n), nil
}

// Micros is a moment in microseconds since 1970 in UTC, the form of every time in the
// database. 0 means never.
type Micros int64

// At returns the moment t; the zero time becomes 0.
func At(t time.Time) Micros {
	if t.IsZero() {
		return 0
	}
	return Micros(t.UnixMicro())
}

// Time returns the moment in UTC; 0 becomes the zero time.
func (m Micros) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}
