package i18n

import (
	"strconv"
	"strings"
	"time"
)

// Gregorian returns the first moment, in a zone, of a day of the Solar Hijri calendar; false if
// there is no such day.
func Gregorian(year, month, day int, zone *time.Location) (time.Time, bool) {
	if year < 1178 || year > 1633 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month) {
		return time.Time{}, false
	}
	days := 0
	for y := 1400; y < year; y++ {
		days += yearDays(y)
	}
	for y := year; y < 1400; y++ {
		days -= yearDays(y)
	}
	for m := 1; m < month; m++ {
		days += monthDays(year, m)
	}
	first := newYear1400
	return time.Date(first.Year(), first.Month(), first.Day()+days+day-1, 0, 0, 0, 0, zone), true
}

func monthDays(year, month int) int {
	switch {
	case month <= 6:
		return 31
	case month <= 11 || yearDays(year) == 366:
		return 30
	}
	return 29
}

// ParseTime reads a day as people type it, with an hour or without: 2026-11-23, 2026/11/23
// 08:30, ۱۴۰۵/۹/۲. Years before 1700 are of the Solar Hijri calendar. clock reports whether an
// hour was given; false comes for what is no day.
func ParseTime(s string, zone *time.Location) (t time.Time, clock, ok bool) {
	fields := strings.Fields(strings.ReplaceAll(asciiDigits(s), "T", " "))
	if len(fields) == 0 || len(fields) > 2 {
		return time.Time{}, false, false
	}
	year, month, day, ok := threeNumbers(fields[0])
	if !ok {
		return time.Time{}, false, false
	}
	if year < 1700 {
		t, ok = Gregorian(year, month, day, zone)
	} else {
		t = time.Date(year, time.Month(month), day, 0, 0, 0, 0, zone)
		ok = year <= 2200 && t.Day() == day && int(t.Month()) == month
	}
	if !ok || len(fields) == 1 {
		return t, false, ok
	}
	hour, err := time.Parse("15:04", fields[1])
	if err != nil {
		return time.Time{}, false, false
	}
	return time.Date(t.Year(), t.Month(), t.Day(), hour.Hour(), hour.Minute(), 0, 0, zone), true, true
}

func threeNumbers(s string) (a, b, c int, ok bool) {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '-' || r == '.' })
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	var n [3]int
	for i, p := range parts {
		var err error
		if n[i], err = strconv.Atoi(p); err != nil || len(p) > 4 {
			return 0, 0, 0, false
		}
	}
	return n[0], n[1], n[2], true
}

// asciiDigits turns Persian and Arabic digits into 0 to 9 and leaves everything else.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case '۰' <= r && r <= '۹':
			return '0' + r - '۰'
		case '٠' <= r && r <= '٩':
			return '0' + r - '٠'
		}
		return r
	}, s)
}
