package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) mailboxForward() *cobra.Command {
	var noCopy, off bool
	cmd := &cobra.Command{Use: "forward ADDRESS [TARGET...]", Short: "Show or set what a mailbox sends on", Args: atLeast(1)}
	cmd.Flags().BoolVar(&noCopy, "no-copy", false, "keep nothing of what is forwarded")
	cmd.Flags().BoolVar(&off, "off", false, "forward nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if off && len(args) > 1 {
			return usageError{fmt.Errorf("--off and targets exclude each other")}
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			if off || len(args) > 1 {
				if err := b.service.SetForward(ctx, v, args[0], args[1:], !noCopy); err != nil {
					return err
				}
			}
			f, err := b.service.Forward(ctx, v, args[0])
			if err != nil {
				return err
			}
			switch {
			case len(f.Targets) == 0:
				return c.done(f, "%s forwards nothing.", args[0])
			case f.Keep:
				return c.done(f, "%s forwards to %s and keeps a copy.", args[0], targetsText(f.Targets))
			}
			return c.done(f, "%s forwards to %s and keeps no copy.", args[0], targetsText(f.Targets))
		})
	}
	return cmd
}

func (c *cli) mailboxHold() *cobra.Command {
	var reason string
	cmd := c.onMailbox("hold ADDRESS", "Keep what a mailbox sends in the queue", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if err := b.service.HoldSending(ctx, v, address, reason); err != nil {
			return err
		}
		return c.done(ok, "What %s sends waits in the queue. To let it go: postchi mailbox release %s", address, address)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "shown to the owner")
	return cmd
}

func (c *cli) mailboxRelease() *cobra.Command {
	return c.onMailbox("release ADDRESS", "Send what a held mailbox has sent", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if err := b.service.ReleaseSending(ctx, v, address); err != nil {
			return err
		}
		return c.done(ok, "%s sends again.", address)
	})
}

func (c *cli) mailboxAutoReply() *cobra.Command {
	var subject, text, outside, from, until string
	var stdin, off bool
	var cmd *cobra.Command
	cmd = c.onMailbox("autoreply ADDRESS", "Show or set what a mailbox answers by itself", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		a, err := b.service.AutoReply(ctx, v, address)
		if err != nil {
			return err
		}
		changed := off || stdin
		for name, set := range map[string]func() error{
			"subject": func() error { a.Subject = subject; return nil },
			"text":    func() error { a.Body, a.Enabled = text, true; return nil },
			"outside": func() error { a.Outside = outside; return nil },
			"from":    func() (err error) { a.StartsAt, err = dayFlag("from", from, false); return err },
			"until":   func() (err error) { a.EndsAt, err = dayFlag("until", until, true); return err },
		} {
			if cmd.Flags().Changed(name) {
				changed = true
				if err := set(); err != nil {
					return err
				}
			}
		}
		if stdin {
			body, err := io.ReadAll(io.LimitReader(c.stdin, 64<<10))
			if err != nil {
				return err
			}
			a.Body, a.Enabled = string(body), true
		}
		if off {
			a.Enabled = false
		}
		if changed {
			if err := b.service.SetAutoReply(ctx, v, address, a.AutoReply); err != nil {
				return err
			}
			if a, err = b.service.AutoReply(ctx, v, address); err != nil {
				return err
			}
		}
		return c.print(a, func(w io.Writer) { printAutoReply(w, a) })
	})
	cmd.Flags().StringVar(&subject, "subject", "", "subject of the reply; empty = Re: and that of the message")
	cmd.Flags().StringVar(&text, "text", "", "text of the reply; switches it on")
	cmd.Flags().BoolVar(&stdin, "text-stdin", false, "read the text from standard input; switches it on")
	cmd.Flags().StringVar(&outside, "outside", "", "text for senders in none of the customer's domains; empty = the same for everybody")
	cmd.Flags().StringVar(&from, "from", "", `first day, like 2026-11-23, 1405/9/2 or "2026-11-23 08:30"; empty = at once`)
	cmd.Flags().StringVar(&until, "until", "", "last day; empty = until it is switched off")
	cmd.Flags().BoolVar(&off, "off", false, "switch it off")
	return cmd
}

func printAutoReply(w io.Writer, a *service.AutoReplyView) {
	fmt.Fprintf(w, "State     %s\n", a.State)
	if a.StartsAt != 0 {
		fmt.Fprintf(w, "From      %s\n", when(a.StartsAt))
	}
	if a.EndsAt != 0 {
		fmt.Fprintf(w, "Until     %s\n", when(a.EndsAt))
	}
	fmt.Fprintf(w, "Answered  %d people\n", a.Answered)
	if a.Subject != "" {
		fmt.Fprintf(w, "Subject   %s\n", a.Subject)
	}
	if a.Body != "" {
		fmt.Fprintf(w, "\n%s\n", a.Body)
	}
	if a.Outside != "" {
		fmt.Fprintf(w, "\nTo senders outside:\n\n%s\n", a.Outside)
	}
}

// dayFlag reads a day; the end of a time is that of its day unless an hour is given.
func dayFlag(name, text string, end bool) (models.Micros, error) {
	if text == "" {
		return 0, nil
	}
	t, clock, ok := i18n.ParseTime(text, time.Local)
	if !ok {
		return 0, usageError{fmt.Errorf("--%s %q is no day", name, text)}
	}
	if end && !clock {
		t = t.AddDate(0, 0, 1)
	}
	return models.At(t), nil
}
