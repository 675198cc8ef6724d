package wire

import (
	"strings"
	"time"
)

// Date takes a day of SEARCH (RFC 9051, section 9, date), quoted or not, as midnight UTC.
func (p *Parser) Date() time.Time {
	quoted := p.Accept('"')
	s := p.run(func(c byte) bool { return c == '-' || isAlnum(c) })
	if quoted {
		p.Expect('"')
	}
	t, ok := parseDay(s)
	if !ok {
		p.Fail("A date such as 1-Feb-2006 was expected")
	}
	return t
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// parseDay reads d-Mon-yyyy. time.Parse would take names of months in full and refuse years
// that clients use to mean "always".
func parseDay(s string) (time.Time, bool) {
	day, rest, _ := strings.Cut(strings.TrimPrefix(s, " "), "-")
	month, year, ok := strings.Cut(rest, "-")
	d, dok := digits(day, 2)
	y, yok := digits(year, 4)
	if !ok || !dok || !yok || len(month) != 3 || len(year) != 4 || d < 1 || d > 31 {
		return time.Time{}, false
	}
	m := -1
	for i := 0; i < len(months); i += 3 {
		if strings.EqualFold(months[i:i+3], month) {
			m = i/3 + 1
		}
	}
	if m < 0 {
		return time.Time{}, false
	}
	return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC), true
}

func digits(s string, most int) (n int, ok bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// DateTime takes the internal date of APPEND (RFC 9051, section 9, date-time).
func (p *Parser) DateTime() time.Time {
	t, ok := parseDateTime(p.quoted())
	if !ok {
		p.Fail("A date such as \" 1-Feb-2006 15:04:05 +0330\" was expected")
	}
	return t
}

func parseDateTime(s string) (time.Time, bool) {
	// " 1-Feb-2006 15:04:05 +0330": the day may lack its leading space or zero.
	parts := strings.Split(strings.TrimPrefix(s, " "), " ")
	if len(parts) != 3 || len(parts[1]) != 8 || len(parts[2]) != 5 || parts[1][2] != ':' || parts[1][5] != ':' {
		return time.Time{}, false
	}
	day, ok := parseDay(parts[0])
	h, hok := digits(parts[1][:2], 2)
	m, mok := digits(parts[1][3:5], 2)
	sec, sok := digits(parts[1][6:], 2)
	zh, zhok := digits(parts[2][1:3], 2)
	zm, zmok := digits(parts[2][3:], 2)
	if !ok || !hok || !mok || !sok || !zhok || !zmok || h > 23 || m > 59 || sec > 60 || zh > 24 || zm > 59 {
		return time.Time{}, false
	}
	offset := (zh*60 + zm) * 60
	switch parts[2][0] {
	case '-':
		offset = -offset
	case '+':
	default:
		return time.Time{}, false
	}
	return time.Date(day.Year(), day.Month(), day.Day(), h, m, sec, 0, time.FixedZone("", offset)), true
}

// AppendDateTime appends a moment as INTERNALDATE has it, quotes included.
func AppendDateTime(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, `"_2-Jan-2006 15:04:05 -0700"`)
}
