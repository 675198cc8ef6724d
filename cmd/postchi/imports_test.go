package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/postchi/postchi/"

// allowedImports is which of our packages a package may import, tests aside. Dependencies
// point down: records at the bottom, adapters around them, wiring in cmd alone.
var allowedImports = map[string][]string{
	"cmd/postchi": {"*"},

	"models":                   {},
	"models/address":           {"models"},
	"models/explain":           {},
	"models/password":          {"models"},
	"models/db":                {"models"},
	"models/db/dbtest":         {"migrations", "models/db"},
	"models/db/dbtest/mariadb": {"models/db/dbtest"},
	"models/secret":            {"models"},
	"models/store":             {"models", "models/address", "models/db"},
	"migrations":               {"models"},

	"mailserver":                         {"models", "models/address", "models/db", "mailserver/*", "mailserver/pop3d/inbox", "mailserver/imapd/entry"},
	"mailserver/auth":                    {"models", "models/address", "models/db"},
	"mailserver/blob":                    {"models", "models/db"},
	"mailserver/blob/blobtest":           {"models", "mailserver/blob"},
	"mailserver/blob/seg":                {"models", "mailserver/blob"},
	"mailserver/canon":                   {},
	"mailserver/certs":                   {"models", "models/db"},
	"mailserver/conn":                    {"models"},
	"mailserver/delivery":                {"models", "models/address", "models/db", "mailserver/srs", "mailserver/blob", "mailserver/mailstore", "mailserver/mime", "mailserver/trace"},
	"mailserver/filter":                  {"models", "models/address", "mailserver/verify"},
	"mailserver/dkim":                    {"models", "mailserver/canon", "mailserver/mime"},
	"mailserver/dnsinfo":                 {"models", "mailserver/resolver"},
	"mailserver/imapd":                   {"models", "models/db", "mailserver/blob", "mailserver/conn", "mailserver/imapd/wire", "mailserver/mailstore", "mailserver/mime"},
	"mailserver/imapd/entry":             {"models", "mailserver/auth", "mailserver/imapd", "mailserver/mailstore"},
	"mailserver/imapd/wire":              {},
	"mailserver/mailstore":               {"models", "models/db", "mailserver/blob", "mailserver/mime"},
	"mailserver/mailstore/mailstoretest": {"models", "models/db", "models/db/dbtest", "mailserver/blob", "mailserver/blob/seg", "mailserver/mailstore", "mailserver/mime"},
	"mailserver/mime":                    {"models"},
	"mailserver/pop3d":                   {"models", "mailserver/conn"},
	"mailserver/pop3d/inbox":             {"models", "models/db", "mailserver/auth", "mailserver/mailstore", "mailserver/pop3d"},
	"mailserver/dsn":                     {"models/explain"},
	"mailserver/mtasts":                  {"models", "models/db", "mailserver/outbound"},
	"mailserver/outbound":                {"models"},
	"mailserver/outbound/mxtest":         {},
	"mailserver/queue":                   {"models", "models/db", "mailserver/dsn", "mailserver/outbound"},
	"mailserver/resolver":                {"models"},
	"mailserver/resolver/resolvertest":   {"mailserver/resolver"},
	"mailserver/smtpd":                   {"models", "models/address", "mailserver/blob", "mailserver/conn", "mailserver/delivery", "mailserver/mime", "mailserver/srs"},
	"mailserver/srs":                     {"models", "models/address"},
	"mailserver/verify":                  {"models", "models/address", "mailserver/canon", "mailserver/mime"},
	"mailserver/trace":                   {"models"},

	"panel":             {"models", "models/address", "models/explain", "models/password", "panel/*", "templates", "static"},
	"panel/clientsetup": {"models"},
	"panel/i18n":        {"models"},
	"panel/service":     {"models", "models/address", "models/explain", "models/password"},
	"panel/session":     {"models"},
	"templates":         {},
	"static":            {},
}

func TestImportsPointDown(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != root || d.Name() == "testdata" || d.Name() == "data") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		seen[pkg] = true
		checkImports(t, pkg, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowedImports {
		if !seen[pkg] {
			t.Errorf("%s is on the list but not in the tree", pkg)
		}
	}
}

func checkImports(t *testing.T, pkg, file string) {
	t.Helper()
	allowed, ok := allowedImports[pkg]
	if !ok {
		t.Errorf("%s is not on the list: say what it may import", pkg)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		if name == "os/exec" && pkg != "models/db/dbtest" && pkg != "models/db/dbtest/mariadb" {
			t.Errorf("%s runs programs; nothing in Postchi does", file)
		}
		if ours, is := strings.CutPrefix(name, module); is && !matches(allowed, ours) {
			t.Errorf("%s imports %s, which %s may not", file, ours, pkg)
		}
	}
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if p == "*" || p == name || strings.HasSuffix(p, "/*") && path.Dir(name) == strings.TrimSuffix(p, "/*") {
			return true
		}
	}
	return false
}
