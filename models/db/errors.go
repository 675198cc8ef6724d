package db

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
)

var errBadConn = driver.ErrBadConn

// Result codes of SQLite (https://sqlite.org/rescode.html); the low byte is the primary one.
const (
	sqliteBusy     = 5
	sqliteLocked   = 6
	sqliteReadOnly = 8
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteProtocol = 15

	sqliteUnique     = 2067
	sqlitePrimaryKey = 1555
)

// mysqlConflicts are the errors after which a whole transaction is to be run again: deadlock,
// lock wait timeout, record changed since read, and TiDB's write conflicts.
var mysqlConflicts = []uint16{1213, 1205, 1020, 8002, 8022, 8028, 9007}

// mysqlAway are answers of a server that cannot serve: shutdown, too many connections, read
// only, full disk, not yet part of its cluster.
var mysqlAway = []uint16{1053, 1040, 1290, 1836, 1021, 1114, 1047, 1927, 3024, 1969, 1203, 1226}

// IsDuplicate reports whether err is the refusal of a unique index.
func IsDuplicate(err error) bool {
	var m *mysql.MySQLError
	if errors.As(err, &m) {
		return m.Number == 1062
	}
	var s *sqlite.Error
	return errors.As(err, &s) && (s.Code() == sqliteUnique || s.Code() == sqlitePrimaryKey)
}

// IsConflict reports whether err rolled a transaction back because of another one. Write runs
// such a function again by itself.
func IsConflict(err error) bool { return conflict(err) }

// IsFull reports whether err says that the database has no room to write into; it can be read.
func IsFull(err error) bool {
	var m *mysql.MySQLError
	if errors.As(err, &m) {
		return m.Number == 1021 || m.Number == 1114
	}
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff == sqliteFull
}

func conflict(err error) bool {
	var m *mysql.MySQLError
	return errors.As(err, &m) && slices.Contains(mysqlConflicts, m.Number)
}

// retry reports whether a transaction that ended with err may be run again: nothing of it was
// committed.
func retry(err error) bool {
	var lost lostCommit
	return conflict(err) || connectionLost(err) || errors.As(err, &lost)
}

func connectionLost(err error) bool {
	var op *net.OpError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}

// fatal reports whether err is a failure of the database itself rather than of a statement.
func fatal(err error) bool {
	if retry(err) {
		return true
	}
	var m *mysql.MySQLError
	if errors.As(err, &m) {
		return slices.Contains(mysqlAway, m.Number)
	}
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return false
	}
	switch s.Code() & 0xff {
	case sqliteBusy, sqliteLocked, sqliteReadOnly, sqliteIOErr, sqliteCorrupt, sqliteFull, sqliteCantOpen, sqliteProtocol:
		return true
	}
	return false
}

// Failure turns a failure of the database itself (away, locked, full) into an error of kind
// Unavailable and leaves everything else as it is. Readers use it; Write does it by itself.
func Failure(err error) error {
	if err != nil && fatal(err) {
		return unavailable(err)
	}
	return err
}
