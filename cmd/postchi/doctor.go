package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel/service"
)

// storeReport is what doctor --store has found.
type storeReport struct {
	OK         bool             `json:"ok"`
	Database   string           `json:"database,omitempty"` // what SQLite says of its file, unless that is "ok"
	Mailboxes  int64            `json:"mailboxes"`
	Messages   int64            `json:"messages"` // blobs: a message in several folders is one
	Bytes      int64            `json:"bytes"`
	Segments   int              `json:"segments"`
	Disk       int64            `json:"disk_bytes"`
	Live       int64            `json:"live_bytes"`
	Damaged    []damagedMessage `json:"damaged"`
	References []wrongReference `json:"references"`
	Counters   []wrongCounters  `json:"counters"`
	Fixed      bool             `json:"fixed"` // references and counters; what is damaged stays so
}

// damagedMessage is one whose bytes are not there or not what was written.
type damagedMessage struct {
	Blob    models.ID `json:"blob"`
	Segment string    `json:"segment"`
	Offset  int64     `json:"offset"`
	Reason  string    `json:"reason"`
	In      []place   `json:"in"`
}

// place is where a message lies, as its owner knows it.
type place struct {
	Mailbox  string        `json:"mailbox"`
	Folder   string        `json:"folder"`
	UID      uint32        `json:"uid"`
	Received models.Micros `json:"received"`
}

// wrongReference is a blob whose row says another number of messages than there are.
type wrongReference struct {
	Blob    models.ID `json:"blob"`
	Stored  int64     `json:"stored"`
	Counted int64     `json:"counted"`
	Lost    bool      `json:"lost"` // there is no row: nobody knows where its bytes are
	In      []place   `json:"in,omitempty"`
}

// wrongCounters is a mailbox whose counters differ from its messages.
type wrongCounters struct {
	Mailbox string `json:"mailbox"`
	models.Drift
}

// foundError ends a command that has printed already what is wrong.
type foundError struct{ what string }

func (e foundError) Error() string { return e.what }

func (c *cli) doctorCommand() *cobra.Command {
	var store, fix bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look for damage: --store reads every message and proves every counter", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !store {
				return usageError{errors.New("say what to look at: --store")}
			}
			return c.within(cmd, 0, func(ctx context.Context, b *base, _ service.Viewer) error { return c.doctorStore(ctx, b, fix) })
		},
	}
	cmd.Flags().BoolVar(&store, "store", false, "read every message, count every reference and every mailbox; the server may run meanwhile")
	cmd.Flags().BoolVar(&fix, "fix", false, "mend references and counters (a damaged message stays as it is: bring it back from a backup)")
	return cmd
}

func (c *cli) doctorStore(ctx context.Context, b *base, fix bool) error {
	d := &doctor{base: b, fix: fix, names: map[models.ID]string{}}
	d.Damaged, d.References, d.Counters = []damagedMessage{}, []wrongReference{}, []wrongCounters{}
	for _, look := range []func(context.Context) error{d.lookAtDatabase, d.lookAtMessages, d.lookAtReferences, d.lookAtCounters} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	mendable := len(d.References) + len(d.Counters)
	d.Fixed = fix && mendable > 0
	d.OK = d.Database == "" && len(d.Damaged) == 0 && d.lost() == 0 && (mendable == 0 || fix)
	if err := c.print(d.storeReport, d.text); err != nil || d.OK {
		return err
	}
	return foundError{"the store is not sound"}
}

// doctor looks at a store.
type doctor struct {
	*base
	fix bool
	storeReport
	names map[models.ID]string // addresses of mailboxes
}

// lookAtDatabase lets SQLite check its file; other databases do that by themselves.
func (d *doctor) lookAtDatabase(ctx context.Context) error {
	if d.db.Dialect() != db.SQLite {
		return nil
	}
	var said string
	if err := d.db.SQL().QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return db.Failure(err)
	}
	if said != "ok" {
		d.Database = said
	}
	return nil
}

func (d *doctor) lookAtMessages(ctx context.Context) error {
	checked, err := d.blobs.Check(ctx, func(p blob.Problem) error {
		in, err := d.places(ctx, p.ID)
		d.Damaged = append(d.Damaged, damagedMessage{p.ID, p.Ref.Segment, p.Ref.Offset, reason(p.Err), in})
		return err
	})
	if err != nil {
		return err
	}
	var damaged []models.ID
	for _, m := range d.Damaged {
		damaged = append(damaged, m.Blob)
	}
	if err := d.damage.replace(ctx, damaged); err != nil { // the panel shows it
		return err
	}
	d.Messages, d.Bytes = checked.Blobs, checked.Bytes
	space, err := d.blobs.Space(ctx)
	d.Segments, d.Disk, d.Live = space.Segments, space.Disk, space.Live
	return err
}

