package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/mailserver/trace"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
	"github.com/postchi/postchi/panel/service"
)

// recorder writes the events of a base until it is closed: what is held, released and dropped
// by hand.
func (b *base) recorder() *trace.Recorder {
	recorder := trace.New(trace.Config{Events: b.store, Log: b.log})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { recorder.Run(ctx) })
	b.closers = append(b.closers, func() error { cancel(); running.Wait(); return nil })
	return recorder
}

func (c *cli) queueCommand() *cobra.Command {
	return noun("queue", "Messages that wait for other servers", c.queueList(), c.queueShow(),
		c.queueAct("retry", "Try again now what is not held", service.QueueRetry, "Recipients to be tried now: %d."),
		c.queueAct("hold", "Try nothing until it is released", service.QueueHold, "Recipients held: %d."),
		c.queueAct("release", "End a hold", service.QueueRelease, "Recipients released: %d."),
		c.queueRemove())
}

// queueFilter are the flags that choose a part of the queue.
type queueFilter struct {
	domain, reason, from, to string
	all                      bool
}

func queueFlags(cmd *cobra.Command) *queueFilter {
	f := &queueFilter{}
	cmd.Flags().StringVar(&f.domain, "domain", "", "destination: domain of the recipients")
	cmd.Flags().StringVar(&f.reason, "reason", "", `why they wait, as "queue list" names it ("-" = not tried yet)`)
	cmd.Flags().StringVar(&f.from, "from", "", "mailbox that has sent them")
	cmd.Flags().StringVar(&f.to, "to", "", "address of the recipient")
	return f
}

func (f *queueFilter) empty() bool {
	return f.domain == "" && f.reason == "" && f.from == "" && f.to == ""
}

// filters returns what is chosen: each message named, or what the flags say.
func (f *queueFilter) filters(ctx context.Context, b *base, v service.Viewer, ids []string) ([]models.QueueFilter, error) {
	one := models.QueueFilter{Domain: f.domain, Reason: f.reason, Address: f.to}
	if f.from != "" {
		row, err := b.service.Mailbox(ctx, v, f.from)
		if err != nil {
			return nil, err
		}
		one.MailboxID = row.ID
	}
	if len(ids) == 0 {
		return []models.QueueFilter{one}, nil
	}
	var all []models.QueueFilter
	for _, text := range ids {
		id, err := models.ParseID(text)
		if err != nil {
			return nil, err
		}
		one.QueueID = id
		all = append(all, one)
	}
	return all, nil
}

func (c *cli) queueList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "What waits, by destination and reason; with a filter, each recipient", Args: exactly(0)}
	f := queueFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			if !f.empty() {
				return c.queueRows(ctx, b, v, f)
			}
			groups, err := b.service.QueueGroups(ctx, v)
			if err != nil {
				return err
			}
			return c.print(groups, func(w io.Writer) { printGroups(w, groups) })
		})
	}
	return cmd
}

func printGroups(w io.Writer, groups []service.QueueGroup) {
	table(w, "RECIPIENTS\tHELD\tDOMAIN\tREASON\tOLDEST\tNEXT\tIN WORDS", func(add func(...any)) {
		for _, g := range groups {
			words := "not tried yet"
			if g.Sample != nil {
				words = explain.Attempt(g.Sample.Reason, g.Sample.Code, g.Sample.Enhanced, g.Sample.Detail, "en").What
			}
			add(g.Count, g.Held, g.Domain, reasonOf(g.Reason), when(g.Oldest), when(g.Next), words)
		}
	})
}

func reasonOf(reason string) string {
	if reason == "" {
		return models.QueueUntried
	}
	return printable(reason)
}

