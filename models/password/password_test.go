package password

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
)

func key(err error) string {
	var e *models.Error
	if errors.As(err, &e) && e.Kind == models.Invalid {
		return e.Key
	}
	if err != nil {
		return "other: " + err.Error()
	}
	return ""
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, password string
		min            int
		want           string
	}{
		{"twelve characters", "gk3v8dq2xw9m", 0, ""},
		{"eleven characters", "gk3v8dq2xw9", 0, "password.short"},
		{"empty", "", 0, "password.short"},
		{"eleven Persian letters are 22 bytes but short", "سلامدنیایپس", 0, "password.short"},
		{"twelve Persian letters", "سلامدنیایپست", 0, ""},
		{"spaces count and stay", "            ", 0, "password.common"}, // one character repeated
		{"spaces around", "  gk3v8dq2xw  ", 0, ""},
		{"72 bytes", strings.Repeat("gk3v8dq2", 8) + "zw5rn1yb", 0, ""},
		{"73 bytes", strings.Repeat("gk3v8dq2", 8) + "zw5rn1ybt", 0, "password.long"},
		{"36 two-byte letters and one", strings.Repeat("س", 37), 0, "password.long"},
		{"NUL", "gk3v8dq2\x00xw9m", 0, "password.nul"},
		{"other control characters", "gk3v8\tdq2\nxw9m", 0, ""},
		{"not UTF-8", "gk3v8dq2xw9\xff", 0, ""},
		{"common", "1234567890QwertY", 0, "password.common"},
		{"common in capitals", "PassWord1", 8, "password.common"},
		{"common twice", "SunshineSunshine", 0, "password.common"},
		{"short unit repeated", "xkqvxkqvxkqv", 0, "password.common"},
		{"long unit repeated is fine", "gk3v8dgk3v8d", 0, ""},
		{"minimum of 20", "gk3v8dq2xw9mzzqq", 20, "password.short"},
		{"a minimum under 8 is 8", "gk3v8dq", 4, "password.short"},
		{"eight when set to 8", "gk3v8dq2", 8, ""},
		{"the address", "Sara@Example.com", 0, "password.is_address"},
		{"the domain", "averylongdomain.example", 0, "password.is_address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Check(Policy{Min: tt.min}, tt.password, "sara@example.com", "sara", "", "averylongdomain.example")
			if key(err) != tt.want {
				t.Fatalf("%v, want %q", err, tt.want)
			}
		})
	}
	if e := models.Errors(Check(Policy{}, "x"))[0]; e.Args["min"] != 12 {
		t.Error("the words need the number", e.Args)
	}
}

func TestCommonListIsSortedAndFound(t *testing.T) {
	list := commonList()
	words := strings.Split(strings.TrimSuffix(list, "\n"), "\n")
	if len(words) < 10000 || !slices.IsSorted(words) {
		t.Fatal(len(words), "entries, sorted:", slices.IsSorted(words))
	}
	if !strings.HasPrefix(commonFile, "# ") || !strings.Contains(commonFile[:600], "MIT") {
		t.Error("the file must name source and licence")
	}
	for _, w := range words {
		if w != strings.ToLower(w) || strings.TrimSpace(w) == "" {
			t.Fatalf("entry %q", w)
		}
		if !contains(list, w) {
			t.Fatalf("%q is not found", w)
		}
		if contains(list, w+"\x01") || contains(list, "\x01"+w) {
			t.Fatalf("found what is not there near %q", w)
		}
	}
	if contains(list, "") || contains(list, "zzzzzzzzzzzzzzz~") || contains(list, words[0]+"\n"+words[1]) || contains("", "a") {
		t.Error("found what is not there")
	}
}

func TestGenerate(t *testing.T) {
	form := regexp.MustCompile(`^[a-hjkmnp-z2-9]{4}(-[a-hjkmnp-z2-9]{4}){3}$`)
	if bits := math.Log2(float64(len(alphabet))) * groups * groupSize; bits < 70 {
		t.Fatalf("%.1f bits", bits)
	}
	if strings.ContainsAny(alphabet, "0O1lIoi") || len(slices.Compact(slices.Sorted(slices.Values([]byte(alphabet))))) != len(alphabet) {
		t.Fatal("alphabet")
	}
	seen := map[string]bool{}
	count := map[byte]int{}
	for range 2000 {
		p := Generate()
		if !form.MatchString(p) || seen[p] {
			t.Fatal(p)
		}
		seen[p] = true
		if err := Check(Policy{}, p); err != nil {
			t.Fatal(p, err)
		}
		for i := range len(p) {
			count[p[i]]++
		}
	}
	// 32,000 draws over 31 letters: 1,032 each, deviation 32. Ten deviations never happen.
	for i := range len(alphabet) {
		if n := count[alphabet[i]]; n < 712 || n > 1352 {
			t.Errorf("%c came %d times", alphabet[i], n)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("password", 8)
	f.Add("\xff\xff", 0)
	f.Fuzz(func(t *testing.T, s string, least int) {
		err := Check(Policy{Min: least}, s, s+"x")
		if err == nil && (len(s) > MaxBytes || len(s) < LeastMin) {
			t.Fatalf("%q passed", s)
		}
		if err != nil && models.KindOf(err) != models.Invalid {
			t.Fatal(err)
		}
	})
}

func BenchmarkIsCommon(b *testing.B) {
	for b.Loop() {
		IsCommon("correct horse battery staple")
	}
}
