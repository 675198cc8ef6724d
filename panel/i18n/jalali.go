package i18n

import "time"

// Jalali returns the date of t, in t's own zone, in the Solar Hijri calendar of Iran. The
// rule of leap years used, eight in each cycle of 33, agrees with the official calendar
// from 1178 to 1633 (1799 to 2254).
func Jalali(t time.Time) (year, month, day int) {
	y, m, d := t.Date()
	days := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(newYear1400) / (24 * time.Hour))
	year = 1400
	for days < 0 {
		year--
		days += yearDays(year)
	}
	for days >= yearDays(year) {
		days -= yearDays(year)
		year++
	}
	// Six months of 31 days, five of 30, and Esfand of 29 or 30.
	if days < 6*31 {
		return year, days/31 + 1, days%31 + 1
	}
	days -= 6 * 31
	return year, days/30 + 7, days%30 + 1
}

// newYear1400 is 1 Farvardin 1400.
var newYear1400 = time.Date(2021, 3, 21, 0, 0, 0, 0, time.UTC)

func yearDays(year int) int {
	switch year % 33 {
	case 1, 5, 9, 13, 17, 22, 26, 30:
		return 366
	}
	return 365
}
