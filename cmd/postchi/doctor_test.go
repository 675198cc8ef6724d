package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models/db"
)

// TestDoctor damages a message and miscounts others: doctor --store names each with its mailbox,
// mends what can be mended, and a reader of the damaged one is told while the others read on.
func TestDoctor(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		in := newInstance(t, url)
		in.start()
		in.populate("doctor.example", "one", "two")
		l := in.startLoad(2, 8<<10, "one@doctor.example", "two@doctor.example")
		within(t, 10*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= 30 })
		l.stop()
		if r, status := doctorSays(t, in); status != 0 || !r.OK || r.Messages < 30 || r.Mailboxes != 2 {
			t.Fatalf("a sound store: status %d, %+v", status, r)
		}
		d := in.openDatabase(url)
		hurtBlob(t, in, d)
		r, status := doctorSays(t, in)
		if status != 1 || r.OK || len(r.Damaged) != 1 || len(r.Damaged[0].In) == 0 || len(r.References)+len(r.Counters) != 0 {
			t.Fatalf("one flipped bit: status %d, %+v", status, r)
		}
		panel := in.browser(t)
		if p := panel.login("admin@localhost", in.password()); p.status != http.StatusSeeOther {
			t.Fatalf("panel log-in: %d", p.status)
		}
		told := func() bool { return strings.Contains(panel.get("/").body, "cannot be read any more") }
		if !told() {
			t.Error("Home does not tell what doctor has found")
		}
		tamper(t, d, "DELETE FROM settings WHERE name = '"+damageSetting+"'")
		if told() {
			t.Error("Home tells though nothing is known")
		}
		for _, p := range r.Damaged[0].In {
			damagedByPOP(t, in, p)
			damagedByIMAP(t, in, p)
		}
		within(t, time.Second, "Home tells of a message that somebody wanted to read", told)
		tamper(t, d, "UPDATE blobs SET refs = refs + 1 WHERE id = (SELECT MIN(blob_id) FROM messages)",
			"UPDATE mailbox_state SET bytes = bytes + 5 WHERE mailbox_id = (SELECT id FROM mailboxes WHERE address = 'two@doctor.example')")
		if r, status := doctorSays(t, in); status != 1 || len(r.Damaged) != 1 || len(r.References) != 1 || len(r.Counters) != 1 || r.Counters[0].Mailbox != "two@doctor.example" {
			t.Fatalf("miscounted: status %d, %+v", status, r)
		}
		out, status := in.command("", "doctor", "--store")
		for _, part := range []string{"Damaged: ", "folder INBOX", "Wrong count: ", "Wrong counters: two@doctor.example", "--fix"} {
			if !strings.Contains(out, part) {
				t.Errorf("status %d, no %q in:\n%s", status, part, out)
			}
		}
		if r, status := doctorSays(t, in, "--fix"); status != 1 || !r.Fixed {
			t.Errorf("mended: status %d, %+v", status, r)
		}
		if r, status := doctorSays(t, in); status != 1 || len(r.Damaged) != 1 || len(r.References)+len(r.Counters) != 0 {
			t.Errorf("after mending: status %d, %+v", status, r)
		}
	})
}

func doctorSays(t *testing.T, in *instance, more ...string) (r storeReport, status int) {
	t.Helper()
	out, status := in.command("", append([]string{"doctor", "--store", "--json"}, more...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("status %d, %v:\n%s", status, err, out)
	}
	return r, status
}

// hurtBlob flips a bit of the newest message.
func hurtBlob(t *testing.T, in *instance, d *db.DB) {
	t.Helper()
	var segment string
	var position, length int64
	if err := d.SQL().QueryRow("SELECT segment, position, length FROM blobs ORDER BY id DESC LIMIT 1").Scan(&segment, &position, &length); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(in.dir, "segments", segment+".seg"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	at := position + 88 + length/2
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func tamper(t *testing.T, d *db.DB, statements ...string) {
	t.Helper()
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// damagedByPOP reads a mailbox with a damaged message: that one is refused for good, the others
// come whole.
func damagedByPOP(t *testing.T, in *instance, p place) {
	t.Helper()
	c := in.popTalk(t, "")
	defer c.Close()
	if line := c.popLogin(p.Mailbox, testPassword); !strings.HasPrefix(line, "+OK") {
		t.Fatal(line)
	}
	var n, refused int
	if _, err := fmt.Sscanf(c.pop("STAT"), "+OK %d", &n); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		line := c.pop("RETR %d", i)
		if strings.HasPrefix(line, "+OK") {
			if _, err := c.popBody(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		refused++
		if !strings.HasPrefix(line, "-ERR [SYS/PERM] The stored message is damaged.") {
			t.Errorf("RETR of a damaged message: %s", line)
		}
	}
	if refused != 1 {
		t.Errorf("%d of %d messages of %s are refused", refused, n, p.Mailbox)
	}
}

// damagedByIMAP asks for the bytes of a damaged message: the answer says so, and the session goes
// on with the other messages.
func damagedByIMAP(t *testing.T, in *instance, p place) {
	t.Helper()
	c := in.secureTalk(t, "imaps", "")
	defer c.Close()
	c.pop("")
	ask := func(tag, command string) (all, last string) {
		for last = c.pop("%s %s", tag, command); !strings.HasPrefix(last, tag+" ") && !strings.HasPrefix(last, "gone: "); last = c.pop("") {
			all += last + "\n"
		}
		return all, last
	}
	ask("a", "LOGIN "+p.Mailbox+" "+testPassword)
	ask("b", "SELECT INBOX")
	if _, last := ask("c", fmt.Sprintf("UID FETCH %d (UID BODY.PEEK[])", p.UID)); !strings.HasPrefix(last, "c NO [CORRUPTION] The stored message is damaged.") {
		t.Errorf("FETCH of a damaged message: %s", last)
	}
	if all, last := ask("d", fmt.Sprintf("UID FETCH %d (ENVELOPE)", p.UID)); !strings.HasPrefix(last, "d OK ") || !strings.Contains(all, "Parcel ") {
		t.Errorf("ENVELOPE of a damaged message: %s%s", all, last)
	}
	if all, last := ask("e", "FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])"); !strings.HasPrefix(last, "e OK ") || !strings.Contains(all, "Parcel ") {
		t.Errorf("the first message: %s%s", all, last)
	}
}
