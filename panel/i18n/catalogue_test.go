package i18n

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

func load2(t testing.TB) (en, fa *Lang) {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c.Lang("en"), c.Lang("fa")
}

func TestCataloguesHaveTheSameKeysAndValues(t *testing.T) {
	en, fa := load2(t)
	for _, key := range en.Keys() {
		if !fa.Has(key) {
			t.Errorf("fa lacks %q", key)
		}
	}
	for _, key := range fa.Keys() {
		if !en.Has(key) {
			t.Errorf("en lacks %q", key)
			continue
		}
		want := names(en.messages[key].forms[en.messages[key].raw])
		for raw, form := range fa.messages[key].forms {
			if got := names(form); raw != "" && !slices.Equal(got, want) {
				t.Errorf("%s: fa has values %v, en %v", key, got, want)
			}
		}
	}
}

func names(form []segment) []string {
	var all []string
	for _, s := range form {
		if s.value != "" && !slices.Contains(all, s.value) {
			all = append(all, s.value)
		}
	}
	slices.Sort(all)
	return all
}

// notPersian are the texts without a letter of their own, or with a name that is written in
// Latin letters in Persian too.
var notPersian = []string{"space.used", "time.at", "server.label", "help.word.pop3", "help.word.smtp", "delivery.messageid"}

func TestPersianIsWrittenInPersian(t *testing.T) {
	_, fa := load2(t)
	for _, key := range fa.Keys() {
		arabic := false
		for raw := range fa.messages[key].forms {
			arabic = arabic || strings.ContainsFunc(raw, func(r rune) bool { return unicode.Is(unicode.Arabic, r) && unicode.IsLetter(r) })
			// The Arabic forms of two letters, and a joiner at the wrong place, look right
			// and are not found by a search.
			if strings.ContainsAny(raw, "يك") || strings.Contains(raw, " \u200c") || strings.Contains(raw, "\u200c ") {
				t.Errorf("%s: %q", key, raw)
			}
		}
		if listed := slices.Contains(notPersian, key); arabic == listed {
			t.Errorf("%s: has Persian letters: %v, is listed as one without: %v", key, arabic, listed)
		}
	}
}

func TestPlurals(t *testing.T) {
	en, fa := load2(t)
	for n, want := range map[int]string{0: "0 mailboxes", 1: "1 mailbox", 2: "2 mailboxes", 1234: "1,234 mailboxes"} {
		if got := en.Text("mailboxes.count", "n", n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	for n, want := range map[int]string{0: "۰ صندوق", 1: "۱ صندوق", 1234: "۱٬۲۳۴ صندوق"} {
		if got := fa.Text("mailboxes.count", "n", n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestValuesAreEscapedAndIsolated(t *testing.T) {
	en, fa := load2(t)
	if got := string(fa.HTML("mailbox.deleted", "address", LTR(`<a>@example.com`))); !strings.Contains(got, `<bdi dir="ltr">&lt;a&gt;@example.com</bdi>`) {
		t.Error(got)
	}
	if got := string(en.HTML("customer.added", "name", `<script>`)); !strings.Contains(got, "<bdi>&lt;script&gt;</bdi>") {
		t.Error(got)
	}
	if got := string(fa.HTML("mailbox.deleted", "address", "a@example.com")); !strings.Contains(got, `<bdi dir="ltr">`) {
		t.Error("an address that came as a string is not isolated left to right:", got)
	}
	if got := string(fa.HTML("customer.added", "name", "شرکت a.b")); !strings.Contains(got, "<bdi>شرکت") {
		t.Error(got)
	}
	if got := fa.Text("ready.title", "address", LTR("a@example.com")); !strings.Contains(got, "\u2066a@example.com\u2069") {
		t.Errorf("%q", got)
	}
	if got := en.Text("ready.title", "address", LTR("a@example.com")); got != "a@example.com is ready" {
		t.Errorf("%q", got)
	}
}

func TestNumbersAndSizes(t *testing.T) {
	en, fa := load2(t)
	for _, c := range []struct {
		bytes  int64
		en, fa string
	}{
		{0, "0 B", "۰ بایت"},
		{1023, "1,023 B", "۱٬۰۲۳ بایت"},
		{1536, "1.5 kB", "۱٫۵ کیلوبایت"},
		{1 << 20, "1 MB", "۱ مگابایت"},
		{1<<20 - 1, "1 MB", "۱ مگابایت"},
		{1 << 30, "1 GB", "۱ گیگابایت"},
		{1717986918, "1.6 GB", "۱٫۶ گیگابایت"},
		{5 << 40, "5 TB", "۵ ترابایت"},
		{9000 << 40, "9,000 TB", "۹٬۰۰۰ ترابایت"},
	} {
		if got := strings.ReplaceAll(en.Size(c.bytes), "\u00a0", " "); got != c.en {
			t.Errorf("%d: %q, want %q", c.bytes, got, c.en)
		}
		if got := strings.ReplaceAll(fa.Size(c.bytes), "\u00a0", " "); got != c.fa {
			t.Errorf("%d: %q, want %q", c.bytes, got, c.fa)
		}
	}
	if fa.Percent(62) != "۶۲٪" || en.Number(-1234567) != "-1,234,567" {
		t.Error(fa.Percent(62), en.Number(-1234567))
	}
	if got := ASCIIDigits(" ۱٬۲۳۴٫۵ "); got != "1234.5" {
		t.Errorf("%q", got)
	}
	if got := ASCIIDigits("٤٢"); got != "42" {
		t.Errorf("%q", got)
	}
}

func TestWhen(t *testing.T) {
	en, fa := load2(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ago    time.Duration
		en, fa string
	}{
		{10 * time.Second, "just now", "همین حالا"},
		{5 * time.Minute, "5 minutes ago", "۵ دقیقه پیش"},
		{time.Hour, "1 hour ago", "۱ ساعت پیش"},
		{30 * time.Hour, "2026-11-22, 06:00", "۱۴۰۵/۰۹/۰۱، ۰۶:۰۰"},
		{-48 * time.Hour, "2026-11-25, 12:00", "۱۴۰۵/۰۹/۰۴، ۱۲:۰۰"},
	} {
		if got := en.Ago(now.Add(-c.ago), now); got != c.en {
			t.Errorf("%q, want %q", got, c.en)
		}
		if got := fa.Ago(now.Add(-c.ago), now); got != c.fa {
			t.Errorf("%q, want %q", got, c.fa)
		}
	}
	if got := string(fa.When(now.Add(-30*time.Hour), now)); !regexp.MustCompile(`<time datetime="2026-11-22T06:00:00Z" title="2026-11-22 06:00 UTC">`).MatchString(got) {
		t.Error(got)
	}
}

func TestMatch(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{
		"": "en", "fa": "fa", "fa-IR,fa;q=0.9,en;q=0.8": "fa", "de-DE,de;q=0.9": "en", "en-GB,fa;q=0.3": "en",
		"de,fa;q=0.5": "fa", "*": "en", ";;;": "en", strings.Repeat("fa,", 1000): "en",
	} {
		if got := c.Match(accept).Code; got != want {
			t.Errorf("%.40q: %s, want %s", accept, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "plain", "{n} of {max}", "{", "}", "{}", "{a b}", "a{b}c{d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		form, err := parse(s)
		if err != nil {
			return
		}
		var back strings.Builder
		for _, p := range form {
			if p.value != "" {
				back.WriteString("{" + p.value + "}")
			} else {
				back.WriteString(p.text)
			}
		}
		if back.String() != s {
			t.Fatalf("%q came back as %q", s, back.String())
		}
	})
}
