package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postchi/postchi/models/db"
)

// TestSecrets logs at debug level while passwords go in at every door, right and wrong, and then
// looks for them in the log, in the database and in the files of the data folder, whose modes
// let nobody else read them.
func TestSecrets(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "data") // made by the program
		in := newInstance(t, url, "POSTCHI_DATA_DIR="+dir, "POSTCHI_LOG_LEVEL=debug")
		in.dir = dir
		in.start()
		in.populate("secret.example", "sara")
		const wrong, changed, users = "wrong-as-can-be-812", "changed-later-on-39", "boss-of-example-57"
		const mailbox = "sara@secret.example"
		in.must(nil, users+"\n", "user", "add", "boss@secret.example", "--role", "customer", "--customer", "Example", "--password-stdin")
		secrets := append(everyDoor(t, in, mailbox, testPassword, wrong), changed, users, in.password())
		in.must(nil, changed+"\n", "mailbox", "passwd", mailbox, "--password-stdin")
		everyDoor(t, in, mailbox, changed, testPassword)
		if err := in.stop(); err != nil {
			t.Error(err)
		}
		log := in.out.String()
		if !strings.Contains(log, "level=DEBUG") {
			t.Error("the log has nothing of level debug")
		}
		log = strings.Replace(log, in.password(), "", 1) // shown once, to whom it is for
		places := map[string][]byte{"the log": []byte(log), "the database": dump(t, in, url)}
		walk(t, dir, places)
		for _, secret := range secrets {
			for place, text := range places {
				if i := bytes.Index(text, []byte(secret)); i >= 0 {
					t.Errorf("%s holds the secret %q: ...%q", place, secret, text[max(0, i-80):i])
				}
			}
		}
		t.Logf("%d secrets looked for in %d places", len(secrets), len(places))
	})
}

// everyDoor logs in everywhere with a password that is right and one that is not, and returns
// them in every form in which they went over the wire, with the cookies that came back.
func everyDoor(t *testing.T, in *instance, mailbox, right, wrong string) []string {
	t.Helper()
	secrets := []string{right, wrong}
	for _, password := range []string{right, wrong} {
		encoded := base64.StdEncoding.EncodeToString([]byte(password))
		secrets = append(secrets, plain(mailbox, password), encoded)
		in.doors(t, "", mailbox, password)
		for _, service := range []string{"submissions", "pop3s"} { // LOGIN, and PLAIN with POP3
			c := in.secureTalk(t, service, "")
			c.pop("")
			if service == "submissions" {
				c.smtp("EHLO client.example")
				c.smtp("AUTH LOGIN")
				c.smtp("%s", base64.StdEncoding.EncodeToString([]byte(mailbox)))
				c.smtp("%s", encoded)
			} else {
				c.pop("AUTH PLAIN %s", plain(mailbox, password))
			}
			c.Close()
		}
		in.browser(t).login("admin@localhost", password)
	}
	panel := in.browser(t)
	if p := panel.login("admin@localhost", in.password()); p.status != http.StatusSeeOther {
		t.Fatalf("panel log-in: %d", p.status)
	}
	body := panel.get("/mailboxes").body
	if m := csrfField.FindStringSubmatch(body); m != nil {
		secrets = append(secrets, m[1])
	} else {
		t.Error("no token in the page")
	}
	for _, cookie := range panel.cookies() {
		secrets = append(secrets, cookie.Value)
	}
	return secrets
}

func (b *browser) cookies() []*http.Cookie {
	req, _ := http.NewRequest(http.MethodGet, b.base, nil)
	return b.http.Jar.Cookies(req.URL)
}

// dump is every column of every row of every table.
func dump(t *testing.T, in *instance, url string) []byte {
	t.Helper()
	d := in.openDatabase(url)
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if d.Dialect() == db.MySQL {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
	}
	var out bytes.Buffer
	for _, table := range textRows(t, d, query) {
		rows := textRows(t, d, "SELECT * FROM "+table)
		fmt.Fprintf(&out, "%s: %s\n", table, strings.Join(rows, "\n"))
	}
	if !bytes.Contains(out.Bytes(), []byte("$2a$")) {
		t.Error("the dump of the database holds no hash; it is not whole")
	}
	return out.Bytes()
}

// textRows returns the rows of a query, the columns of each joined.
func textRows(t *testing.T, d *db.DB, query string) (all []string) {
	t.Helper()
	rows, err := d.SQL().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	cells, places := make([][]byte, len(columns)), make([]any, len(columns))
	for i := range cells {
		places[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(bytes.Join(cells, []byte("|"))))
	}
	return all
}

// walk checks the modes of the data folder and adds its files to places.
func walk(t *testing.T, dir string, places map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		switch {
		case e.IsDir():
			want = fs.ModeDir | 0o700
		case e.Name() == "ca.pem":
			want = 0o644 // a certificate is for everybody
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
		if e.Type().IsRegular() {
			places[name], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
