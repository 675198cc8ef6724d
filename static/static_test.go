package static

import (
	"io/fs"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// physical finds directions that do not turn around with the language.
var physical = regexp.MustCompile(`(?i)(?:^|[\s;{(])(?:(?:margin|padding|border|inset|scroll-margin|scroll-padding)-(?:left|right|top|bottom)|left|right|top|bottom|width|height|min-width|max-width|min-height|max-height|float|overflow-x|overflow-y)(?:-radius)?\s*:|text-align\s*:\s*(?:left|right)|(?:border-(?:top|bottom)-(?:left|right))`)

var (
	comments = regexp.MustCompile(`(?s)/\*.*?\*/`)
	queries  = regexp.MustCompile(`\((?:min|max)-width: [0-9.]+rem\)`)
)

func TestStylesTurnAroundWithTheLanguage(t *testing.T) {
	for _, bad := range []string{"a{left:0}", "a { margin-left: 1px }", "a{text-align: right}", "a{border-top-left-radius:1px}", "a{ float: left }", "a{width:1px}"} {
		if !physical.MatchString(bad) {
			t.Errorf("%q is not found", bad)
		}
	}
	names, err := fs.Glob(files, "css/*.css")
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, _ := files.ReadFile(name)
		css := queries.ReplaceAllString(comments.ReplaceAllString(string(b), ""), "")
		for _, m := range physical.FindAllString(css, -1) {
			t.Errorf("%s: %q", name, m)
		}
		if strings.Contains(css, "@import") || regexp.MustCompile(`url\("?(?:https?:|//)`).MatchString(css) {
			t.Errorf("%s asks for something elsewhere", name)
		}
		if strings.Count(css, "{") != strings.Count(css, "}") {
			t.Errorf("%s: braces do not match", name)
		}
	}
}

func TestScriptsStayInsideThePolicy(t *testing.T) {
	names, _ := fs.Glob(files, "js/*.js")
	for _, name := range names {
		b, _ := files.ReadFile(name)
		for _, bad := range []string{"eval(", "new Function", ".style.", "innerHTML =", "outerHTML", "document.write", "http://", "https://"} {
			if strings.Contains(string(b), bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	f, err := New()
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w
	}
	for name := range f.all {
		w := get(f.URL(name), "")
		want, _ := files.ReadFile(name)
		if w.Code != 200 || w.Body.String() != string(want) || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if w.Header().Get("Content-Type") == "application/octet-stream" {
			t.Errorf("%s has no type", name)
		}
	}
	if w := get(f.URL("css/parts.css"), "gzip, br"); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 6000 {
		t.Errorf("%v, %d bytes", w.Header(), w.Body.Len())
	}
	if w := get("/static/old/css/base.css", ""); w.Code != 200 || w.Header().Get("Cache-Control") != "no-cache" {
		t.Error("an address of another version", w.Code, w.Header())
	}
	for _, path := range []string{"/static/x/nothing", "/static/", "/static/x/../embed.go", "/static/x/css"} {
		if w := get(path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if _, ok := f.all["fonts/LICENSE-vazirmatn.txt"]; !ok {
		t.Error("the font has no licence beside it")
	}
}
