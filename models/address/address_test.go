package address

import (
	"errors"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
)

func TestParse(t *testing.T) {
	long64, long65 := strings.Repeat("a", 64), strings.Repeat("a", 65)
	label := strings.Repeat("b", 63)
	tests := []struct{ in, want, key string }{
		{"Sara@Example.COM", "sara@example.com", ""},
		{"  sara@example.com\t", "sara@example.com", ""},
		{"sara@example.com.", "sara@example.com", ""},
		{"sara+news@example.com", "sara+news@example.com", ""},
		{"o'brien/x=y@example.com", "o'brien/x=y@example.com", ""},
		{"admin@localhost", "admin@localhost", ""},
		{"sara@مثال.ایران", "sara@xn--mgbh0fb.xn--mgba3a4f16a", ""},
		{"sara@XN--MGBH0FB.xn--mgba3a4f16a", "sara@xn--mgbh0fb.xn--mgba3a4f16a", ""},
		{"sara@bücher.example", "sara@xn--bcher-kva.example", ""},
		{"sara@bu\u0308cher.example", "sara@xn--bcher-kva.example", ""}, // NFD
		{"sara@ＥＸＡＭＰＬＥ.com", "sara@example.com", ""},                    // full width
		{"sara@straße.example", "sara@xn--strae-oqa.example", ""},       // not transitional
		{`"Sara"@example.com`, "sara@example.com", ""},
		{`"sara azadi"@example.com`, `"sara azadi"@example.com`, ""},
		{`"a\"b\\c@d"@example.com`, `"a\"b\\c@d"@example.com`, ""},
		{`"a..b"@example.com`, `"a..b"@example.com`, ""},
		{"a..b@example.com", `"a..b"@example.com`, ""},
		{long64 + "@example.com", long64 + "@example.com", ""},
		{"a@" + label + ".com", "a@" + label + ".com", ""},
		{"", "", "address.empty"},
		{"sara", "", "address.noat"},
		{"@example.com", "", "address.nolocal"},
		{"sara@", "", "address.nodomain"},
		{"سارا@example.com", "", "address.eai"},
		{"ѕara@example.com", "", "address.eai"}, // Cyrillic dze: the confusable case
		{"sa\x00ra@example.com", "", "address.local"},
		{"sa\r\nra@example.com", "", "address.local"},
		{`"sara@example.com`, "", "address.local"},
		{`"sara"x@example.com`, "", "address.local"},
		{`"sara\`, "", "address.local"},
		{long65 + "@example.com", "", "address.local_long"},
		{"a@" + label + "b.com", "", "address.domain"},
		{long64 + "@" + strings.Repeat(label+".", 2) + strings.Repeat("c", 59) + ".com", "", "address.long"},
		{"a@" + strings.Repeat(label+".", 4) + "com", "", "address.domain"},
		{"a@[192.0.2.1]", "", "address.literal"},
		{"a@[IPv6:2001:db8::1]", "", "address.literal"},
		{"a@192.0.2.1", "", "address.literal"},
		{"a@1.2.3.256", "", "address.literal"},
		{"a@exa_mple.com", "", "address.domain"},
		{"a@exa mple.com", "", "address.domain"},
		{"a@-example.com", "", "address.domain"},
		{"a@example-.com", "", "address.domain"},
		{"a@example..com", "", "address.domain"},
		{"a@.example.com", "", "address.domain"},
		{"a@example.com..", "", "address.domain"},
		{"a@xn--a.com", "", "address.domain"},
		{"a@ab\u200ccd.com", "", "address.domain"}, // non-joiner where it changes nothing
		{"a@exa\rmple.com", "", "address.domain"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := Parse(tt.in)
			if key := keyOf(err); key != tt.key {
				t.Fatalf("key %q (%v), want %q", key, err, tt.key)
			}
			if got.String() != tt.want {
				t.Fatalf("%q, want %q", got, tt.want)
			}
		})
	}
}

func keyOf(err error) string {
	var e *models.Error
	if errors.As(err, &e) {
		if e.Kind != models.Invalid {
			return "not invalid: " + e.Key
		}
		return e.Key
	}
	return ""
}

func TestParseDomainTakesWhatPeoplePaste(t *testing.T) {
	tests := []struct{ in, want, key string }{
		{"example.com", "example.com", ""},
		{"https://www.Example.com/", "example.com", ""},
		{"http://user:pw@www.example.com:8080/a?b#c", "example.com", ""},
		{"www.example.com.", "example.com", ""},
		{"www.com", "www.com", ""},
		{"@example.com", "example.com", ""},
		{"info@example.com", "example.com", ""},
		{"example.com?x", "example.com", ""},
		{"https://مثال.ایران/صفحه", "xn--mgbh0fb.xn--mgba3a4f16a", ""},
		{"نامه\u200cها.ایران", "xn--mgb2hoa65aa93w.xn--mgba3a4f16a", "?"},
		{"", "", "address.nodomain"},
		{"   ", "", "address.nodomain"},
		{"https://", "", "address.nodomain"},
		{"localhost", "", "address.domain_short"},
		{"192.0.2.1", "", "address.literal"},
		{"http://[2001:db8::1]/", "", "address.literal"},
		{"exa mple.com", "", "address.domain"},
		{"example.com:smtp", "", "address.domain"},
	}
	for _, tt := range tests {
		got, err := ParseDomain(tt.in)
		if tt.key == "?" { // only: the non-joiner is kept and the name reads back
			if err != nil || Unicode(got) != tt.in {
				t.Errorf("%q: %q shown as %q, %v", tt.in, got, Unicode(got), err)
			}
			continue
		}
		if got != tt.want || keyOf(err) != tt.key {
			t.Errorf("%q: %q %v, want %q %q", tt.in, got, err, tt.want, tt.key)
		}
	}
}

func TestPathsAreNotReinterpreted(t *testing.T) {
	// The library has removed quotes: what is left is the local part itself.
	for in, want := range map[string]string{
		"a@b@example.com":       `"a@b"@example.com`,
		"a%b@example.com":       "a%b@example.com",
		"host!user@example.com": "host!user@example.com",
		`"x"@example.com`:       `"\"x\""@example.com`,
	} {
		a, err := ParsePath(in)
		if err != nil || a.String() != want {
			t.Errorf("%q: %q %v, want %q", in, a, err, want)
		}
	}
	if _, err := ParsePath(""); keyOf(err) != "address.noat" {
		t.Error(err)
	}
}

func TestReversePathKeepsCase(t *testing.T) {
	a, err := ParseReversePath("SRS0=AbC@Example.Com")
	if err != nil || a.String() != "SRS0=AbC@example.com" || a.Lower().String() != "srs0=abc@example.com" {
		t.Fatal(a, err)
	}
}

func TestTags(t *testing.T) {
	tests := []struct{ in, tag, without string }{
		{"sara@example.com", "", "sara@example.com"},
		{"sara+news@example.com", "news", "sara@example.com"},
		{"sara+a+b@example.com", "a+b", "sara@example.com"},
		{"sara+@example.com", "", "sara@example.com"},
		{"+x@example.com", "x", "+x@example.com"},
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if err != nil || a.Tag() != tt.tag || a.WithoutTag().String() != tt.without {
			t.Errorf("%s: tag %q, without %q, %v", tt.in, a.Tag(), a.WithoutTag(), err)
		}
	}
}

func TestUnicodeIsForDisplay(t *testing.T) {
	a, err := Parse("sara@مثال.ایران")
	if err != nil || a.Display() != "sara@مثال.ایران" {
		t.Fatal(a.Display(), err)
	}
	if Unicode("example.com") != "example.com" || (Address{}).Display() != "" || (Address{}).String() != "" {
		t.Fatal("plain")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"sara@example.com", `"a\"b"@x.y`, "a@مثال.ایران", "a@[1.2.3.4]", "a@xn--mgbh0fb", "a@b.xn--", "0@0\x97", "@", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check := func(a Address, err error) {
			if err != nil {
				if keyOf(err) == "" || !a.IsZero() {
					t.Fatalf("%q: %v with %v", s, err, a)
				}
				return
			}
			if len(a.Local) > MaxLocal || len(a.Domain) > MaxDomain || len(a.String()) > MaxPath {
				t.Fatalf("%q: over a limit", s)
			}
			if strings.ContainsAny(a.String(), "\r\n\x00") || strings.ContainsAny(a.Domain, " @\"<>") {
				t.Fatalf("%q: unsafe %q", s, a)
			}
			if b, err := Parse(a.String()); err != nil || b != a.Lower() {
				t.Fatalf("%q: %q reads back as %q: %v", s, a, b, err)
			}
			if b, err := ParsePath(a.Local + "@" + a.Domain); err != nil || b != a.Lower() {
				t.Fatalf("%q: path of %q reads back as %q: %v", s, a, b, err)
			}
			if b, err := NormalizeDomain(Unicode(a.Domain)); err != nil || b != a.Domain {
				t.Fatalf("%q: shown as %q, read as %q: %v", a.Domain, Unicode(a.Domain), b, err)
			}
		}
		check(Parse(s))
		check(ParsePath(s))
		check(ParseReversePath(s))
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"https://www.Example.com/", "مثال.ایران", "a.b:25", "@x.y", "[::1]", "www.www.a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDomain(s)
		if err != nil {
			if keyOf(err) == "" || d != "" {
				t.Fatalf("%q: %v with %q", s, err, d)
			}
			return
		}
		if again, err := NormalizeDomain(d); err != nil || again != d {
			t.Fatalf("%q: %q again is %q: %v", s, d, again, err)
		}
		if d != strings.ToLower(d) || !strings.Contains(d, ".") || strings.HasSuffix(d, ".") {
			t.Fatalf("%q: %q", s, d)
		}
	})
}
