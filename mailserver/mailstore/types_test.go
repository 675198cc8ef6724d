package mailstore

import (
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
)

func TestNormalSets(t *testing.T) {
	for _, c := range []struct{ in, want Set }{
		{nil, Set{}},
		{Set{{5, 3}}, Set{{3, 5}}},
		{Set{{4, 6}, {1, 3}}, Set{{1, 6}}},
		{Set{{1, 10}, {2, 3}, {12, 12}}, Set{{1, 10}, {12, 12}}},
		{Set{{0, 0}, {0, 2}}, Set{{1, 2}}},
		{Set{{MaxUID, MaxUID}, {1, MaxUID}, {7, 7}}, Set{{1, MaxUID}}},
		{SetOf(3, 1, 2, 9, 9), Set{{1, 3}, {9, 9}}},
	} {
		got := c.in.Normal()
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
		for u := UID(1); u < 14; u++ {
			in := slices.ContainsFunc(c.in, func(r Range) bool { return min(r.First, r.Last) <= u && u <= max(r.First, r.Last) })
			if got.Contains(u) != in {
				t.Errorf("%v contains %d: %v", got, u, !in)
			}
		}
	}
}

func TestSetBelow(t *testing.T) {
	got := Set{{1, 3}, {5, 9}, {12, MaxUID}}.below(7)
	if !slices.Equal(got, Set{{1, 3}, {5, 6}}) {
		t.Fatal(got)
	}
}

func TestFolderName(t *testing.T) {
	for in, want := range map[string]string{
		"Inbox": "INBOX", "inbox/x": "INBOX/x", "x/inbox": "x/inbox", "Entwu\u0308rfe": "Entw\u00fcrfe", "a b/c": "a b/c", " a": " a",
		"پیش\u200cنویس": "پیش\u200cنویس",
	} {
		if got, err := FolderName(in); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "/", "a/", "/a", "a//b", "a ", "a /b", "a*", "a%", "a\r", "\xff", strings.Repeat("x", 256), strings.Repeat("a/", 30) + "a"} {
		if got, err := FolderName(bad); !models.Is(err, models.Invalid) {
			t.Errorf("%q: %q %v", bad, got, err)
		}
	}
}

func FuzzFolderName(f *testing.F) {
	for _, s := range []string{"INBOX", "a/b", "Entwu\u0308rfe", "a ", "\x00", "inbox/\u200c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := FolderName(s)
		if err != nil {
			return
		}
		again, err := FolderName(name)
		if err != nil || again != name {
			t.Fatalf("%q became %q and then %q, %v", s, name, again, err)
		}
		if len(name) > maxName || strings.ContainsAny(name, "*%\r\n\x00") {
			t.Fatalf("%q", name)
		}
	})
}

func TestQuotaRule(t *testing.T) {
	for _, c := range []struct {
		used, declared int64
		quota          Quota
		want           bool
	}{
		{0, 0, Quota{}, true},
		{99, 0, Quota{Bytes: 100}, true},
		{100, 0, Quota{Bytes: 100}, false},
		{50, 50, Quota{Bytes: 100}, true},
		{50, 51, Quota{Bytes: 100}, false},
		{50, 51, Quota{Messages: 8}, true},
		{50, 0, Quota{Messages: 7}, false},
	} {
		b := box{bytes: c.used, messages: 7}
		if got := b.room(c.quota, c.declared); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestUIDValidityRisesWhateverTheClockDoes(t *testing.T) {
	var b box
	last := uint32(0)
	for _, now := range []models.Micros{1e12, 1e12, 5e11, 2e12, 0} {
		v := b.nextUIDValidity(now)
		if v <= last {
			t.Fatalf("%d after %d", v, last)
		}
		last = v
	}
}
