package srs

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models/address"
)

func rewriter(now *time.Time) *Rewriter {
	return &Rewriter{Key: bytes.Repeat([]byte{7}, 32), Now: func() time.Time { return *now }}
}

func TestThereAndBack(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	w := rewriter(&now)
	for _, sender := range []address.Address{
		{Local: "Sara", Domain: "origin.example"}, {Local: "a=b=c", Domain: "origin.example"}, {Local: "a b", Domain: "origin.example"},
		{Local: "bounce+SRS0", Domain: "xn--pgb.example"}, {Local: "SRS0", Domain: "origin.example"},
	} {
		there, err := w.Forward(sender, "forwarder.example")
		if err != nil || there.Domain != "forwarder.example" || !Is(there.Local) {
			t.Fatal(there, err)
		}
		if back, err := w.Reverse(there); err != nil || back != sender {
			t.Errorf("%v: %v %v", sender, back, err)
		}
		// What passes hosts that change the case comes back too, in lower case at worst.
		for _, fold := range []func(string) string{strings.ToLower, strings.ToUpper} {
			if back, err := w.Reverse(address.Address{Local: fold(there.Local), Domain: there.Domain}); err != nil || back.Lower() != sender.Lower() {
				t.Errorf("%v: %v %v", sender, back, err)
			}
		}
	}
	if a, err := w.Forward(address.Address{}, "forwarder.example"); err != nil || !a.IsZero() {
		t.Error(a, err)
	}
	if _, err := w.Forward(address.Address{Local: strings.Repeat("x", 64), Domain: strings.Repeat("y", 180)}, "forwarder.example"); err == nil {
		t.Error("an address that is too long")
	}
}

// A second and a third forwarder lead back to the first one, which knows the sender.
func TestChain(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	first, second, third := rewriter(&now), rewriter(&now), rewriter(&now)
	second.Key, third.Key = []byte("second"), []byte("third")
	sender := address.Address{Local: "Sara", Domain: "origin.example"}
	a, _ := first.Forward(sender, "first.example")
	b, err := second.Forward(a, "second.example")
	if err != nil || !strings.HasPrefix(b.Local, "SRS1=") {
		t.Fatal(b, err)
	}
	c, err := third.Forward(b, "third.example")
	if err != nil || len(c.Local) != len(b.Local) {
		t.Fatal(c, err)
	}
	for _, x := range []struct {
		w  *Rewriter
		at address.Address
	}{{second, b}, {third, c}} {
		back, err := x.w.Reverse(x.at)
		if err != nil || back != a {
			t.Fatal(back, err, a)
		}
	}
	if back, err := first.Reverse(a); err != nil || back != sender {
		t.Error(back, err)
	}
}

func TestForgedAndOld(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	w := rewriter(&now)
	good, _ := w.Forward(address.Address{Local: "sara", Domain: "origin.example"}, "forwarder.example")
	for _, local := range []string{
		"SRS0", "SRS0=", "SRS0==", "SRS0=aaaaaaaa=bb=origin.example=sara", "srs0=a", "SRS2=" + good.Local[5:], "SRS1=" + good.Local[5:],
		good.Local + "x", strings.Replace(good.Local, "sara", "omid", 1), strings.Replace(good.Local, "origin.example", "other.example", 1),
		"SRS1=" + w.hash("first.example", "forwarder.example") + "=first.example", "SRS1=" + w.hash("first.example=", "forwarder.example") + "=first.example=",
	} {
		if a, err := w.Reverse(address.Address{Local: local, Domain: "forwarder.example"}); err == nil {
			t.Errorf("%s leads to %v", local, a)
		}
	}
	if _, err := w.Reverse(address.Address{Local: good.Local, Domain: "other.example"}); err == nil {
		t.Error("made for another domain")
	}
	for days, ok := range map[int]bool{-1: true, -3: false, 0: true, MaxAge: true, MaxAge + 2: false, 500: false, days: true} {
		now = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC).AddDate(0, 0, days)
		if _, err := w.Reverse(good); (err == nil) != ok {
			t.Errorf("after %d days: %v", days, err)
		}
	}
}

func FuzzReverse(f *testing.F) {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	w := rewriter(&now)
	for _, s := range []string{"SRS0=aaaaaaaa=bb=c.example=d", "SRS1=aaaaaaaa=c.example==hh=tt=d.example=e", "srs0+a", "SRS1=x==", "SRS0=\x00", "x"} {
		f.Add(s, "origin.example", "sara")
	}
	f.Fuzz(func(t *testing.T, local, domain, user string) {
		if a, err := w.Reverse(address.Address{Local: local, Domain: "f.example"}); err == nil && a.Domain == "" {
			t.Error(a)
		}
		sender, err := address.ParseReversePath(user + "@" + domain)
		if err != nil {
			return
		}
		there, err := w.Forward(sender, "f.example")
		if err != nil {
			return
		}
		back, err := w.Reverse(there)
		if err != nil && !Is(sender.Local) || err == nil && !Is(sender.Local) && back != sender {
			t.Errorf("%v becomes %v and then %v, %v", sender, there, back, err)
		}
	})
}
