package mailstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"

	"github.com/postchi/postchi/models/db"
)

// Statements over many rows. On SQLite they are prepared once and kept, so they come in few
// sizes; on MySQL the driver puts the values in, so one statement takes all and saves round
// trips.

// rowSizes are the numbers of rows of the prepared statements, falling to 1.
var rowSizes = []int{64, 16, 4, 1}

// listSizes are the lengths of the prepared lists of values; a shorter one is filled up with
// its last value.
var listSizes = []int{1, 4, 16, 64, 256, 512}

// maxList is the most values one list may have.
const maxList = 512

// shape is a statement of any number of rows.
type shape struct {
	build func(n int) string
	texts sync.Map // int → string
}

func (s *shape) text(n int) string {
	if t, ok := s.texts.Load(n); ok {
		return t.(string)
	}
	t := s.build(n)
	s.texts.Store(n, t)
	return t
}

// insertOf is the INSERT of rows with these columns.
func insertOf(table string, columns ...string) *shape {
	head := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES "
	row := "(" + places(len(columns)) + ")"
	return &shape{build: func(n int) string { return head + row + strings.Repeat(", "+row, n-1) }}
}

// updateOf is the UPDATE that sets columns of rows named by their key, each to values of its
// own. Its arguments: for each column key and value of each row, then all keys.
func updateOf(table, key string, columns ...string) *shape {
	return &shape{build: func(n int) string {
		var b strings.Builder
		b.WriteString("UPDATE " + table + " SET ")
		for i, c := range columns {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(c + " = CASE " + key + strings.Repeat(" WHEN ? THEN ?", n) + " ELSE " + c + " END")
		}
		b.WriteString(" WHERE " + key + " IN (" + places(n) + ")")
		return b.String()
	}}
}

// listOf is a statement with one list of values in the place of "%s".
func listOf(format string) *shape {
	return &shape{build: func(n int) string { return fmt.Sprintf(format, places(n)) }}
}

func places(n int) string {
	return strings.Repeat("?, ", n-1) + "?"
}

// pieces calls do for runs of n rows whose lengths have prepared statements.
func pieces(d db.Dialect, n, most int, do func(from, to int) error) error {
	for from := 0; from < n; {
		size := min(n-from, most)
		if d == db.SQLite {
			for _, s := range rowSizes {
				if s <= size {
					size = s
					break
				}
			}
		}
		if err := do(from, from+size); err != nil {
			return err
		}
		from += size
	}
	return nil
}

// insertRows inserts rows that lie one after the other in args.
func insertRows(ctx context.Context, tx *db.Tx, s *shape, columns int, args []any) error {
	return pieces(tx.Dialect(), len(args)/columns, 256, func(from, to int) error {
		_, err := tx.ExecContext(ctx, s.text(to-from), args[from*columns:to*columns]...)
		return err
	})
}

// keyed is a row for updateOf.
type keyed struct {
	key    any
	values []any
}

// updateRows updates rows that must all be there: they are locked.
func updateRows(ctx context.Context, tx *db.Tx, s *shape, rows []keyed) error {
	return pieces(tx.Dialect(), len(rows), 16, func(from, to int) error {
		part := rows[from:to]
		args := make([]any, 0, len(part)*(2*len(part[0].values)+1))
		for column := range part[0].values {
			for _, r := range part {
				args = append(args, r.key, r.values[column])
			}
		}
		for _, r := range part {
			args = append(args, r.key)
		}
		res, err := tx.ExecContext(ctx, s.text(len(part)), args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err == nil && n != int64(len(part)) {
			err = fmt.Errorf("%d of %d locked rows were updated", n, len(part))
		}
		return err
	})
}

// fill returns list with a length that has a prepared statement on SQLite.
func fill(d db.Dialect, list []any) []any {
	if d != db.SQLite {
		return list
	}
	for _, size := range listSizes {
		if len(list) <= size {
			for len(list) < size {
				list = append(list, list[len(list)-1])
			}
			break
		}
	}
	return list
}

// queryList runs a query for lists of values, maxList of them at a time, and calls scan for
// each row.
func queryList(ctx context.Context, d db.Dialect, q db.Querier, s *shape, head, list []any, scan func(*sql.Rows) error) error {
	for len(list) > 0 {
		n := min(len(list), maxList)
		part := fill(d, append([]any(nil), list[:n]...))
		list = list[n:]
		rows, err := q.QueryContext(ctx, s.text(len(part)), append(append([]any(nil), head...), part...)...)
		if err != nil {
			return err
		}
		if err := each(rows, scan); err != nil {
			return err
		}
	}
	return nil
}

// execList runs a statement for lists of values, maxList of them at a time, and returns how
// many rows it found.
func execList(ctx context.Context, tx *db.Tx, s *shape, head, list []any) (int64, error) {
	var total int64
	for len(list) > 0 {
		n := min(len(list), maxList)
		part := fill(tx.Dialect(), append([]any(nil), list[:n]...))
		list = list[n:]
		res, err := tx.ExecContext(ctx, s.text(len(part)), append(append([]any(nil), head...), part...)...)
		if err != nil {
			return total, err
		}
		found, err := res.RowsAffected()
		if err != nil {
			return total, err
		}
		total += found
	}
	return total, nil
}

// each calls scan for all rows and closes them.
func each(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
