package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) mailboxCommand() *cobra.Command {
	return noun("mailbox", "Mailboxes", c.mailboxAdd(), c.mailboxList(), c.mailboxShow(), c.mailboxPasswd(), c.mailboxQuota(),
		c.mailboxSuspend(), c.mailboxResume(), c.mailboxLogout(), c.mailboxForward(), c.mailboxAutoReply(), c.mailboxHold(), c.mailboxRelease(),
		c.mailboxRemove(), c.mailboxRestore())
}

func (c *cli) mailboxAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add ADDRESS", Short: "Make a mailbox", Args: exactly(1)}
	quota := sizeFlag(cmd, "quota", "for example 1GB; 0 = no limit (default: defaults.quota)")
	messages := cmd.Flags().Int64("messages", 0, "most messages (0 = no limit)")
	name := cmd.Flags().String("name", "", "the person's name")
	stdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		local, domain, found := cutLast(args[0], "@")
		if !found {
			return usageError{fmt.Errorf("%q is no address", args[0])}
		}
		password, err := c.readPassword(*stdin)
		if err != nil {
			return err
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			n := service.NewMailbox{Local: local, Domain: domain, Password: password, Name: *name, QuotaMessages: *messages}
			if cmd.Flags().Changed("quota") {
				bytes := int64(*quota)
				n.QuotaBytes = &bytes
			}
			m, err := b.service.AddMailbox(ctx, v, n)
			if err != nil {
				return err
			}
			return c.done(m, "Mailbox %s is ready. Its settings: postchi settings %s", m.Address, m.Address)
		})
	}
	return cmd
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (c *cli) mailboxList() *cobra.Command {
	cmd := &cobra.Command{Use: "list [SEARCH]", Short: "List mailboxes", Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("at most one search text; usage: %s", cmd.UseLine())}
		}
		return nil
	}}
	bin := cmd.Flags().Bool("bin", false, "those in the bin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			list, err := all(func(q models.Query) (models.Page[models.MailboxRow], error) { return b.service.Mailboxes(ctx, v, q) },
				models.Query{Search: strings.Join(args, " "), Bin: *bin})
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) {
				table(w, "ADDRESS\tUSED\tQUOTA\tMESSAGES\tLAST LOG-IN\tSTATE", func(add func(...any)) {
					for _, m := range list {
						add(m.Address, Size(m.Usage.Bytes), sizeLimit(m.QuotaBytes), m.Usage.Messages, when(m.LastLogin), mailboxState(&m))
					}
				})
			})
		})
	}
	return cmd
}

func mailboxState(m *models.MailboxRow) string {
	var off []string
	for _, s := range []struct {
		off  bool
		name string
	}{{m.InBin(), "in the bin"}, {m.LoginOff, "no log-in"}, {m.SendOff, "no sending"}, {m.ReceiveOff, "no receiving"}, {m.Full(), "full"}} {
		if s.off {
			off = append(off, s.name)
		}
	}
	if off == nil {
		return "active"
	}
	return strings.Join(off, ", ")
}

// onMailbox makes a command that works on the mailbox its argument names.
func (c *cli) onMailbox(use, short string, fn func(context.Context, *base, service.Viewer, string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx) // so that it holds at once
			return fn(ctx, b, v, args[0])
		})
	}}
}

func (c *cli) mailboxShow() *cobra.Command {
	return c.onMailbox("show ADDRESS", "Show a mailbox", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		m, err := b.service.Mailbox(ctx, v, address)
		if err != nil {
			return err
		}
		return c.print(m, func(w io.Writer) {
			fmt.Fprintf(w, "Mailbox     %s\nName        %s\nCustomer    %s\nState       %s\n", m.Address, m.Name, m.Customer, mailboxState(m))
			if m.Reason != "" {
				fmt.Fprintf(w, "Reason      %s\n", m.Reason)
			}
			fmt.Fprintf(w, "Used        %s of %s\nMessages    %d of %s\nLast log-in %s %s\nMade        %s\n", Size(m.Usage.Bytes), sizeLimit(m.QuotaBytes),
				m.Usage.Messages, limit(m.QuotaMessages), when(m.LastLogin), m.LastProtocol, when(m.CreatedAt))
		})
	})
}

func (c *cli) mailboxPasswd() *cobra.Command {
	cmd := &cobra.Command{Use: "passwd ADDRESS", Short: "Set a mailbox's password", Args: exactly(1)}
	stdin := cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := c.readPassword(*stdin)
		if err != nil {
			return err
		}
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			if err := b.service.SetMailboxPassword(ctx, v, args[0], password); err != nil {
				return err
			}
			return c.done(ok, "The password of %s is changed; open sessions end.", args[0])
		})
	}
	return cmd
}

