package verify

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// quick is how long a hostile message may take: 1 s by itself, more beside other tests.
func quick() time.Duration {
	if os.Getenv("POSTCHI_LONG") != "" {
		return time.Second
	}
	return 20 * time.Second
}

// Headers as large as they may be, made to be slow, are verified in under a second.
func TestHostileHeadersAreQuick(t *testing.T) {
	const size = 1000 << 10
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	names := strings.Repeat("a:", maxSigned-1) + "from"
	signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=brisbane; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA; h=" + names + "\r\n"
	tests := map[string]string{
		"many fields":         fill("a:\r\n"),
		"many signatures":     fill("DKIM-Signature: v=1\r\n"),
		"many tags":           fill("DKIM-Signature: " + strings.Repeat("a;", 8000) + "\r\n"),
		"signed fields":       strings.Repeat(signature, maxSignatures) + fill("a:"+strings.Repeat(" x", 900)+"\r\n"),
		"one signed field":    signature + "a: " + fill(" \t") + "x\r\n",
		"folds":               "From: " + fill("\r\n ") + "x@example.com\r\n",
		"seals":               fill("ARC-Seal: i=1\r\n"),
		"many authors":        "From: " + fill("a@example.com,"),
		"comments in From":    "From: " + fill("(") + "a@example.com\r\n",
		"results":             fill("Authentication-Results: (((((\r\n"),
		"comments in results": "Authentication-Results: " + fill("(") + "\r\n",
	}
	v := newVerifier(t, newRFCServer(t))
	for name, header := range tests {
		m := message(t, header+"\r\n\r\nSalam\r\n")
		began := time.Now()
		r, _ := verdicts(t, v, m)
		Forged(m.Header, "mx.postchi.test")
		took := time.Since(began)
		if took > quick() {
			t.Errorf("%s: %v", name, took)
		}
		t.Logf("%s: %v", name, took)
		if r.DKIM == "pass" || r.ARC == "pass" || r.DMARC == "pass" {
			t.Errorf("%s: %s arc=%s", name, r.Summary, r.ARC)
		}
		if len(r.Fields) > 16<<10 {
			t.Errorf("%s: %d bytes of results", name, len(r.Fields))
		}
	}
}

func TestAuthorsThatNobodyReads(t *testing.T) {
	v := newVerifier(t, resolvertest.New(t))
	for _, from := range []string{strings.Repeat("a@example.com, ", maxFrom) + "ceo@bank.org", "\"" + strings.Repeat("x", maxFromSize) + "\" <a@example.com>"} {
		if _, got := verdicts(t, v, message(t, "From: "+from+"\r\n\r\n")); got != "spf=none dkim=none dmarc=fail reject" {
			t.Errorf("%.30q: %s", from, got)
		}
	}
}

// TestPythonSeals verifies chains that Debian's python3-dkim seals now, as those of testdata.
func TestPythonSeals(t *testing.T) {
	if os.Getenv("POSTCHI_INTEROP") == "" {
		t.Skip("POSTCHI_INTEROP is not set")
	}
	script, err := filepath.Abs("testdata/arc.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := resolvertest.New(t)
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(read("arc.keys")), "\n") {
		name, text, _ := strings.Cut(line, " ")
		s.SetTXT(name, text)
	}
	for name, want := range map[string]string{"arc1.eml": "dkim=pass arc=pass", "arc3.eml": "dkim=fail arc=pass"} {
		v := newVerifier(t, s)
		v.now = time.Now
		r, _ := verdicts(t, v, message(t, read(name)))
		if got := fmt.Sprintf("dkim=%s arc=%s", r.DKIM, r.ARC); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
