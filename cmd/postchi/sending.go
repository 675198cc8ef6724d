package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (c *cli) suppressionCommand() *cobra.Command {
	return noun("suppression", "Addresses that refused a mailbox's mail for good", c.suppressionList(), c.suppressionRemove())
}

func (c *cli) suppressionList() *cobra.Command {
	return c.onMailbox("list ADDRESS", "List the addresses that a mailbox cannot write to", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		list, err := all(func(q models.Query) (models.Page[models.Suppression], error) {
			return b.service.Suppressions(ctx, v, address, q)
		}, models.Query{})
		if err != nil {
			return err
		}
		return c.print(list, func(w io.Writer) {
			table(w, "ADDRESS\tSINCE\tCODE\tANSWER", func(add func(...any)) {
				for _, s := range list {
					add(s.Address, when(s.At), fmt.Sprint(s.Code, " ", s.Enhanced), s.Detail)
				}
			})
		})
	})
}

func (c *cli) suppressionRemove() *cobra.Command {
	return &cobra.Command{Use: "rm ADDRESS SUPPRESSED", Short: "Let a mailbox write to an address again", Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
		return c.with(cmd, func(ctx context.Context, b *base, v service.Viewer) error {
			defer b.db.Told(ctx)
			if err := b.service.LiftSuppression(ctx, v, args[0], args[1]); err != nil {
				return err
			}
			return c.done(ok, "%s can write to %s again.", args[0], args[1])
		})
	}}
}

func (c *cli) limitsCommand() *cobra.Command {
	return noun("limits", "Limits of what may be sent", c.limitsExplain())
}

// explainedLimits is the JSON of limits explain.
type explainedLimits struct {
	Address    string            `json:"address"`
	Limits     []models.LimitUse `json:"limits"`
	Held       bool              `json:"held"`
	HeldReason string            `json:"held_reason,omitempty"`
	SendOff    bool              `json:"send_off"`
	Reason     string            `json:"reason,omitempty"`
}

func (c *cli) limitsExplain() *cobra.Command {
	return c.onMailbox("explain ADDRESS", "Show what a mailbox may send, what it has sent, and when that starts anew", func(ctx context.Context, b *base, v service.Viewer, address string) error {
		m, err := b.service.Mailbox(ctx, v, address)
		if err != nil {
			return err
		}
		uses, err := b.service.SendingUse(ctx, v, address)
		if err != nil {
			return err
		}
		out := explainedLimits{Address: m.Address, Limits: uses, Held: m.HeldAt != 0, HeldReason: m.HeldReason, SendOff: m.SendOff, Reason: m.Reason}
		return c.print(out, func(w io.Writer) {
			table(w, "LIMIT\tPERIOD\tUSED\tOF\tSTARTS ANEW", func(add func(...any)) {
				for _, u := range uses {
					add(u.Subject, u.Period, u.Used, limit(u.Limit), when(u.Resets))
				}
			})
			if out.Held {
				fmt.Fprintf(w, "Sending is held: %s\n", out.HeldReason)
			}
			if out.SendOff {
				fmt.Fprintf(w, "Sending is off: %s\n", out.Reason)
			}
		})
	})
}
