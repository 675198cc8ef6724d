package verify

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// readVector reads a message of testdata/arc.py.
func readVector(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// newARCServer has the keys of testdata/arc.py.
func newARCServer(t testing.TB) *resolvertest.Server {
	s := resolvertest.New(t)
	for line := range strings.SplitSeq(strings.TrimSpace(readVector(t, "arc.keys")), "\n") {
		name, text, _ := strings.Cut(line, " ")
		s.SetTXT(name, text)
	}
	return s
}

// fieldOf cuts out a field with its continuation lines.
func fieldOf(t testing.TB, text, begin string) string {
	t.Helper()
	i := strings.Index(text, begin)
	if i < 0 {
		t.Fatalf("%q is not there", begin)
	}
	end := i
	for {
		end += strings.Index(text[end:], "\r\n") + 2
		if text[end] != ' ' && text[end] != '\t' {
			return text[i:end]
		}
	}
}

func TestARC(t *testing.T) {
	s := newARCServer(t)
	v := newVerifier(t, s)
	one, three := readVector(t, "arc1.eml"), readVector(t, "arc3.eml")
	replace := func(text, old, new string) string {
		out := strings.Replace(text, old, new, 1)
		if out == text {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	without := func(text, begin string) string { return replace(text, fieldOf(t, text, begin), "") }
	const seal2, key2 = "ARC-Seal: i=2", "arc._domainkey.lists.example.org"
	tests := []struct {
		name, text string
		want       string
	}{
		{"no chain", plain, "none"},
		{"one hop", one, "pass"},
		{"three hops", three, "pass"},
		{"sets in another order", fieldOf(t, three, "ARC-Seal: i=1") + without(three, "ARC-Seal: i=1"), "pass"},
		{"new field in front", "Received: x\r\n" + three, "pass"},
		{"body changed on the last way", replace(three, "footer", "header"), "fail"},
		{"subject changed on the last way", replace(three, "[list]", "[lost]"), "fail"},
		{"space on the last way", replace(three, "Subject: [list] a", "subject :  [list]  a"), "pass"},
		{"results of an old hop changed", replace(three, "dkim=pass header.d=example.com;", "dkim=pass header.d=example.org;"), "fail"},
		{"seal of an old hop changed", replace(three, "b=K6qyQAAm", "b=K6qyQAAn"), "fail"},
		{"message signature of an old hop changed", replace(three, "b=kKHDRkFM", "b=kKHDRkFN"), "fail"},
		{"newest message signature changed", replace(three, "b=ausEthXa", "b=ausEthXb"), "fail"},
		{"newest seal changed", replace(three, "b=lYGU7sZi", "b=lYGU7sZj"), "fail"},
		{"seal missing", without(three, seal2), "fail"},
		{"results missing", without(three, "ARC-Authentication-Results: i=2"), "fail"},
		{"message signature missing", without(three, "ARC-Message-Signature: i=2"), "fail"},
		{"last set missing", without(without(without(three, "ARC-Seal: i=3"), "ARC-Message-Signature: i=3"), "ARC-Authentication-Results: i=3"), "pass"},
		{"middle set missing", without(without(without(three, seal2), "ARC-Message-Signature: i=2"), "ARC-Authentication-Results: i=2"), "fail"},
		{"first set alone missing", without(without(without(three, "ARC-Seal: i=1"), "ARC-Message-Signature: i=1"), "ARC-Authentication-Results: i=1"), "fail"},
		{"seal twice", fieldOf(t, three, seal2) + three, "fail"},
		{"only results", fieldOf(t, three, "ARC-Authentication-Results: i=2") + plain, "fail"},
		{"instance 0", replace(one, "ARC-Seal: i=1", "ARC-Seal: i=0"), "fail"},
		{"instance in words", replace(one, "ARC-Seal: i=1", "ARC-Seal: i=one"), "fail"},
		{"instance with sign", replace(one, "ARC-Seal: i=1", "ARC-Seal: i=+1"), "fail"},
		{"instance over 50", replace(one, "ARC-Seal: i=1", "ARC-Seal: i=51"), "fail"},
		{"results without instance", replace(one, "ARC-Authentication-Results: i=1; ", "ARC-Authentication-Results: "), "fail"},
		{"first seal says pass", replace(one, "cv=none", "cv=pass"), "fail"},
		{"last seal says fail", replace(three, "cv=pass", "cv=fail"), "fail"},
		{"seal with h", replace(one, "cv=none;", "cv=none; h=from;"), "fail"},
		{"seal by sha1", replace(one, "cv=none; a=rsa-sha256", "cv=none; a=rsa-sha1"), "fail"},
		{"message signature over seals", replace(one, "h=from : to", "h=from : arc-seal : to"), "fail"},
		{"no key", replace(one, "d=relay.example.net; s=arc;\r\n t", "d=relay.example.net; s=no;\r\n t"), "fail"},
		{"odd domain", replace(one, "d=relay.example.net; s=arc;\r\n t", "d=..; s=arc;\r\n t"), "fail"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := verdicts(t, v, message(t, tt.text))
			if r.ARC != tt.want {
				t.Errorf("%s, want %s", r.ARC, tt.want)
			}
			if ip := strings.Contains(string(r.Fields), "arc="+tt.want+" smtp.remote-ip=192.0.2.1;"); ip != (tt.want != "none") { // RFC 8617, section 6
				t.Errorf("%s", r.Fields)
			}
			if (tt.want == "pass") != (len(r.Chain) > 0) {
				t.Errorf("%d hops", len(r.Chain))
			}
		})
	}
	t.Run("hops", func(t *testing.T) {
		r, _ := verdicts(t, v, message(t, three))
		if len(r.Chain) != 3 || r.Chain[1].Domain != "lists.example.org" || !strings.HasPrefix(r.Chain[0].Results, "i=1; relay.example.net; dkim=pass") {
			t.Errorf("%+v", r.Chain)
		}
		if r.DKIM != "fail" {
			t.Errorf("dkim=%s of a message that a list changed", r.DKIM)
		}
	})
	t.Run("DNS of one hop fails", func(t *testing.T) {
		s.Fail(key2, dns.RcodeServerFailure)
		defer s.Fail(key2, 0)
		if r, _ := verdicts(t, v, message(t, three)); r.ARC != "temperror" {
			t.Error(r.ARC)
		}
		if r, _ := verdicts(t, v, message(t, replace(three, "footer", "header"))); r.ARC != "fail" {
			t.Error(r.ARC)
		}
	})
}

// A chain as long as allowed, all of it nonsense, costs one look-up for each name and little time.
func TestLongChainIsBounded(t *testing.T) {
	s := resolvertest.New(t)
	chain := func(n int) string {
		var b strings.Builder
		for i := 1; i <= n; i++ {
			cv := "pass"
			if i == 1 {
				cv = "none"
			}
			fmt.Fprintf(&b, "ARC-Seal: i=%d; cv=%s; a=rsa-sha256; d=d%d.example.com; s=s; b=AAAA\r\n", i, cv, i)
			fmt.Fprintf(&b, "ARC-Message-Signature: i=%d; a=rsa-sha256; d=d%d.example.com; s=s; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n", i, i)
			fmt.Fprintf(&b, "ARC-Authentication-Results: i=%d; x; none\r\n", i)
		}
		return b.String() + "From: a@example.com\r\n\r\n"
	}
	v := newVerifier(t, s)
	for n, asked := range map[int]int{maxHops: 1, maxHops + 1: 0} {
		s := resolvertest.New(t)
		v.dns = s.Resolver(t)
		r, _ := verdicts(t, v, message(t, chain(n)))
		if r.ARC != "fail" {
			t.Errorf("%d hops: %s", n, r.ARC)
		}
		if got := s.Asked("s._domainkey.d7.example.com"); got != asked {
			t.Errorf("%d hops: key asked for %d times, want %d", n, got, asked)
		}
	}
}