func (c *cli) mailboxQuota() *cobra.Command {
	var bytes *Size
	var messages int64
	var recount, fix bool
	var cmd *cobra.Command
	cmd = c.onMailbox("quota ADDRESS", "Show or change a quota, or prove the counters", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if recount || fix {
			return c.recount(ctx, b, v, address, fix)
		}
		m, err := b.service.Mailbox(ctx, v, address)
		if err != nil {
			return err
		}
		quotaBytes, quotaMessages := m.QuotaBytes, m.QuotaMessages
		if cmd.Flags().Changed("bytes") {
			quotaBytes = int64(*bytes)
		}
		if cmd.Flags().Changed("messages") {
			quotaMessages = messages
		}
		if quotaBytes != m.QuotaBytes || quotaMessages != m.QuotaMessages {
			if err := b.service.SetMailboxQuota(ctx, v, address, quotaBytes, quotaMessages); err != nil {
				return err
			}
		}
		out := map[string]int64{"bytes": m.Usage.Bytes, "messages": m.Usage.Messages, "quota_bytes": quotaBytes, "quota_messages": quotaMessages}
		return c.done(out, "%s uses %s of %s, %d messages of %s.", m.Address, Size(m.Usage.Bytes), sizeLimit(quotaBytes), m.Usage.Messages, limit(quotaMessages))
	})
	bytes = sizeFlag(cmd, "bytes", "new quota, for example 2GB (0 = no limit)")
	cmd.Flags().Int64Var(&messages, "messages", 0, "new quota of messages (0 = no limit)")
	cmd.Flags().BoolVar(&recount, "recount", false, "count every message and compare with the counters")
	cmd.Flags().BoolVar(&fix, "fix", false, "recount, and mend what differs")
	return cmd
}

func (c *cli) mailboxSuspend() *cobra.Command {
	var login, send, receive bool
	var reason string
	cmd := c.onMailbox("suspend ADDRESS", "Stop log-in and sending (or what the switches name)", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if !login && !send && !receive {
			login, send = true, true
		}
		m, err := b.service.Mailbox(ctx, v, address)
		if err != nil {
			return err
		}
		s := service.Switches{LoginOff: m.LoginOff || login, SendOff: m.SendOff || send, ReceiveOff: m.ReceiveOff || receive, Reason: reason}
		if err := b.service.SetMailboxSwitches(ctx, v, address, s); err != nil {
			return err
		}
		return c.done(s, "%s is suspended.", m.Address)
	})
	cmd.Flags().BoolVar(&login, "login", false, "stop log-in")
	cmd.Flags().BoolVar(&send, "send", false, "stop sending")
	cmd.Flags().BoolVar(&receive, "receive", false, "stop receiving")
	cmd.Flags().StringVar(&reason, "reason", "", "shown to the owner and, for receiving, to senders")
	return cmd
}

func (c *cli) mailboxLogout() *cobra.Command {
	return &cobra.Command{Use: "logout ADDRESS", Short: "End all connections of a mailbox", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			if err := b.service.LogOut(ctx, v, args[0]); err != nil {
				return err
			}
			return c.done(nil, "All connections of %s end.", args[0])
		})
	}}
}

func (c *cli) mailboxResume() *cobra.Command {
	return c.onMailbox("resume ADDRESS", "Turn log-in, sending and receiving on", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if err := b.service.SetMailboxSwitches(ctx, v, address, service.Switches{}); err != nil {
			return err
		}
		return c.done(ok, "%s is active.", address)
	})
}

func (c *cli) mailboxRemove() *cobra.Command {
	var purge, yes bool
	cmd := c.onMailbox("rm ADDRESS", "Move a mailbox to the bin; with --purge remove it for good", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if !purge {
			if err := b.service.DeleteMailbox(ctx, v, address); err != nil {
				return err
			}
			return c.done(ok, "%s is in the bin. To bring it back: postchi mailbox restore %s", address, address)
		}
		if err := c.confirm(yes, address); err != nil {
			return err
		}
		if err := b.service.PurgeMailbox(ctx, v, address); err != nil {
			return err
		}
		return c.done(ok, "%s and its mail are removed.", address)
	})
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the mailbox and its mail for good")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (c *cli) mailboxRestore() *cobra.Command {
	return c.onMailbox("restore ADDRESS", "Bring a mailbox back from the bin", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		if err := b.service.RestoreMailbox(ctx, v, address); err != nil {
			return err
		}
		return c.done(ok, "%s is back.", address)
	})
}

// recount prints what the counters of a mailbox say and what its messages add up to.
func (c *cli) recount(ctx context.Context, b *base, v service.Viewer, address string, fix bool) error {
	d, err := b.service.Recount(ctx, v, address, fix)
	if err != nil {
		return err
	}
	err = c.print(d, func(w io.Writer) {
		fmt.Fprintf(w, "bytes     counter %d, counted %d\nmessages  counter %d, counted %d\nfolders with a wrong counter: %d\n",
			d.Bytes.Stored, d.Bytes.True, d.Messages.Stored, d.Messages.True, d.Folders)
		if d.Fixed {
			fmt.Fprintln(w, "The counters were mended.")
		}
	})
	if err == nil && d.Any() && !d.Fixed {
		return models.Errorf(models.Conflict, "quota.drift", "The counters of %s are wrong; mend them with --fix.", address)
	}
	return err
}
