package mailstoretest

import (
	"database/sql"
	"testing"

	"github.com/postchi/postchi/models/db"
)

// Fill makes the store of config hold n messages, or a few more, by doubling the rows of those
// that are there, at least one. Each has a blob and contents of its own, but the rows of copies
// name the bytes of the first ones. The counters are right afterwards.
func Fill(t testing.TB, config db.Config, n int) {
	t.Helper()
	pool, dialect, err := db.OpenPool(config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for there := 0; there < n; {
		if there = double(t, pool, n); there == 0 {
			t.Fatal("no messages to make more of")
		}
	}
	for _, statement := range fillCounters {
		if _, err := pool.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if dialect == db.SQLite {
		if _, err := pool.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			t.Fatal(err)
		}
	}
}

// double copies the newest messages, as many as there are or as n wants, and returns how many
// there are then. The copies have blob ids below all others: they look older.
func double(t testing.TB, pool *sql.DB, n int) int {
	t.Helper()
	var there, uid int
	var first, last, from int64
	if err := pool.QueryRow("SELECT COUNT(*), COALESCE(MAX(uid), 0), COALESCE(MIN(blob_id), 0), COALESCE(MAX(blob_id), 0) FROM messages").Scan(&there, &uid, &first, &last); err != nil {
		t.Fatal(err)
	}
	if there == 0 || there >= n {
		return there
	}
	if err := pool.QueryRow("SELECT blob_id FROM messages ORDER BY blob_id DESC LIMIT 1 OFFSET ?", min(there, n-there)-1).Scan(&from); err != nil {
		t.Fatal(err)
	}
	shift := last - first + 1
	for _, c := range []struct {
		statement string
		args      []any
	}{
		{"INSERT INTO messages (folder_id, uid, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix) " +
			"SELECT folder_id, uid + ?, modseq, flags, keywords, internal_date, save_date, size, email_id - ?, blob_id - ?, prefix FROM messages WHERE blob_id >= ?",
			[]any{uid, shift, shift, from}},
		{"INSERT INTO contents (blob_id, version, envelope, structure, preview, base_subject, sent_date, sent_zone, message_id, reference_ids, thread_id) " +
			"SELECT blob_id - ?, version, envelope, structure, preview, base_subject, sent_date, sent_zone, message_id, reference_ids, thread_id FROM contents WHERE blob_id >= ?",
			[]any{shift, from}},
		{"INSERT INTO blobs (id, driver, node, segment, position, length, refs, state, created_at) " +
			"SELECT id - ?, driver, node, segment, position, length, refs, state, created_at FROM blobs WHERE id >= ? AND state = 0",
			[]any{shift, from}},
	} {
		if _, err := pool.Exec(c.statement, c.args...); err != nil {
			t.Fatal(err)
		}
	}
	return there + min(there, n-there)
}

var fillCounters = []string{
	`UPDATE folders SET messages = (SELECT COUNT(*) FROM messages m WHERE m.folder_id = folders.id),
		unseen = (SELECT COUNT(*) FROM messages m WHERE m.folder_id = folders.id AND (m.flags & 1) = 0),
		bytes = (SELECT COALESCE(SUM(m.size), 0) FROM messages m WHERE m.folder_id = folders.id),
		uidnext = (SELECT COALESCE(MAX(m.uid), 0) + 1 FROM messages m WHERE m.folder_id = folders.id)`,
	`UPDATE mailbox_state SET messages = (SELECT COALESCE(SUM(f.messages), 0) FROM folders f WHERE f.mailbox_id = mailbox_state.mailbox_id),
		bytes = (SELECT COALESCE(SUM(f.bytes), 0) FROM folders f WHERE f.mailbox_id = mailbox_state.mailbox_id)`,
}
