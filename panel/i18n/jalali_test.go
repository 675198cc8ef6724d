package i18n

import (
	"testing"
	"time"
)

func TestJalali(t *testing.T) {
	for _, c := range []struct {
		gregorian string
		y, m, d   int
	}{
		{"2026-11-23", 1405, 9, 2},
		{"2021-03-21", 1400, 1, 1},
		{"2021-03-20", 1399, 12, 30}, // 1399 was a leap year
		{"2025-03-20", 1403, 12, 30}, // so was 1403
		{"2025-03-21", 1404, 1, 1},
		{"2024-03-20", 1403, 1, 1},
		{"2020-03-20", 1399, 1, 1},
		{"2024-02-29", 1402, 12, 10},
		{"1979-02-11", 1357, 11, 22},
		{"2000-01-01", 1378, 10, 11},
		{"2026-09-22", 1405, 6, 31},
		{"2026-09-23", 1405, 7, 1},
		{"2029-03-19", 1407, 12, 29},
		{"2030-03-20", 1408, 12, 30},
	} {
		day, err := time.Parse("2006-01-02", c.gregorian)
		if err != nil {
			t.Fatal(err)
		}
		if y, m, d := Jalali(day); y != c.y || m != c.m || d != c.d {
			t.Errorf("%s: %d/%d/%d, want %d/%d/%d", c.gregorian, y, m, d, c.y, c.m, c.d)
		}
	}
}

func TestJalaliTakesTheDayOfTheZone(t *testing.T) {
	tehran := time.FixedZone("+0330", 3*3600+1800)
	late := time.Date(2021, 3, 20, 21, 0, 0, 0, time.UTC) // 00:30 of the next day in Tehran
	if y, m, d := Jalali(late.In(tehran)); y != 1400 || m != 1 || d != 1 {
		t.Fatal(y, m, d)
	}
}

func TestJalaliCountsEveryDayOnce(t *testing.T) {
	day := time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)
	ly, lm, ld := Jalali(day)
	for range 40000 {
		day = day.AddDate(0, 0, 1)
		y, m, d := Jalali(day)
		follows := y == ly && m == lm && d == ld+1 || y == ly && m == lm+1 && d == 1 && ld >= 29 || y == ly+1 && m == 1 && d == 1 && lm == 12
		if !follows || m > 12 || d > 31 {
			t.Fatalf("%d/%d/%d after %d/%d/%d", y, m, d, ly, lm, ld)
		}
		ly, lm, ld = y, m, d
	}
}
