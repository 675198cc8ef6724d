package seg

import (
	"container/list"
	"errors"
	"io/fs"
	"sync"

	"github.com/postchi/postchi/mailserver/blob"
)

// files keeps the descriptors of segments that were read last. One that is dropped while readers
// use it is closed by the last of them, so that a removed segment stays readable until then.
type files struct {
	mu     sync.Mutex
	max    int
	byName map[string]*handle
	recent list.List // of *handle, the latest in front
}

// handle is an open segment. All fields but file are under files.mu.
type handle struct {
	name  string
	file  blob.File
	users int
	place *list.Element // nil once dropped
}

func newFiles(most int) *files { return &files{max: max(most, 1), byName: map[string]*handle{}} }

// open returns the descriptor of a segment for reading; release gives it back. A file that is
// not there is blob.ErrMissing.
func (d *Driver) open(name string) (*handle, error) {
	if _, ok := saltOf(name); !ok {
		return nil, blob.Missing("no segment has the name %q", name)
	}
	if h := d.files.cached(name); h != nil {
		return h, nil
	}
	f, err := d.cfg.FS.Open(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.Missing("segment %s", name)
	}
	if err != nil {
		return nil, blob.Failed("open segment", err)
	}
	return d.files.add(name, f), nil
}

func (c *files) cached(name string) *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.byName[name]
	if h != nil {
		h.users++
		c.recent.MoveToFront(h.place)
	}
	return h
}

// add keeps f unless another goroutine has opened the same segment meanwhile.
func (c *files) add(name string, f blob.File) *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.byName[name]; h != nil {
		f.Close()
		h.users++
		c.recent.MoveToFront(h.place)
		return h
	}
	h := &handle{name: name, file: f, users: 1}
	h.place = c.recent.PushFront(h)
	c.byName[name] = h
	for c.recent.Len() > c.max {
		c.drop(c.recent.Back().Value.(*handle))
	}
	return h
}

func (c *files) release(h *handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.users--
	if h.users == 0 && h.place == nil {
		h.file.Close()
	}
}

// drop forgets a handle; files.mu is held.
func (c *files) drop(h *handle) {
	delete(c.byName, h.name)
	c.recent.Remove(h.place)
	h.place = nil
	if h.users == 0 {
		h.file.Close()
	}
}

// forget drops a segment that is being removed.
func (c *files) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.byName[name]; h != nil {
		c.drop(h)
	}
}

func (c *files) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.byName {
		c.drop(h)
	}
}