// reason is the cause of an error without the words for clients.
func reason(err error) string {
	var e *models.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// mostPlaces bounds how many places of one message are named.
const mostPlaces = 20

func (d *doctor) places(ctx context.Context, id models.ID) ([]place, error) {
	holders, err := d.mail.Holders(ctx, id, mostPlaces)
	if err != nil {
		return nil, err
	}
	in := []place{}
	for _, h := range holders {
		name, err := d.name(ctx, h.Mailbox)
		if err != nil {
			return nil, err
		}
		in = append(in, place{name, h.Folder, uint32(h.UID), h.Date})
	}
	return in, nil
}

// name is the address of a mailbox, or its id if nobody has it any more.
func (d *doctor) name(ctx context.Context, id models.ID) (string, error) {
	if name, ok := d.names[id]; ok {
		return name, nil
	}
	name := "mailbox " + id.String()
	m, err := d.store.MailboxByID(ctx, models.Everything(), id)
	if err == nil {
		name = m.Address
	}
	if err != nil && !models.Is(err, models.NotFound) {
		return "", err
	}
	d.names[id] = name
	return name, nil
}

func (d *doctor) lookAtReferences(ctx context.Context) error {
	wrong, err := d.mail.RecountBlobs(ctx, d.fix)
	if err != nil {
		return err
	}
	for _, m := range wrong {
		w := wrongReference{Blob: m.ID, Stored: m.Row, Counted: m.Marked, Lost: m.NoRow}
		if m.NoRow {
			if w.In, err = d.places(ctx, m.ID); err != nil {
				return err
			}
		}
		d.References = append(d.References, w)
	}
	return nil
}

// lost is the number of messages without any bytes.
func (d *doctor) lost() (n int) {
	for _, r := range d.References {
		if r.Lost {
			n++
		}
	}
	return n
}

func (d *doctor) lookAtCounters(ctx context.Context) error {
	for last := models.ID(0); ; {
		ids, err := d.mail.Mailboxes(ctx, last, 500)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			last = id
			drift, err := mailboxes{d.mail}.Recount(ctx, id, d.fix)
			if models.Is(err, models.NotFound) {
				continue // removed meanwhile
			}
			if err != nil {
				return err
			}
			d.Mailboxes++
			if !drift.Any() {
				continue
			}
			name, err := d.name(ctx, id)
			if err != nil {
				return err
			}
			d.Counters = append(d.Counters, wrongCounters{name, drift})
		}
	}
}

func (d *doctor) text(w io.Writer) {
	fmt.Fprintf(w, "%d mailboxes, %d messages of %s in %d segments of %s\n", d.Mailboxes, d.Messages, Size(d.Bytes), d.Segments, Size(d.Disk))
	if d.Database != "" {
		fmt.Fprintf(w, "The database file is damaged: %s\n", d.Database)
	}
	for _, m := range d.Damaged {
		fmt.Fprintf(w, "Damaged: %s%s\n", m.Reason, inPlaces(m.In))
	}
	for _, r := range d.References {
		if r.Lost {
			fmt.Fprintf(w, "Lost: blob %d has no row%s\n", r.Blob, inPlaces(r.In))
			continue
		}
		fmt.Fprintf(w, "Wrong count: blob %d is in %d folders, its row says %d%s\n", r.Blob, r.Counted, r.Stored, d.mended())
	}
	for _, m := range d.Counters {
		fmt.Fprintf(w, "Wrong counters: %s has %d messages of %d bytes, its counters say %d of %d; folders with a wrong counter: %d%s\n",
			m.Mailbox, m.Messages.True, m.Bytes.True, m.Messages.Stored, m.Bytes.Stored, m.Folders, d.mended())
	}
	switch {
	case d.OK:
		fmt.Fprintln(w, "The store is sound.")
	case !d.fix && d.lost() < len(d.References)+len(d.Counters):
		fmt.Fprintln(w, "Counts and counters are mended by: postchi doctor --store --fix")
	}
}

func (d *doctor) mended() string {
	if d.Fixed {
		return " (mended)"
	}
	return ""
}

func inPlaces(in []place) string {
	var all []string
	for _, p := range in {
		all = append(all, fmt.Sprintf("%s, folder %s, UID %d, received %s", p.Mailbox, p.Folder, p.UID, when(p.Received)))
	}
	if len(all) == 0 {
		return ""
	}
	return "\n  in " + strings.Join(all, "\n  in ")
}
