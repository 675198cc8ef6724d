package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/postchi/postchi/models"
)

// ChangeKind says what changed. The letters are what table changes holds.
type ChangeKind byte

// The kinds of changes.
const (
	ChangedAll      ChangeKind = '*' // something was missed: read everything again
	ChangedFolder   ChangeKind = 'f' // messages or counters of a folder
	ChangedFolders  ChangeKind = 'n' // the list of folders of a mailbox (its id)
	ChangedMailbox  ChangeKind = 'm' // switches, password, bin, quota, removal
	ChangedCustomer ChangeKind = 'c' // suspension, limits
	ChangedUser     ChangeKind = 'u' // password, removal
	ChangedDomain   ChangeKind = 'd' // state, role addresses, removal
	ChangedQueue    ChangeKind = 'q' // somebody wants the outbound queue tried again; 0
	ChangedLimits   ChangeKind = 'l' // blocks of log-ins of a mailbox; 0 = of a network
)

// Change is one record that changed.
type Change struct {
	Kind ChangeKind
	ID   models.ID
}

// maxChanges is how many records one row of table changes names; more become ChangedAll.
const maxChanges = 1000

// changeSet is the changes of a transaction, each once, in order. The zero value is empty.
type changeSet struct {
	items []Change
	seen  map[Change]bool
}

func (s *changeSet) add(c Change) {
	if s.seen[c] {
		return
	}
	if s.seen == nil {
		s.seen = map[Change]bool{}
	}
	s.seen[c] = true
	s.items = append(s.items, c)
}

func (s *changeSet) merge(other *changeSet) {
	for _, c := range other.items {
		s.add(c)
	}
}

func (s *changeSet) list() []Change {
	if len(s.items) > maxChanges {
		return []Change{{Kind: ChangedAll}}
	}
	return s.items
}

func (s *changeSet) encode() string {
	var b strings.Builder
	for i, c := range s.list() {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(byte(c.Kind))
		b.WriteString(strconv.FormatInt(int64(c.ID), 10))
	}
	return b.String()
}

// decodeChanges reads what encode wrote; what it cannot read becomes ChangedAll, since a
// newer Postchi may have written it.
func decodeChanges(s string) []Change {
	if s == "" {
		return nil // a row that is there as the key of its transaction alone
	}
	var out []Change
	for item := range strings.SplitSeq(s, ",") {
		if len(item) < 2 {
			return []Change{{Kind: ChangedAll}}
		}
		id, err := strconv.ParseInt(item[1:], 10, 64)
		if err != nil {
			return []Change{{Kind: ChangedAll}}
		}
		out = append(out, Change{ChangeKind(item[0]), models.ID(id)})
	}
	return out
}

// stream is one writer's row of numbers in table changes: dense, from 1, in the order of
// commits. The zero value has not begun. On MySQL every transaction that wrote something has a
// row, though nobody is to be told of anything: (stream, seq) is the key by which a transaction
// is found again whose COMMIT was lost.
type stream struct {
	id    models.ID
	begun bool // its row in streams is committed
	seq   int64
	open  bool // a row of the running transaction awaits its commit
}

// record writes the changes of a transaction under the stream's next number.
func (s *stream) record(ctx context.Context, w *writer, changes *changeSet, wrote bool) error {
	s.open = false
	if len(changes.items) == 0 && (w.dialect == SQLite || !wrote) {
		return nil
	}
	at := int64(models.At(w.db.Now()))
	tx := w.tx(nil)
	if s.id == 0 {
		s.id = w.db.ids.New()
		w.db.watch.own(s.id)
	}
	if !s.begun {
		if _, err := tx.ExecContext(ctx, "INSERT INTO streams (stream, process, started_at) VALUES (?, ?, ?)", s.id, w.db.node.process, at); err != nil {
			return fmt.Errorf("begin stream: %w", err)
		}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO changes (stream, seq, at, items) VALUES (?, ?, ?, ?)", s.id, s.seq+1, at, changes.encode())
	if err != nil {
		return fmt.Errorf("record changes: %w", err)
	}
	s.open = true
	return nil
}

// committed takes the open number into use.
func (s *stream) committed() {
	if s.open {
		s.begun, s.seq, s.open = true, s.seq+1, false
	}
}
