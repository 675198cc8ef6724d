package panel

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/templates"
)

// keyLiteral finds what looks like a key of the catalogues in templates and in Go.
var keyLiteral = regexp.MustCompile(`"([a-z]+(?:\.[a-z0-9_]+)*)"`)

// made are the groups of keys that are put together at run time, and what makes them.
var made = []string{
	"error.",      // models.Error.Key
	"problem.",    // service.Problem.Key
	"why.",        // models.Login.Reason
	"status.",     // HTTP status
	"role.",       // models.Role
	"track.",      // service.Fate.Key
	"event.",      // models.Event.Kind
	"queue.done.", // service.QueueAction
	"queue.reason.",
	"help.word.", // the glossary
	"help.symptom.",
	"step.",            // models.RouteStepKind
	"target.state.",    // service.TargetView.State
	"autoreply.state.", // models.AutoReplyState
	"sending.limit.",   // models.LimitUse
	"sent.period.",     // models.Period
	"relay.security.",  // models.RelaySecurity
	"dns.purpose.",     // models.DNSRecord.Purpose
	"dns.group.",       // models.DNSRecord.Group
	"dns.note.",        // models.DNSResult.Notes
	"dns.health.",      // models.DNSHealth
	"dns.checked.",
	"dns.row.", // models.DNSVerdict
}

func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(templates.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(templates.FS, name)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob("i18n/*.go")
	for _, name := range append(files, more...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func TestEveryKeyIsUsed(t *testing.T) {
	c, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range keyLiteral.FindAllStringSubmatch(sources(t), -1) {
		used[m[1]] = true
	}
	for _, key := range c.Lang("en").Keys() {
		group := slices.ContainsFunc(made, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		if !used[key] && !group {
			t.Errorf("%q is used nowhere", key)
		}
	}
}

// TestEveryKeyInTemplatesHasWords covers pages and branches that no other test renders.
func TestEveryKeyInTemplatesHasWords(t *testing.T) {
	c, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	text := sources(t)
	asked := regexp.MustCompile(`(?:\b(?:t|text) |\bHTML\(|\bText\(|\bnotify\(|"(?:label|hint)" )"([a-z]+(?:\.[a-z0-9_]+)*)"`)
	n := 0
	for _, m := range asked.FindAllStringSubmatch(text, -1) {
		n++
		if !c.Lang("en").Has(m[1]) {
			t.Errorf("no words for %q", m[1])
		}
	}
	if n < 200 {
		t.Fatalf("only %d keys found: the pattern is out of date", n)
	}
}

// errorKey finds the keys of errors in all packages.
var errorKey = regexp.MustCompile(`(?:Errorf\((?:models\.)?[A-Z][A-Za-z]+, |notEmpty\(|&(?:models\.)?Error\{Kind: [A-Za-z.]+, Key: )"([a-z0-9_.]+)"`)

// errorKeys returns the keys of all errors but those of the command line alone, each with one
// file that has it.
func errorKeys(t *testing.T) map[string]string {
	t.Helper()
	keys := map[string]string{}
	for _, folder := range []string{"../models", "../mailserver", "../panel"} {
		err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.HasSuffix(name, "test") { // of tests
				return fs.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			b, err := os.ReadFile(name)
			for _, m := range errorKey.FindAllStringSubmatch(string(b), -1) {
				switch {
				case atStart(m[1]):
				case m[1] == "limit.": // put together with models.LimitUse.Key
					for _, use := range (models.SendingLimits{}).Uses(1, 2, 0) {
						keys[m[1]+use.Key()] = name
					}
				default:
					keys[m[1]] = name
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// atStart reports whether an error with this key comes before anything is served.
func atStart(key string) bool {
	return strings.HasPrefix(key, "config.") || strings.HasPrefix(key, "secret.") || key == "dns.resolver" || key == "filter.rspamd"
}

func TestEveryErrorHasWords(t *testing.T) {
	c, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	keys := errorKeys(t)
	if len(keys) < 40 {
		t.Fatalf("only %d keys of errors found", len(keys))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		// What only a sending server or a mail program is told has its words in explain.
		if _, told := explain.Reason(key, "en"); !told && !c.Lang("en").Has("error."+key) {
			t.Errorf("no words for error.%s of %s", key, keys[key])
		}
	}
	for _, key := range c.Lang("en").Keys() {
		name, ok := strings.CutPrefix(key, "error.")
		if ok && keys[name] == "" {
			t.Errorf("nothing fails with %q any more", name)
		}
	}
}

// TestEveryDNSNoteHasWords finds purposes and notes where they are made.
func TestEveryDNSNoteHasWords(t *testing.T) {
	c, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../mailserver/dnsinfo/*.go")
	if err != nil {
		t.Fatal(err)
	}
	note := regexp.MustCompile(`(?:note\(|wrong\([^"\n]*)"([a-z_0-9]+)"`)
	purpose := regexp.MustCompile(`(?m)^\s+purpose[A-Z]\w*\s+= "([a-z_]+)"`)
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for prefix, pattern := range map[string]*regexp.Regexp{"dns.note.": note, "dns.purpose.": purpose} {
			for _, m := range pattern.FindAllStringSubmatch(string(b), -1) {
				if n++; !c.Lang("en").Has(prefix + m[1]) {
					t.Errorf("no words for %q (%s)", prefix+m[1], name)
				}
			}
		}
	}
	if n < 60 {
		t.Fatalf("only %d found: the patterns are out of date", n)
	}
}
