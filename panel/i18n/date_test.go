package i18n

import (
	"testing"
	"time"
)

func TestGregorianTurnsJalaliBack(t *testing.T) {
	zone := time.FixedZone("Tehran", 12600)
	for day := time.Date(1990, 1, 1, 0, 0, 0, 0, zone); day.Year() < 2060; day = day.AddDate(0, 0, 1) {
		y, m, d := Jalali(day)
		back, ok := Gregorian(y, m, d, zone)
		if !ok || !back.Equal(day) {
			t.Fatalf("%v is %d/%d/%d, which is %v %v", day, y, m, d, back, ok)
		}
	}
	for _, no := range [][3]int{{1404, 12, 30}, {1403, 12, 31}, {1405, 7, 31}, {1405, 0, 1}, {1405, 13, 1}, {1405, 1, 32}, {1405, 1, 0}, {900, 1, 1}} {
		if got, ok := Gregorian(no[0], no[1], no[2], zone); ok {
			t.Errorf("%v is %v", no, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-23": "2026-11-23 00:00 false", "۱۴۰۵/۰۹/۰۲": "2026-11-23 00:00 false", "1405/9/2": "2026-11-23 00:00 false",
		" ۱۴۰۵/۹/۲  ۰۸:۳۰ ": "2026-11-23 08:30 true", "2026/11/23 23:59": "2026-11-23 23:59 true", "2026-11-23T07:05": "2026-11-23 07:05 true",
		"": "", "soon": "", "2026-02-30": "", "2026-13-01": "", "1404/12/30": "", "2026-11-23 25:00": "", "2026-11-23 8": "", "23-11-2026": "", "2026-11-23 08:30 x": "", "99999-1-1": "",
	} {
		got := ""
		if at, clock, ok := ParseTime(text, time.UTC); ok {
			got = at.Format("2006-01-02 15:04")
			if clock {
				got += " true"
			} else {
				got += " false"
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"2026-11-23", "۱۴۰۵/۰۹/۰۲ ۰۸:۳۰", "1405/9/2", "--", "1/1/1 1:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, _, ok := ParseTime(text, time.UTC); ok && (at.Year() < 1700 || at.Year() > 2300) {
			t.Errorf("%q is %v", text, at)
		}
	})
}
