package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postchi/postchi/models"
)

const (
	nodeLease = 30 * time.Second // how long a process on MySQL is believed to live without a sign
	nodeBeat  = 5 * time.Second
	runFolder = "run" // of the data folder: one locked file for each living process
)

// node is this process in table nodes. Its number makes ids unique; its identity is the
// holder of leases. A process of the same data folder is known to live while it holds the
// lock on its file, whatever the table says; one of another folder until its lease ends.
type node struct {
	db      *DB
	process models.ID
	number  int64
	folder  string
	lock    *os.File
}

// claimNode takes the lowest number whose holder does not live.
func claimNode(ctx context.Context, d *DB, pool *sql.DB) (*node, error) {
	n := &node{db: d, process: randomID()}
	var err error
	if n.folder, err = folderID(d.config.DataDir); err != nil {
		return nil, err
	}
	if n.lock, err = lockProcess(d.config.DataDir, n.process); err != nil {
		return nil, err
	}
	for range 50 {
		ok, err := n.try(ctx, pool)
		if err != nil {
			n.unlock()
			return nil, err
		}
		if ok {
			return n, nil
		}
	}
	n.unlock()
	return nil, models.Errorf(models.Unavailable, "db.nodes", "No node number is free: too many processes use this database.")
}

func (n *node) try(ctx context.Context, pool *sql.DB) (bool, error) {
	holders, now, err := n.holders(ctx, pool)
	if err != nil {
		return false, err
	}
	number, previous := int64(-1), models.ID(0)
	for i := int64(0); i <= models.MaxNode; i++ {
		h, taken := holders[i]
		if !taken || !n.alive(h, now) {
			number, previous = i, h.process
			break
		}
	}
	if number < 0 {
		return false, models.Errorf(models.Unavailable, "db.nodes", "No node number is free: too many processes use this database.")
	}
	host, _ := os.Hostname()
	args := []any{n.process, n.kind(), cut(host, 255), n.folder, now, n.expiry(now), number}
	if previous != 0 {
		res, err := pool.ExecContext(ctx, "UPDATE nodes SET process = ?, kind = ?, host = ?, folder = ?, started_at = ?, expires_at = ? WHERE number = ? AND process = ?", append(args, previous)...)
		if err != nil {
			return false, unavailable(err)
		}
		rows, err := res.RowsAffected()
		n.number = number
		return rows == 1, err
	}
	_, err = pool.ExecContext(ctx, "INSERT INTO nodes (process, kind, host, folder, started_at, expires_at, number) VALUES (?, ?, ?, ?, ?, ?, ?)", args...)
	if err != nil && !IsDuplicate(err) && !conflict(err) {
		return false, unavailable(err)
	}
	n.number = number
	return err == nil, nil
}

type holder struct {
	process models.ID
	folder  string
	expires models.Micros
}

func (n *node) holders(ctx context.Context, q Querier) (map[int64]holder, models.Micros, error) {
	now, err := n.db.leaseNow(ctx, q)
	if err != nil {
		return nil, 0, unavailable(err)
	}
	rows, err := q.QueryContext(ctx, "SELECT number, process, folder, expires_at FROM nodes")
	if err != nil {
		return nil, 0, unavailable(err)
	}
	defer rows.Close()
	holders := map[int64]holder{}
	for rows.Next() {
		var number int64
		var h holder
		if err := rows.Scan(&number, &h.process, &h.folder, &h.expires); err != nil {
			return nil, 0, unavailable(err)
		}
		holders[number] = h
	}
	return holders, now, rows.Err()
}

// alive reports whether the process of a row lives.
func (n *node) alive(h holder, now models.Micros) bool {
	if h.process == n.process {
		return true
	}
	if h.folder == n.folder {
		return processLives(n.db.config.DataDir, h.process)
	}
	return h.expires > now
}

func (n *node) kind() string {
	if n.db.config.Kind == "" {
		return "command"
	}
	return n.db.config.Kind
}

func (n *node) expiry(now models.Micros) models.Micros {
	return now + models.Micros(nodeLease.Microseconds())
}

// keep renews the lease. On SQLite every process shares the data folder, so the lock on the
// file is enough and an idle server writes nothing.
func (n *node) keep() {
	if n.db.dialect == SQLite {
		return
	}
	tick := time.NewTicker(nodeBeat)
	defer tick.Stop()
	for {
		select {
		case <-n.db.closing:
			return
		case <-tick.C:
			n.beat()
		}
	}
}

