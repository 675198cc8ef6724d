package i18n

import (
	"html/template"
	"strconv"
	"strings"
	"time"
)

// format is what a language does differently with numbers and dates.
type format struct {
	code, dir, name string
	digits          [10]rune
	group, decimal  string
	percent         string
	units           [5]string // of sizes, from bytes
	jalali          bool
}

var formats = []format{
	{code: "en", dir: "ltr", name: "English", digits: [10]rune([]rune("0123456789")),
		group: ",", decimal: ".", percent: "%", units: [5]string{"B", "kB", "MB", "GB", "TB"}},
	{code: "fa", dir: "rtl", name: "فارسی", digits: [10]rune([]rune("۰۱۲۳۴۵۶۷۸۹")), jalali: true,
		group: "\u066c", decimal: "\u066b", percent: "٪", units: [5]string{"بایت", "کیلوبایت", "مگابایت", "گیگابایت", "ترابایت"}},
}

// Digits returns s with its digits in the language's own.
func (l *Lang) Digits(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return l.format.digits[r-'0']
		}
		return r
	}, s)
}

// Number returns a whole number with groups of thousands.
func (l *Lang) Number(n int64) string {
	s, sign := strconv.FormatInt(n, 10), ""
	if n < 0 {
		s, sign = s[1:], "-"
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString(l.format.group)
		}
		b.WriteRune(r)
	}
	return sign + l.Digits(b.String())
}

// Percent returns a share of 100.
func (l *Lang) Percent(p int64) string { return l.Number(p) + l.format.percent }

// Size returns bytes in the unit that fits, powers of 1024, with at most one decimal.
func (l *Lang) Size(bytes int64) string {
	unit, step := 0, int64(1)
	for unit < len(l.format.units)-1 && bytes >= step*1024 {
		unit, step = unit+1, step*1024
	}
	tenths := (bytes/step)*10 + (bytes%step*10+step/2)/step
	if tenths >= 10240 && unit < len(l.format.units)-1 {
		unit, tenths = unit+1, 10
	}
	s := l.Number(tenths / 10)
	if rest := tenths % 10; rest != 0 {
		s += l.format.decimal + l.Digits(strconv.FormatInt(rest, 10))
	}
	return s + "\u00a0" + l.format.units[unit]
}

// Date returns the day of t in its own zone: Jalali in Persian, else as in ISO 8601.
func (l *Lang) Date(t time.Time) string {
	if !l.format.jalali {
		return t.Format("2006-01-02")
	}
	y, m, d := Jalali(t)
	return l.Digits(strconv.Itoa(y) + "/" + two(m) + "/" + two(d))
}

// Clock returns the hour and minute of t in its own zone.
func (l *Lang) Clock(t time.Time) string { return l.Digits(t.Format("15:04")) }

func two(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// When returns t as an element: relative within 24 hours of now, otherwise the day and the
// hour; the whole moment in the Gregorian calendar is its title.
func (l *Lang) When(t, now time.Time) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(l.Text("time.never")))
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" title="` + t.Format("2006-01-02 15:04 MST") + `">` +
		template.HTMLEscapeString(l.Ago(t, now)) + `</time>`)
}

// Ago returns the words of When.
func (l *Lang) Ago(t, now time.Time) string {
	past := now.Sub(t)
	switch {
	case past < -time.Minute || past >= 24*time.Hour:
		return l.Text("time.at", "date", l.Date(t), "clock", l.Clock(t))
	case past < time.Minute:
		return l.Text("time.now")
	case past < time.Hour:
		return l.Text("time.minutes", "n", int64(past/time.Minute))
	}
	return l.Text("time.hours", "n", int64(past/time.Hour))
}

// ASCIIDigits returns s with Persian and Arabic digits, separators and the like turned into
// what strconv reads, for numbers that people type.
func ASCIIDigits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case '۰' <= r && r <= '۹':
			return '0' + r - '۰'
		case '٠' <= r && r <= '٩':
			return '0' + r - '٠'
		case r == '٫':
			return '.'
		case r == '٬' || r == ',' || r == ' ' || r == '\u00a0':
			return -1
		}
		return r
	}, strings.TrimSpace(s))
}