func (c *cli) queueRows(ctx context.Context, b *base, v service.Viewer, f *queueFilter) error {
	filters, err := f.filters(ctx, b, v, nil)
	if err != nil {
		return err
	}
	rows, err := all(func(q models.Query) (models.Page[models.QueueRow], error) {
		return b.service.QueueRows(ctx, v, filters[0], q)
	}, models.Query{Sort: "created"})
	if err != nil {
		return err
	}
	return c.print(rows, func(w io.Writer) {
		table(w, "MESSAGE\tFROM\tTO\tSINCE\tTRIES\tNEXT\tREASON", func(add func(...any)) {
			for _, r := range rows {
				add(r.QueueID, "<"+printable(r.Sender)+">", printable(r.Address), when(r.CreatedAt), r.Attempts, nextOf(&r), reasonOf(r.Reason))
			}
		})
	})
}

func nextOf(r *models.QueueRow) string {
	switch {
	case r.Held:
		return "held"
	case r.Trying:
		return "being tried"
	case r.State != models.RecipientWaiting:
		return "sender is told"
	}
	return when(r.NextAt)
}

func (c *cli) queueShow() *cobra.Command {
	return &cobra.Command{Use: "show MESSAGE", Short: "One message with the last answer for each recipient", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			id, err := models.ParseID(args[0])
			if err != nil {
				return err
			}
			rows, err := b.service.QueueItem(ctx, v, id)
			if err != nil {
				return err
			}
			return c.print(rows, func(w io.Writer) { printItem(w, rows) })
		})
	}}
}

func printItem(w io.Writer, rows []models.QueueRow) {
	r := &rows[0]
	fmt.Fprintf(w, "Message     %s\nFrom        <%s>\nSubject     %s\nMessage-ID  <%s>\nSize        %s\nSince       %s\nGiven up    %s\nTrace       %s\n",
		r.QueueID, printable(r.Sender), printable(r.Subject), printable(r.MessageID), Size(r.Size), when(r.CreatedAt), when(r.ExpiresAt), r.EnvelopeID)
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(w, "\n%s\n  tries %d, next %s\n", printable(r.Address), r.Attempts, nextOf(r))
		if r.Attempts == 0 {
			continue
		}
		fmt.Fprintf(w, "  %s: %d %s %s\n", printable(r.Host), r.Code, printable(r.Enhanced), printable(r.Detail))
		words := explain.Attempt(r.Reason, r.Code, r.Enhanced, r.Detail, "en")
		fmt.Fprintf(w, "  %s\n  What to do: %s\n", words.What, words.Next)
	}
}

// queueAct makes a command that does something with what is chosen.
func (c *cli) queueAct(use, short string, do service.QueueAction, done string) *cobra.Command {
	cmd := &cobra.Command{Use: use + " [MESSAGE...]", Short: short}
	f := queueFlags(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "everything in the queue")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.onQueue(cmd, f, args, do, done)
	}
	return cmd
}

func (c *cli) queueRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "rm [MESSAGE...]", Short: "Take messages out of the queue"}
	f := queueFlags(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "everything in the queue")
	notice := cmd.Flags().Bool("notice", false, "tell the senders")
	silent := cmd.Flags().Bool("no-notice", false, "tell nobody")
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *notice == *silent {
			return usageError{errors.New("say --notice to tell the senders, or --no-notice")}
		}
		do := service.QueueDrop
		if *notice {
			do = service.QueueReturn
		}
		if err := c.confirm(*yes, "drop"); err != nil {
			return err
		}
		return c.onQueue(cmd, f, args, do, "Recipients taken out of the queue: %d.")
	}
	return cmd
}

func (c *cli) onQueue(cmd *cobra.Command, f *queueFilter, ids []string, do service.QueueAction, done string) error {
	if f.empty() && len(ids) == 0 && !f.all {
		return usageError{errors.New("name messages, or a part of the queue by --domain, --reason, --from or --to, or --all")}
	}
	return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
		filters, err := f.filters(ctx, b, v, ids)
		if err != nil {
			return err
		}
		var total int64
		for _, filter := range filters {
			n, err := b.service.ActOnQueue(ctx, v, do, filter)
			total += n
			if err != nil {
				return err
			}
		}
		return c.done(map[string]int64{"recipients": total}, done, total)
	})
}
