package mime

import (
	"bytes"
	"time"
)

// ParseDate reads the value of a Date field (RFC 5322 section 3.3, with the obsolete forms of 4.3) in its own zone. It
// forgives a missing weekday, comma, seconds or zone (then UTC), and dashes in the date. The zero time means that it
// cannot be read.
func ParseDate(value []byte) time.Time {
	d := dateParser{lexer{b: value[:min(len(value), 1024)]}}
	day, ok := d.number()
	if !ok { // weekday
		d.word()
		if day, ok = d.number(); !ok {
			return time.Time{}
		}
	}
	month := monthOf(d.word())
	year, ok := d.year()
	if month == 0 || !ok {
		return time.Time{}
	}
	hour, min, sec, ok := d.clock()
	if !ok || day < 1 || day > 31 || hour > 23 || min > 59 || sec > 60 {
		return time.Time{}
	}
	t := time.Date(year, month, day, hour, min, sec, 0, d.zone())
	if t.Day() != day && sec < 60 {
		return time.Time{} // 31 February
	}
	return t
}

type dateParser struct{ lexer }

// separators passes over what stands between the fields of a date.
func (d *dateParser) separators() {
	for d.skip(); d.peek() == ',' || d.peek() == '-' && !d.end(); d.skip() {
		d.i++
	}
}

func (d *dateParser) number() (n int, ok bool) {
	d.separators()
	return d.digits()
}

func (d *dateParser) digits() (n int, ok bool) {
	start := d.i
	for ; d.i < len(d.b) && d.i-start < 5 && '0' <= d.b[d.i] && d.b[d.i] <= '9'; d.i++ {
		n = n*10 + int(d.b[d.i]-'0')
	}
	return n, d.i > start
}

func (d *dateParser) word() []byte {
	d.separators()
	start := d.i
	for d.i < len(d.b) && isLetter(d.b[d.i]) {
		d.i++
	}
	return d.b[start:d.i]
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// year reads a year; RFC 5322 section 4.3 says what two and three digits mean.
func (d *dateParser) year() (int, bool) {
	d.separators()
	start := d.i
	n, ok := d.digits()
	switch width := d.i - start; {
	case width == 2 && n < 50:
		n += 2000
	case width == 2, width == 3:
		n += 1900
	}
	return n, ok && n >= 1900 && n <= 9999
}

func (d *dateParser) clock() (hour, min, sec int, ok bool) {
	if hour, ok = d.number(); !ok || !d.colon() {
		return 0, 0, 0, false
	}
	if min, ok = d.number(); ok && d.colon() {
		sec, ok = d.number()
	}
	return hour, min, sec, ok
}

func (d *dateParser) colon() bool {
	if d.skip(); d.peek() != ':' {
		return false
	}
	d.i++
	return true
}

// zone reads +hhmm, -hhmm or a name. RFC 5322 section 4.3: names that are not known mean -0000.
func (d *dateParser) zone() *time.Location {
	d.skip()
	sign := d.peek()
	if sign == '+' || sign == '-' {
		d.i++
		n, ok := d.digits()
		if offset := (n/100*60 + n%100) * 60; ok && n/100 < 24 && n%100 < 60 && offset != 0 {
			if sign == '-' {
				offset = -offset
			}
			return time.FixedZone("", offset)
		}
		return time.UTC
	}
	if hours := zoneHours(d.word()); hours != 0 {
		return time.FixedZone("", hours*3600)
	}
	return time.UTC
}

func zoneHours(name []byte) int {
	if len(name) != 3 {
		return 0
	}
	switch string(bytes.ToUpper(name)) {
	case "EDT":
		return -4
	case "EST", "CDT":
		return -5
	case "CST", "MDT":
		return -6
	case "MST", "PDT":
		return -7
	case "PST":
		return -8
	}
	return 0
}

// monthOf reads a month's English name by its first three letters; 0 if it is none.
func monthOf(word []byte) time.Month {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(word) < 3 {
		return 0
	}
	for m := 0; m < 12; m++ {
		if foldedIs(word[:3], names[3*m:3*m+3]) {
			return time.Month(m + 1)
		}
	}
	return 0
}
