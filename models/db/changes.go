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
// commits. The zero value has not begun.
type stream struct {
	id      models.ID
	seq     int64
	pending models.ID // set while a row of the open transaction awaits its commit
}

// record writes the changes of a transaction under the stream's next number.
func (s *stream) record(ctx context.Context, w *writer, changes *changeSet) error {
	s.pending = 0
	if len(changes.items) == 0 {
		return nil
	}
	at := int64(models.At(w.db.Now()))
	tx := &Tx{db: w.db, conn: w.conn, prepare: w.dialect == SQLite, stmts: w.stmts}
	id := s.id
	if id == 0 {
		id = w.db.ids.New()
		if _, err := tx.ExecContext(ctx, "INSERT INTO streams (stream, process, started_at) VALUES (?, ?, ?)", id, w.db.node.process, at); err != nil {
			return fmt.Errorf("begin stream: %w", err)
		}
		w.db.watch.own(id)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO changes (stream, seq, at, items) VALUES (?, ?, ?, ?)", id, s.seq+1, at, changes.encode())
	if err != nil {
		return fmt.Errorf("record changes: %w", err)
	}
	s.pending = id
	return nil
}

// committed takes the pending number into use.
func (s *stream) committed() {
	if s.pending != 0 {
		s.id, s.seq, s.pending = s.pending, s.seq+1, 0
	}
}