func (n *node) beat() {
	ctx, cancel := context.WithTimeout(context.Background(), nodeBeat)
	defer cancel()
	var rows int64
	err := n.db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		now, err := n.db.leaseNow(ctx, tx)
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "UPDATE nodes SET expires_at = ? WHERE number = ? AND process = ?", n.expiry(now), n.number, n.process)
		if err != nil {
			return err
		}
		rows, err = res.RowsAffected()
		return err
	})
	if err != nil {
		n.db.config.Log.Warn("cannot renew the node's lease", "err", err)
	} else if rows == 0 {
		n.db.config.Log.Error("another process has taken this node's number; restart Postchi", "node", n.number)
	}
}

// release gives number and leases back; what it cannot, the lock's end shows.
func (n *node) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := n.db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM nodes WHERE number = ? AND process = ?", n.number, n.process)
		return err
	})
	if err != nil {
		n.db.config.Log.Debug("cannot give the node's number back", "err", err)
	}
	n.unlock()
}

func (n *node) unlock() {
	os.Remove(n.lock.Name())
	n.lock.Close()
}

// lockProcess makes and locks the file that shows that this process lives. The lock goes with
// the process, however it ends.
func lockProcess(dataDir string, process models.ID) (*os.File, error) {
	if err := os.MkdirAll(filepath.Join(dataDir, runFolder), 0o700); err != nil {
		return nil, fmt.Errorf("make run folder: %w", err)
	}
	f, err := os.OpenFile(processFile(dataDir, process), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make process file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock process file: %w", err)
	}
	return f, nil
}

// processLives reports whether a process of our data folder holds its lock; the file of a
// dead one is removed.
func processLives(dataDir string, process models.ID) bool {
	name := processFile(dataDir, process)
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		return true // cannot tell: rather wait than take what may be held
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return true
	}
	os.Remove(name)
	return false
}

func processFile(dataDir string, process models.ID) string {
	return filepath.Join(dataDir, runFolder, process.String()+".lock")
}

// folderID is a random name kept in the data folder, by which processes know that they share it.
func folderID(dataDir string) (string, error) {
	if dataDir == "" {
		return "", models.Errorf(models.Invalid, "config.data_dir", "The data folder is not set.")
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return "", fmt.Errorf("make data folder: %w", err)
	}
	name := filepath.Join(dataDir, "folder.id")
	for range 20 {
		b, err := os.ReadFile(name)
		if err == nil && len(b) == 32 {
			return string(b), nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("read folder id: %w", err)
		}
		if err := writeFolderID(dataDir, name); err != nil {
			return "", err
		}
	}
	return "", models.Errorf(models.Unavailable, "config.data_dir", "The file folder.id of the data folder cannot be read.")
}

// writeFolderID links a whole file into place, so that a second process never reads a half.
func writeFolderID(dataDir, name string) error {
	f, err := os.CreateTemp(dataDir, "folder.id-*")
	if err != nil {
		return fmt.Errorf("make folder id: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString(hex.EncodeToString(randomBytes(16))); err != nil {
		return fmt.Errorf("write folder id: %w", err)
	}
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("link folder id: %w", err)
	}
	return nil
}

func randomID() models.ID {
	return models.ID(binary.BigEndian.Uint64(randomBytes(8))>>1 | 1)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// Peer is another living process on the same database.
type Peer struct {
	Host       string
	SameFolder bool // it uses the same data folder, be it from another machine
}

// Peers returns the other living processes of a kind.
func (d *DB) Peers(ctx context.Context, kind string) ([]Peer, error) {
	now, err := d.leaseNow(ctx, d.read)
	if err != nil {
		return nil, unavailable(err)
	}
	rows, err := d.read.QueryContext(ctx, "SELECT process, folder, expires_at, host FROM nodes WHERE kind = ?", kind)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var peers []Peer
	for rows.Next() {
		var h holder
		var host string
		if err := rows.Scan(&h.process, &h.folder, &h.expires, &host); err != nil {
			return nil, unavailable(err)
		}
		if h.process != d.node.process && d.node.alive(h, now) {
			peers = append(peers, Peer{host, h.folder == d.node.folder})
		}
	}
	return peers, rows.Err()
}
