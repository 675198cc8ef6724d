package seg

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// segment is one that this driver has made. Its file is open, and so locked, until it is sealed
// and nothing in it is pinned.
type segment struct {
	name string
	salt uint64
	file blob.File
	size int64 // where the next record goes; of the lane that writes it

	sealed bool                   // under Driver.mu
	pins   map[models.ID]struct{} // under Driver.mu: put and not yet released
}

// checkFree refuses early, so that the database can still write when messages cannot.
func (d *Driver) checkFree(n, minFree int64) error {
	if minFree < 0 {
		return nil
	}
	free, err := d.cfg.FS.Free(d.cfg.Dir)
	if err != nil {
		return blob.Failed("look for free space", err)
	}
	if free-n < minFree {
		return blob.Failed(fmt.Sprintf("only %d bytes free", free), syscall.ENOSPC)
	}
	return nil
}

// begin makes a segment whose name is durable.
func (d *Driver) begin() (*segment, error) {
	s, err := d.create()
	if err != nil {
		return nil, blob.Failed("make segment", err)
	}
	if err := d.cfg.FS.SyncDir(d.cfg.Dir); err != nil {
		s.file.Close()
		d.cfg.FS.Remove(d.path(s.name))
		return nil, blob.Failed("make segment", err)
	}
	d.mu.Lock()
	d.own[s.name] = s
	d.mu.Unlock()
	return s, nil
}

// create makes the file. A collector that has no patience may take an empty file before we can
// lock it; it will not every time.
func (d *Driver) create() (*segment, error) {
	for attempt := 1; ; attempt++ {
		name, salt := newName(d.cfg.Node, d.cfg.Now())
		f, err := d.cfg.FS.Create(d.path(name))
		if err == nil {
			return &segment{name: name, salt: salt, file: f, pins: map[models.ID]struct{}{}}, nil
		}
		if !errors.Is(err, blob.ErrLocked) || attempt == 10 {
			return nil, err
		}
	}
}

// seal ends a segment. It has no writer from here on.
func (d *Driver) seal(s *segment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.sealed = true
	d.unlock(s)
}

// unlock closes the file of a segment that needs its lock no longer; Driver.mu is held.
func (d *Driver) unlock(s *segment) {
	if s.sealed && len(s.pins) == 0 {
		s.file.Close() // everything in it is synced or refused: an error here means nothing
		delete(d.own, s.name)
	}
}

func (d *Driver) pin(s *segment, id models.ID) {
	d.mu.Lock()
	s.pins[id] = struct{}{}
	d.mu.Unlock()
}

// Release implements blob.Driver.
func (d *Driver) Release(id models.ID, ref blob.Ref) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.own[ref.Segment]; s != nil {
		delete(s.pins, id)
		d.unlock(s)
	}
}

func (d *Driver) ref(s *segment, off, length int64) blob.Ref {
	return blob.Ref{Driver: Name, Node: d.cfg.Node, Segment: s.name, Offset: off, Length: length}
}
